"""What the mesh holds true everywhere: ids, times, trust, events, errors. Standard library only."""
