"""What governance holds true: contracts, charters, findings, model releases, audit entries."""
