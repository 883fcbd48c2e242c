"""daily/: what the node reports of each day, `<day>.txt` and tables beside it. The text is written last: with it the
day is done, whichever node did it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from router.storage.durable import make_folder, write


class Dailies:
    """The reports of days, by the hospital's calendar."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "daily"

    def done(self) -> list[date]:
        """The days that are reported on, in order."""
        return sorted(day for path in self.folder.glob("*.txt") if (day := _day(path)) is not None)

    def write(self, day: date, tables: Mapping[str, bytes], text: str) -> Path:
        """Put down a day: `<day>-<name>.csv` for each table, then its text; where that is."""
        make_folder(self.folder)
        for name, table in tables.items():
            write(self.folder / f"{day}-{name}.csv", table)
        write(self.folder / f"{day}.txt", text.encode())
        return self.folder / f"{day}.txt"

    def prune(self, before: date) -> None:
        """Remove what is older."""
        for path in self.folder.glob("*"):
            if (day := _day(path)) is not None and day < before:
                path.unlink(missing_ok=True)


def _day(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.stem[:10])
    except ValueError:
        return None
