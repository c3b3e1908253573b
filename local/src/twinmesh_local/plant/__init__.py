"""The plant: stands in for devices and historians, and uses the doors of a real plant."""
