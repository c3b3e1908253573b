"""Condition, evidence and the maintenance work queue."""
