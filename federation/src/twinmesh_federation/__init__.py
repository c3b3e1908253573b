"""Apollo Federation v2 composition, planning and execution in Python."""
