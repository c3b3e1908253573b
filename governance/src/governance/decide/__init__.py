"""The rules, one per file: pure functions from what is registered and pushed to findings."""
