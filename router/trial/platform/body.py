"""The body of an HTTP request, by Content-Length or chunked (RFC 9112 6, 7.1), with a cap on its size."""

import re
from email.message import Message
from typing import Protocol

from router.trial.platform.answers import Refusal, too_large

_LONGEST_LINE = 1024


class Stream(Protocol):
    """Bytes from a connection."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes as soon as there are any; b"" at the end."""

    def readline(self, size: int, /) -> bytes:
        """A line with its end, cut at so many bytes."""


class Body:
    """Read like a file until it is empty. `finished` tells whether nothing of it is left on the connection.

    Refusal 413 when it is, or says that it will be, larger than `largest` bytes; 400 when it is not well formed.
    """

    def __init__(self, stream: Stream, headers: Message, largest: int) -> None:
        self._stream = stream
        self._allowance = largest
        self._chunked = _is_chunked(headers)
        self._remaining = 0 if self._chunked else _content_length(headers)
        self.finished = not self._chunked and self._remaining == 0
        if self._remaining > largest:
            raise too_large()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end of the body or of a chunk; b"" at the end."""
        if self._chunked and self._remaining == 0 and not self.finished:
            self._begin_chunk()
        if self.finished:
            return b""
        data = self._stream.read(min(size, self._remaining))
        if not data:
            raise _broken("it ends early")
        self._remaining -= len(data)
        if self._remaining == 0:
            if not self._chunked:
                self.finished = True
            elif self._line():
                raise _broken("a chunk is longer than its size")
        return data

    def read_all(self, largest: int) -> bytes:
        """The whole of a body that must be small; Refusal 413 when it is not."""
        data = b""
        while chunk := self.read(largest + 1 - len(data)):
            data += chunk
            if len(data) > largest:
                raise too_large()
        return data

    def drain(self) -> None:
        """Read and drop the rest, so that the connection can serve the next request."""
        while self.read(65536):
            pass

    def _begin_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
            raise _broken("a chunk has no size")
        self._remaining = int(size, 16)
        self._allowance -= self._remaining
        if self._allowance < 0:
            raise too_large()
        if self._remaining == 0:
            while self._line():
                pass
            self.finished = True

    def _line(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        self._allowance -= len(line)
        if not line.endswith(b"\n") or self._allowance < 0:
            raise _broken("a line is too long or cut off")
        return line.rstrip(b"\r\n")


def _is_chunked(headers: Message) -> bool:
    encodings = headers.get_all("Transfer-Encoding", [])
    if not encodings:
        return False
    if [encoding.strip().lower() for encoding in encodings] != ["chunked"] or "Content-Length" in headers:
        raise _broken("Transfer-Encoding other than chunked alone")
    return True


def _content_length(headers: Message) -> int:
    lengths = set(headers.get_all("Content-Length", []))
    if len(lengths) != 1:
        raise _broken("neither chunked nor of one Content-Length")
    length = lengths.pop().strip()
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise _broken("Content-Length is no number")
    return int(length)


def _broken(what: str) -> Refusal:
    return Refusal(400, {"error": f"body: {what}"}, close=True)
