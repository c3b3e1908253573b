"""The plant: what stands in for devices and historians on one machine, through the doors of a real plant."""
