"""Partitions: counts by day, bin or value."""
