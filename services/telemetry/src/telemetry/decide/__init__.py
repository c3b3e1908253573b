"""What to do about readings: pure functions on columns; no clock, no I/O."""
