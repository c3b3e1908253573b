"""What the maintenance twin holds true: signals and their roles, baselines, conditions, items."""
