"""The runtime of a twin: doors, workers, health, graceful stop."""
