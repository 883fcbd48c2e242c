"""Gates in the database: whoever comes to a shut one stands within its transaction, in a phase that is known."""

from typing import Any

import psycopg

from router.catalogue.db.engine import _NAME_LOCK

_GATES = 0x67617465  # a lock of a name of the node's own has another number
# The phase: when its trigger fires. Each is within the transaction that does the phase's work.
_TRIGGERS = {
    "cataloguing": "AFTER INSERT ON instance FOR EACH STATEMENT",
    "claiming": "AFTER UPDATE ON delivery FOR EACH ROW WHEN (old.state = 'ready' AND new.state = 'sending')",
    "recording": "AFTER UPDATE ON ledger FOR EACH ROW WHEN (old.state = 'selected' AND new.state = 'sent')",
    "settling": "AFTER UPDATE ON delivery FOR EACH ROW WHEN (old.state = 'sending' AND new.state = 'delivered')",
}
PHASES = tuple(_TRIGGERS)
_FUNCTION = f"""
    CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_lock_shared({_GATES}, TG_ARGV[0]::integer);
        PERFORM pg_advisory_unlock_shared({_GATES}, TG_ARGV[0]::integer);
        RETURN NULL;
    END $$
"""
_WAITING = f"""
    SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = {_GATES} AND objid = %s AND NOT granted
"""
_LOCKED = f"""
    SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND classid = {_NAME_LOCK} AND granted AND application_name = %s
"""
_SENDING = """
    SELECT lease_owner FROM delivery WHERE state = 'sending' AND channel = 'images' AND EXISTS (
        SELECT 1 FROM exam_study JOIN study ON study.uid = study_uid JOIN ledger ON ledger.study = study.id
        WHERE exam_study.exam_id = delivery.exam_id AND ledger.state = 'selected')
"""
_DELIVERED = """
    SELECT COUNT(*) FROM delivery JOIN exam ON exam.id = delivery.exam_id
    WHERE state = 'delivered' AND exam.exam_id = ANY(%s)
"""


class Gates:
    """The gates of a database that has its tables. A node's sessions bear its name (`application_name`)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self.rows(_FUNCTION)
        for number, (phase, when) in enumerate(_TRIGGERS.items()):
            self.rows(f"CREATE TRIGGER gate_{phase} {when} EXECUTE FUNCTION pass_gate('{number}')")

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement gives; a connection that was lost is replaced."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=6)
        cursor = self._connection.execute(sql.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def shut(self, phase: str) -> None:
        """Let nobody through."""
        self.rows("SELECT pg_advisory_lock(%s, %s)", _GATES, PHASES.index(phase))

    def open(self, phase: str) -> None:
        """Let everybody through."""
        self.rows("SELECT pg_advisory_unlock(%s, %s)", _GATES, PHASES.index(phase))

    def waiting(self, phase: str) -> dict[int, str]:
        """The sessions that stand there, and whose they are."""
        return dict(self.rows(_WAITING, PHASES.index(phase)))

    def is_cataloguing(self, node: str) -> bool:
        """Whether a session of the node has a study locked."""
        return bool(self.rows(_LOCKED, node))

    def sending(self) -> set[str]:
        """The nodes that are sending images, of which some have not gone."""
        return {node for (node,) in self.rows(_SENDING)}

    def delivered(self, exams: list[str]) -> int:
        """How many deliveries of these exams are."""
        ((found,),) = self.rows(_DELIVERED, exams)
        return int(found)

    def alarms(self) -> list[str]:
        """Those that stand, and what each is about."""
        rows = self.rows("SELECT alarm, subject, text FROM open_alarm")
        return [f"{alarm} of {subject}: {text}" for alarm, subject, text in rows]

    def close(self) -> None:
        """Every gate is open."""
        if self._connection is not None:
            self._connection.close()
