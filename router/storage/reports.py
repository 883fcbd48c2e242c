"""reports/: the node's own copies of what the RIS dropped, and what was sent of it.

`reports/<exam number>/<revision>/exam.json`, `exam.xml`, `exam.hl7` or `report.pdf`, each with `source.json` (where it
came from, and of a PDF what its text says);
`reports/unpaired/<document number>/report.pdf` while no exam is known for it;
`reports/<exam number>/sent/<destination>/<n>/exam.json`, `receipt.json`; `exam~<claim>.json` where another node's is
there already.
"""

import base64
import json
import shutil
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from router.storage.durable import (
    link,
    make_folder,
    make_tree,
    sync_folder,
    sync_tree,
    write,
    write_all,
    write_beside,
)

NAMES = {"json": "exam.json", "xml": "exam.xml", "hl7": "exam.hl7", "pdf": "report.pdf"}
_SOURCE = "source.json"


def note(
    name: str, digest: str, file_time: datetime, *, checksum: str, text: str | None = None,
    made: datetime | None = None, hospital: str = "",
) -> dict[str, object]:  # fmt: skip
    """The note kept beside a document: where it came from; of a PDF its text, compressed, and when it was made.

    `checksum` is SHA-256 of the document, "" where it is not known. `text` is None where none was read: of a JSON, and
    of a PDF whose text could not be read in time. `hospital` is where a JSON was filed, "" in a node that serves
    one alone.
    """
    packed = None if text is None else base64.b64encode(zlib.compress(text.encode("utf-8", "replace"))).decode()
    known = {"checksum": checksum or None, "text": packed, "made": made and made.isoformat()}
    source = {"name": name, "digest": digest, "file_time": file_time.isoformat()}
    source |= {"hospital": hospital} if hospital else {}
    return source | {key: value for key, value in known.items() if value is not None}


def text_of(source: Mapping[str, Any]) -> str | None:
    """The text that is kept in a note; None where there is none, as in old notes."""
    packed = source.get("text")
    return None if packed is None else zlib.decompress(base64.b64decode(packed)).decode()


def made_at(source: Mapping[str, Any]) -> datetime | None:
    """When the PDF of a note was made; None where it does not say so."""
    made = source.get("made")
    return None if made is None else datetime.fromisoformat(made)


class Reports:
    """The tree of report documents. Paths are given and taken relative to the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        make_folder(data / "reports")

    def place(self, form: str, exam: int | None, number: int) -> str:
        """Place of a document by `form` (json, xml, hl7, pdf): `number` is its revision, or its own while unpaired."""
        return f"reports/{exam if exam is not None else 'unpaired'}/{number}/{NAMES[form]}"

    def taken(self, place: str) -> bool:
        """Whether the place is taken: a crash may have left files that no row names."""
        return (self._data / place).parent.exists()

    def copies(self) -> "Copies":
        """Documents that become durable together."""
        return Copies(self._data)

    def path(self, place: str) -> Path:
        """The document's file."""
        return self._data / place

    def read(self, place: str) -> bytes:
        """The document's bytes."""
        return (self._data / place).read_bytes()

    def source(self, place: str) -> Mapping[str, Any]:
        """The note beside a document; empty where it is gone or cannot be read."""
        try:
            found = json.loads((self._data / place).with_name(_SOURCE).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, place: str, source: Mapping[str, object]) -> None:
        """Replace the note beside a document, durably."""
        write((self._data / place).with_name(_SOURCE), json.dumps(source, ensure_ascii=False).encode())

    def sent_place(self, exam: int, destination: str, n: int, name: str) -> str:
        """The place of `exam.json` or `receipt.json` of the n-th upload of an exam to a destination."""
        return f"reports/{exam}/sent/{destination}/{n}/{name}"

    def write(self, place: str, data: bytes, claim: int) -> str:
        """Keep a file that the node made itself, durably; its place, which is another one where the place is taken.

        A node that was frozen and has lost its `claim` may still write: it leaves alone what the next one wrote, and
        sent. The claim's number is in the name then: `exam~3.json`.
        """
        path = self._data / place
        own = path.with_name(f"{path.stem}~{claim}{path.suffix}")
        return write_beside(path, data, own).relative_to(self._data).as_posix()

    def remove(self, places: Iterable[str]) -> None:
        """Remove folders of documents that no row needs, durably; what is gone already is skipped."""
        for place in places:
            folder = self._data / place
            if folder.exists():
                shutil.rmtree(folder)
                sync_folder(folder.parent)

    def walk(self) -> Iterator[Path]:
        """Every document as it was taken, without uploads."""
        for name in NAMES.values():
            found = (self._data / "reports").glob(f"*/*/{name}")
            yield from (path for path in found if path.parts[-2].isdigit())


class Copies:
    """Durable copies of several documents, each with a note of its source, and new places for earlier ones.

    Nothing is written before `close`. Old places are kept until `forget`, so that the rows can follow in between.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._files: dict[Path, bytes] = {}
        self._links: dict[Path, Path] = {}
        self._stay: set[Path] = set()
        self._dropped: set[Path] = set()

    def keep(self, place: str, data: bytes, source: Mapping[str, object]) -> None:
        """A new document."""
        path = self._data / place
        self._files[path.with_name(_SOURCE)] = json.dumps(source, ensure_ascii=False).encode()
        self._files[path] = data

    def move(self, old: str, new: str, *, stays: bool = False) -> None:
        """Move a document to the place of its exam; it `stays` at the old one, too, where that is in use."""
        if stays:
            self._stay.add((self._data / old).parent)
        for name in (_SOURCE, Path(old).name):
            source, target = self._data / Path(old).with_name(name), self._data / Path(new).with_name(name)
            if source in self._files:
                self._files[target] = self._files.pop(source)
            else:
                self._links[target] = self._links.pop(source, source)

    def drop(self, place: str) -> None:
        """A copy that another one replaces."""
        self._dropped.add((self._data / place).parent)

    def close(self) -> None:
        """Make everything durable."""
        write_all(self._files)
        for target, source in self._links.items():
            deque(make_tree(target.parent))
            link(source, target)
        sync_tree({path.parent for path in (*self._files, *self._links)}, self._data / "reports")

    def forget(self) -> None:
        """Remove the former places of what was moved or replaced."""
        for folder in self._dropped:
            shutil.rmtree(folder, ignore_errors=True)
        for source in self._links.values():
            if source.parent not in self._stay:
                source.unlink(missing_ok=True)
        for folder in {source.parent for source in self._links.values()} - self._stay:
            folder.rmdir()
