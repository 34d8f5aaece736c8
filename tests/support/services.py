"""Servers with a state."""

from support.servers import Service, serving

__all__ = ["Service", "serving"]
