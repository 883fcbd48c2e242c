"""Received exams and their receipts: both are durable before a receipt is sent."""

import json
import os
import shutil
import threading
from dataclasses import asdict, dataclass
from io import BufferedRandom
from pathlib import Path
from urllib.parse import quote

from router.errors import IntegrityError
from router.trial.platform.durable import make_folder, new_file, place, sync, sync_folder
from router.trial.platform.forgetting import Forgetting

_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A line of receipts.jsonl. `exam` is the folder below exams/, digests are SM3 of the plaintexts in hex."""

    receipt: str
    idem: str
    nonce: str
    ts: int
    org: str
    app: str
    exam: str
    revision: int
    exam_sm3: str
    report_sm3: str
    branch: str = ""


def folder_name(exam_id: str) -> str | None:
    """An ExamId as a folder's name; None when it is too long, or has half a surrogate pair."""
    if not exam_id.isascii() and any("\ud800" <= character <= "\udfff" for character in exam_id):
        return None
    name = "".join(character if character in _SAFE else quote(character, safe="") for character in exam_id)
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    return name if 0 < len(name) <= _LONGEST_NAME else None


class ExamFolder:
    """exams/ and receipts.jsonl in the platform's data folder; one process at a time.

    An exam is one ExamId of one branch of one organisation. Where these are kept `apart` its folder is
    `<org>/<branch>/<ExamId>`, else `<ExamId>`, and `<ExamId>@<org>@<branch>` where another one has that.
    """

    def __init__(
        self, data: Path, spool: Path, *, apart: bool = False, forgets: Forgetting | None = None
    ) -> None:  # fmt: skip
        """Read earlier receipts; IntegrityError for a line that is no receipt, unless it is the last and cut off."""
        self._exams = data / "exams"
        self._spool = spool
        self._ledger = data / "receipts.jsonl"
        make_folder(data)
        self._apart = apart
        self._by_idem = {(receipt.org, receipt.idem): receipt for receipt in _read_ledger(self._ledger)}
        self._owners = {one.exam: (one.org, one.branch) for one in self._by_idem.values()}
        self._forgets = forgets or Forgetting(None, 0)
        self._lock = threading.Lock()

    def known(self, org: str, idem: str) -> Receipt | None:
        """The receipt for this idem of the organisation."""
        return self._by_idem.get((org, idem))

    def folder(self, org: str, branch: str, exam_id: str) -> str | None:
        """The exam's folder below exams/, its own from now on; None when one of its names cannot be a folder's."""
        name, part = folder_name(exam_id), folder_name(branch or "-")
        if name is None or part is None:
            return None
        if self._apart:
            return f"{org}/{part}/{name}"
        with self._lock:
            owner = self._owners.setdefault(name, (org, branch))
        if owner in ((org, branch), (org, "")):  # receipts of before do not name the branch
            return name
        longer = f"{name}@{org}@{part}"
        return longer if len(longer) <= _LONGEST_NAME else None

    def accepted(self, org: str) -> list[Receipt]:
        """The receipts of the organisation that are remembered, in the order of their times."""
        with self._lock:
            found = [one for (owner, _), one in self._by_idem.items() if owner == org]
        return sorted(found, key=lambda one: (one.ts, one.idem))

    def latest(self, org: str, branch: str, exam_id: str) -> Receipt | None:
        """The last revision of an exam of the organisation's branch; None where there is no such exam."""
        name = folder_name(exam_id)
        if name is None:
            return None
        mine = [
            one for one in self.accepted(org)
            if one.branch == branch and one.exam.rpartition("/")[2].partition("@")[0] == name
        ]  # fmt: skip
        return max(mine, key=lambda one: one.revision, default=None)

    def spool_file(self) -> BufferedRandom:
        """A file for a plaintext under way; the caller unlinks it unless it is stored."""
        return new_file(self._spool)

    def store(self, receipt: Receipt, exam: bytes, report: Path) -> Receipt:
        """Store both and record the receipt; where another request with this idem was quicker, return that one's."""
        with self._lock:
            if (first := self.known(receipt.org, receipt.idem)) is not None:
                return first
            target = self._exams / receipt.exam / str(receipt.revision)
            with self.spool_file() as file:
                file.write(exam)
                sync(file)
            place(Path(file.name), target / "exam.json")
            place(report, target / "report.pdf")
            if self._forgets.forget(receipt.org, receipt.idem):
                shutil.rmtree(target)
                return receipt
            self._append(receipt)
            self._by_idem[receipt.org, receipt.idem] = receipt
            return receipt

    def _append(self, receipt: Receipt) -> None:
        whole = self._ledger.stat().st_size
        try:
            with self._ledger.open("ab") as file:
                file.write(json.dumps(asdict(receipt)).encode() + b"\n")
                sync(file)
        except OSError:
            os.truncate(self._ledger, whole)
            raise


def _read_ledger(path: Path) -> list[Receipt]:
    if not path.exists():
        path.touch(mode=0o600)
        sync_folder(path.parent)
    receipts, end = [], 0
    with path.open("r+b") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):  # an incomplete line was never confirmed
                try:
                    receipts.append(Receipt(**json.loads(line)))
                except (ValueError, TypeError) as error:
                    raise IntegrityError(f"{path}, line {number}: not a receipt") from error
                end += len(line)
        file.truncate(end)
        sync(file)
    return receipts
