"""The demonstration: start everything, feed it, ask it, and check what it says."""
