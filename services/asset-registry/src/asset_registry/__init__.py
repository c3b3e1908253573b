"""Identity, topology and configuration of assets."""
