"""What to do about it: pure functions and one recursion. No clock, no I/O, no randomness."""
