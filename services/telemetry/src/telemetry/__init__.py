"""Readings: ingress to truth, freshness, history."""
