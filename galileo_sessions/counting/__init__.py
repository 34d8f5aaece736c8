"""Counting: the client, its streams, and what they return."""
