"""Specific energy, wasted energy and meter totals."""
