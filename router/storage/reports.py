"""reports/: the node's own copies of what the RIS dropped, and what was sent of it.

`reports/<exam number>/<revision>/exam.json` or `report.pdf`, each with `source.json` (where it came from);
`reports/unpaired/<document number>/report.pdf` while no exam is known for it;
`reports/<exam number>/sent/<destination>/<n>/exam.json`, `receipt.json`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from router.storage.durable import link, make_folder, sync_folder, write

NAMES = {"json": "exam.json", "pdf": "report.pdf"}


class Reports:
    """The tree of report documents. Paths are given and taken relative to the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        make_folder(data / "reports")

    def place(self, kind: str, exam: int | None, number: int) -> str:
        """Where a document belongs: `number` is the revision in its exam, or the document's own while unpaired."""
        return f"reports/{exam if exam is not None else 'unpaired'}/{number}/{NAMES[kind]}"

    def keep(self, place: str, data: bytes, source: Mapping[str, object]) -> None:
        """Durable copy of a document, with a note of its source."""
        path = self._data / place
        write(path.with_name("source.json"), json.dumps(source, ensure_ascii=False).encode())
        write(path, data)

    def move(self, old: str, new: str) -> None:
        """Give a document that has found its exam its new place; the old one goes with `forget`."""
        for name in (Path(old).name, "source.json"):
            source, target = self._data / Path(old).with_name(name), self._data / Path(new).with_name(name)
            make_folder(target.parent)
            link(source, target)
        sync_folder((self._data / new).parent)

    def forget(self, place: str) -> None:
        """Remove the former place of a document that was moved."""
        folder = (self._data / place).parent
        for name in (Path(place).name, "source.json"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()

    def path(self, place: str) -> Path:
        """The document's file."""
        return self._data / place

    def read(self, place: str) -> bytes:
        """The document's bytes."""
        return (self._data / place).read_bytes()

    def sent_place(self, exam: int, destination: str, n: int, name: str) -> str:
        """Where the n-th upload of an exam to a destination keeps `exam.json` or `receipt.json`."""
        return f"reports/{exam}/sent/{destination}/{n}/{name}"

    def write(self, place: str, data: bytes) -> None:
        """Keep a file that the node made itself, durably."""
        write(self._data / place, data)

    def walk(self) -> Iterator[Path]:
        """Every document as it was taken; what was sent is not among them."""
        for name in NAMES.values():
            for path in (self._data / "reports").glob(f"*/*/{name}"):
                if path.parts[-2].isdigit():
                    yield path
