"""
A large 422 without its echo, read as it arrives.

FastAPI repeats in each entry, as `input`, the part of the request that the entry is about. For a filter those are
subtrees of subtrees, so that the answer is as long as the filter times its depth, and its entries are a small part.
"""

import re

_DEPTH = 3  # of the keys of an entry: {"detail": [{"input": ...}]}
_SPECIAL = re.compile(rb'["{}\[\]:,]')
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_UP_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)


class EntriesOf422:
    """
    The JSON of a 422 with null in place of each entry's `input`.

    Args:
        limit: Bytes that are kept; what comes after them is dropped.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._whole = 0  # how much of `_kept` ends with a whole entry
        self._depth = 0
        self._in_string = False
        self._dropping = False
        self._string = b""  # the last one, as far as it is needed to know a key
        self._rest = b""

    @property
    def full(self) -> bool:
        """Whether more would not be kept."""
        return len(self._kept) > self._limit

    def feed(self, chunk: bytes) -> None:
        """Takes what arrived next."""
        data, self._rest, at = self._rest + chunk, b"", 0
        while at < len(data) and not self.full:
            at = self._string_from(data, at) if self._in_string else self._structure_from(data, at)

    def result(self) -> bytes:
        """What was kept; if the end is missing, the whole entries, as JSON that is closed."""
        if self._depth or self._in_string or self.full:
            return bytes(self._kept[: self._whole]) + b"]}" if self._whole else bytes(self._kept[: self._limit])
        return bytes(self._kept)

    def _string_from(self, data: bytes, at: int) -> int:
        match = _IN_STRING.match(data, at)
        end = match.end() if match else at  # it always matches, if only nothing
        if data[end : end + 1] == b"\\":  # what it escapes has not arrived
            self._rest = data[end:]
            end = len(data)
        elif end < len(data):
            self._in_string = False
            end += 1
        piece = data[at : end - len(self._rest)]
        self._string += piece[:8]
        self._keep(piece)
        return end

    def _structure_from(self, data: bytes, at: int) -> int:
        if self._dropping and self._depth > _DEPTH and (skipped := _UP_TO_BRACKET.match(data, at)):
            at = skipped.end()
        match = _SPECIAL.search(data, at)
        if match is None:
            self._keep(data[at:])
            return len(data)
        mark, end = match[0], match.end()
        if self._dropping and self._depth == _DEPTH and mark in b",}":
            self._dropping = False
            at = end - 1
        self._keep(data[at:end])
        self._note(mark)
        return end

    def _note(self, mark: bytes) -> None:
        if mark == b'"':
            self._in_string, self._string = True, b""
        elif mark in b"{[":
            self._depth += 1
        elif mark in b"}]":
            self._depth -= 1
            if self._depth == _DEPTH - 1:
                self._whole = len(self._kept)
        elif mark == b":" and self._depth == _DEPTH and self._string == b'input"' and not self._dropping:
            self._keep(b"null")
            self._dropping = True

    def _keep(self, piece: bytes) -> None:
        if not self._dropping:
            self._kept += piece
