"""A look at two nodes while they work: how long nothing was confirmed, and what was sent again after it was."""

import re
import threading
import time
from collections import Counter
from typing import Any

import psycopg
from hospital_load import Load
from pair import Pair

_PAUSE = 0.2
_STORED = re.compile(rb"C-STORE 0000 sop_instance=(\S+)[^\n]*\n")
_DELIVERED = """
    SELECT exam.exam_id, COUNT(*) FROM delivery JOIN exam ON exam.id = delivery.exam_id
    WHERE state = 'delivered' AND exam.exam_id = ANY(%s) GROUP BY 1
"""
_CATALOGUED = """
    SELECT study.uid, COUNT(DISTINCT sop_uid) FROM instance JOIN study ON study.id = study_id
    WHERE study.uid = ANY(%s) GROUP BY 1
"""
_SENT = """
    SELECT sop_uid FROM ledger JOIN instance ON instance.id = instance_id JOIN study ON study.id = study_id
    WHERE ledger.state = 'sent' AND study.uid = ANY(%s)
"""
_CHANNELS = 2


class Watch:
    """Watches one round. A standstill is the time, in seconds, in which nothing was confirmed though something was due
    and the server and a node were well; the caller says when the server is not (`server_is_well`).
    """

    def __init__(self, pair: Pair, load_: Load) -> None:
        self.server_is_well = True
        self.longest = 0.0
        self.requests: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self._pair, self._load = pair, load_
        self._studies = [exam.study.uid for exam in load_.exams]
        self._exams = [exam.id for exam in load_.exams]
        self._confirmed: dict[str, int] = {}
        self._read = 0
        self._since, self._seen = time.monotonic(), (0, 0, 0)
        self._connection: psycopg.Connection[Any] | None = None
        self._stopping = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look a last time; raises what went wrong in a look."""
        self._stopping.set()
        self._thread.join(60)
        if self._fault is not None:
            raise self._fault
        self._look()
        if self._connection is not None:
            self._connection.close()

    @property
    def is_well(self) -> bool:
        """Whether the server and a node are well."""
        return self.server_is_well and any(node.well for node in self._pair.nodes)

    def _run(self) -> None:
        try:
            while not self._stopping.wait(_PAUSE):
                if not self.is_well:
                    self._since = time.monotonic()
                    continue
                try:
                    self._look()
                except psycopg.OperationalError:  # its server stops, or was stopped
                    self._connection = None
        except BaseException as error:  # noqa: BLE001  # raised by `stop`
            self._fault = error

    def _look(self) -> None:
        delivered = dict(self._rows(_DELIVERED, self._exams))
        is_due = self._is_due(delivered)
        sent = [uid for (uid,) in self._rows(_SENT, self._studies)]
        self._count_requests()
        now = time.monotonic()
        seen = self.requests.total(), self._receipts(), sum(delivered.values())
        if seen != self._seen or not is_due or not self.is_well:
            self._seen, self._since = seen, now
        self.longest = max(self.longest, now - self._since)
        for uid in sent:
            self.again[uid] = self.requests[uid] - self._confirmed.setdefault(uid, self.requests[uid])

    def _is_due(self, delivered: dict[str, int]) -> bool:
        """Whether something is to be delivered that does not wait in the folder of a node that stands still."""
        frozen = any(node.frozen for node in self._pair.nodes)
        catalogued = dict(self._rows(_CATALOGUED, self._studies)) if frozen else {}
        dropped, acknowledged = set(self._load.dropped), set(self._load.acknowledged)
        for exam in self._load.exams:
            came = sum(file.sop_instance in acknowledged for file in exam.study.files)
            is_here = not frozen or catalogued.get(exam.study.uid, 0) >= came
            is_approved = {f"{exam.id}.json", f"{exam.id}.pdf"} <= dropped
            if came and is_here and is_approved and delivered.get(exam.id, 0) < _CHANNELS:
                return True
        return False

    def _rows(self, sql: str, names: list[str]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = psycopg.connect(self._pair.server.url, autocommit=True, connect_timeout=6)
        return self._connection.execute(sql.encode(), [names]).fetchall()

    def _receipts(self) -> int:
        path = self._pair.site.platform_data / "receipts.jsonl"
        return path.stat().st_size if path.exists() else 0

    def _count_requests(self) -> None:
        with (self._pair.site.folder / "platform.log").open("rb") as log:
            log.seek(self._read)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        self.requests.update(uid.decode() for uid in _STORED.findall(whole))
