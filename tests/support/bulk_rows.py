"""A node's database after months, by SQL in bulk: 50,000 exams with two deliveries each."""

from pathlib import Path

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.events import EventBus
from support.catalogue_rows import driver

EXAMS = 50_000
OPEN = 2_000


def fill(data: Path, exams: int = EXAMS) -> None:
    """Of so many exams OPEN are ready, half of them late; ten of them held."""
    catalogue = open_catalogue("", data, EventBus())
    now = int(SystemClock().now().timestamp() * 1e6)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {exams})"
    due = f"CASE WHEN i <= {OPEN // 2} THEN {now} - i ELSE {now} + 86400000000 END"
    state = f"CASE WHEN i <= 10 THEN 'held' WHEN i <= {OPEN} THEN 'ready' ELSE 'delivered' END"
    with catalogue.engine.write():
        sql = driver(catalogue).execute_sql
        sql(f"""INSERT INTO exam (hospital, branch, exam_id, accession_number, patient_id, patient_name, touched,
            revisions, doubt, created, approved_at) {numbers}
            SELECT '', '01', 'E' || i, 'A' || i, 'P', '张三', 0, 1, '', {now},
            {now} - 7200000000 FROM n""")
        for channel in ("images", "report"):
            sql(f"""INSERT INTO delivery (exam_id, hospital, destination, channel, state, waiting_for, due, legal_due,
                attempts, error, held_by, lease, lease_owner, wanted, delivered, created, changed) {numbers}
                SELECT i, '', 'cloud', '{channel}', {state}, '', {due}, {due}, 1, '', '', 0, '', '', '', {now}, {now}
                FROM n""")
    catalogue.nodes.beat("node")
    catalogue.engine.close_thread()
