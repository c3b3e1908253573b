"""What a caller, a message or the clock can ask of telemetry: load, decide, save."""
