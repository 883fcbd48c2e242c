"""Parts of an upload, written from the stream to spool files as they come."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import BinaryIO

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from router.crypto.symmetric import Sm3
from router.trial.platform.answers import Refusal, too_large, wrong
from router.trial.platform.body import Body

Form = tuple[tuple[str, str], ...]
"""The parts of a form in order, each with its content type."""
UPLOAD: Form = (
    ("meta", "application/json"), ("exam", "application/octet-stream"), ("report", "application/octet-stream")
)  # fmt: skip
WITHDRAWAL: Form = (("meta", "application/json"), ("notice", "application/octet-stream"))
LARGEST = {"meta": 64 * 1024, "exam": 16 * 2**20, "notice": 64 * 1024}


@dataclass(slots=True)
class Spooled:
    """A part as received: its bytes in a file without name, their number, their running digest."""

    file: BinaryIO
    length: int = 0
    digest: Sm3 = field(default_factory=Sm3)

    def add(self, data: bytes) -> None:
        """Append data."""
        self.file.write(data)
        self.digest.update(data)
        self.length += len(data)


@contextmanager
def receive(body: Body, headers: Message, spool: Path, form: Form = UPLOAD) -> Iterator[dict[str, Spooled]]:
    """The parts of the form, removed at the end of the context. Refusal 400 unless they are all there, in order."""
    with ExitStack() as files:
        parts: dict[str, Spooled] = {}
        try:
            kind, options = parse_options_header(headers.get("Content-Type", ""))
            if kind != "multipart/form-data" or not options.get("boundary"):
                raise Refusal(400, {"error": "Content-Type is not multipart/form-data with a boundary"}, close=True)
            with PushMultipartParser(str(options["boundary"]), max_segment_count=len(form)) as parser:
                _take(parser, body, spool, parts, files, form)
        except MultipartError as error:
            raise wrong(f"body: not a multipart form of {', '.join(name for name, _ in form)}") from error
        if len(parts) != len(form):
            raise wrong("body: a part is missing")
        body.drain()
        for part in parts.values():
            part.file.seek(0)
        yield parts


def _take(
    parser: PushMultipartParser, body: Body, spool: Path, parts: dict[str, Spooled], files: ExitStack, form: Form
) -> None:  # fmt: skip
    name = ""
    for event in parser.parse_blocking(body.read):
        if isinstance(event, MultipartSegment):
            place, (name, content_type) = len(parts) + 1, form[len(parts)]
            if event.name != name or event.content_type != content_type:
                raise wrong(f"body: part {place} is not {name} of type {content_type}")
            file = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115 - closed by the stack
            parts[name] = Spooled(files.enter_context(file))
        elif event:
            parts[name].add(bytes(event))
            if parts[name].length > LARGEST.get(name, parts[name].length):
                raise too_large()
