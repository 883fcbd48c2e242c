#!/usr/bin/env python3
"""Writes what a RIS offers as a PostgreSQL view into the node's drop folder: an example to copy and change.

The view has a row for each exam: "exam_id", "changed" (a timestamp that grows with every change of the row), "pdf" (the
path of the report's PDF, may be null), and a column for each field of the exam JSON by its path: "Patient.Name",
"Order.Status", "Study.StudyInstanceUIDs" (an array), "Order.Procedures" (json). Other names take [reports] mapping.

It may be killed at any time: each file is written beside its name and renamed, the PDF before its JSON, and only then
the state is noted. What was not noted is written again, which the node takes for what it has. Needs psycopg (3).

    view_export.py --database service=ris --view imaging_export --folder /srv/ris --state export.json --since 2026-12-01
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

OVERLAP = timedelta(minutes=30)  # rows are looked at again for so long: a slow transaction shows its row late


def put(path: Path, data: bytes) -> None:
    """Write the file so that it is there whole, or not at all. The node leaves *.tmp alone."""
    beside = path.with_name(path.name + ".tmp")
    with beside.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    beside.replace(path)
    with contextlib.suppress(OSError):  # some shares know no such call for a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def document(row: dict) -> bytes:
    """The exam JSON of a row: "Patient.Name" is Name of the object Patient; times as the standard writes them."""
    made = {"ExamId": row["exam_id"]}
    for column, value in row.items():
        if column not in ("exam_id", "changed", "pdf") and value is not None:
            *parents, key = column.split(".")
            holder = made
            for parent in parents:
                holder = holder.setdefault(parent, {})
            holder[key] = f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value
    return json.dumps(made, ensure_ascii=False, indent=1, default=str).encode()


def export(row: dict, folder: Path, known: str | None) -> str:
    """Write a row's files where they are not `known`, by their digest. OSError while its PDF cannot be read."""
    data, pdf = document(row), Path(row["pdf"]).read_bytes() if row["pdf"] else b""
    digest = hashlib.sha256(data + b"\0" + pdf).hexdigest()
    if digest != known:
        name = "exam-" + quote(row["exam_id"], safe="")
        if pdf:
            put(folder / f"{name}.pdf", pdf)
        put(folder / f"{name}.json", data)
    return digest


def once(database: str, view: str, folder: Path, state_file: Path, since: str) -> int:
    """Export what has changed, and note it; how many rows are left for the next time: their PDF cannot be read."""
    state = json.loads(state_file.read_text()) if state_file.exists() else {"since": since, "written": {}}
    query = sql.SQL("SELECT * FROM {} WHERE changed >= %s ORDER BY changed").format(sql.Identifier(*view.split(".")))
    written, left, last = {}, [], datetime.fromisoformat(state["since"]).astimezone()
    with psycopg.connect(database, row_factory=dict_row) as connection, connection.cursor("export") as rows:
        for row in rows.execute(query, [last]):
            key, changed = str(row["exam_id"]), row["changed"].astimezone()
            try:
                written[key] = [changed.isoformat(), export(row, folder, state["written"].get(key, ["", ""])[1])]
            except OSError as error:
                sys.stderr.write(f"a row changed {changed} is left for the next time: {error.strerror}\n")
                left.append(changed)
            last = max(last, changed)
    begin = min([*left, max(last - OVERLAP, datetime.fromisoformat(state["since"]).astimezone())])
    kept = {key: one for key, one in written.items() if datetime.fromisoformat(one[0]) >= begin}
    put(state_file, json.dumps({"since": begin.isoformat(), "written": kept}).encode())
    return len(left)


def main() -> None:
    """One export, or one every so many seconds; a second one at the same time ends at once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, kind in (("database", str), ("view", str), ("folder", Path), ("state", Path), ("since", str)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--every", type=float, help="seconds; once without it")
    given = parser.parse_args()
    with given.state.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        while True:
            with contextlib.suppress(psycopg.OperationalError) if given.every else contextlib.nullcontext():
                once(given.database, given.view, given.folder, given.state, given.since)
            if not given.every:
                return
            time.sleep(given.every)


if __name__ == "__main__":
    main()
