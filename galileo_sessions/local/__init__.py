"""
A local Galileo for development, tests and demos: a server on loopback that counts in memory.

    async with LocalGalileo(sample_sessions()) as server:
        async with GalileoSessions(server.api_key, base_url=server.url) as galileo:
            print(await galileo.count(project_id, where))
"""

from galileo_sessions.local.records import load_sessions
from galileo_sessions.local.sample import sample_names, sample_sessions
from galileo_sessions.local.server import LocalGalileo

__all__ = ["LocalGalileo", "load_sessions", "sample_names", "sample_sessions"]
