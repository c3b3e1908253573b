"""What telemetry holds true: readings in columns, signals, quarantine, counts, hops, verdicts."""
