"""Steps that bring the tables from each released version to the next.

The database that they are applied to is in `schema`.
"""

import re
from collections.abc import Callable, Sequence

from router.catalogue.db.engine import Engine

FIRST_SCHEMA = 1  # of the first release; those after it are made by STEPS
Step = Callable[[Engine], None]


def _readings(engine: Engine) -> None:
    """Rules by which the texts of an identity were read; older identities are read again when they are needed."""
    engine.execute("ALTER TABLE study_identity ADD COLUMN reading INTEGER DEFAULT 0 NOT NULL")
    forget_expired(engine)


def forget_expired(engine: Engine) -> None:
    """Notes of expired retention (113039) reject nothing; part of the step above."""
    note = "SELECT 1 FROM instance JOIN facts ON facts.id = instance.facts_id WHERE instance.id = reference.instance_id"
    like = f"facts.body LIKE {engine.database.param}"
    sql = f"DELETE FROM reference WHERE purpose = 'rejection' AND EXISTS ({note} AND {like})"  # noqa: S608 our own text
    engine.execute(sql, ('%"113039|%',))


def _cut(engine: Engine) -> None:
    """Place where an instance's data set breaks off; older instances were taken for whole."""
    engine.execute("ALTER TABLE instance ADD COLUMN cut TEXT NOT NULL DEFAULT ''")
    _without_default(engine, "instance", "cut")


def _without_default(engine: Engine, table: str, column: str) -> None:
    """Drop a default that only the older rows need; SQLite keeps it, where it does no harm."""
    if engine.database.param == "%s":
        engine.execute(f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")


def _checksums(engine: Engine) -> None:
    """Checksums that stored files are compared with before they leave, and why one is set aside."""
    for table, column in (
        ("instance", "checksum"), ("instance", "damaged"), ("document", "checksum"), ("document", "damaged"),
        ("upload", "exam_checksum"), ("upload", "pdf_checksum"),
    ):  # fmt: skip
        engine.execute(f'ALTER TABLE "{table}" ADD COLUMN "{column}" TEXT')
    engine.execute('CREATE INDEX "instance_damaged" ON "instance" ("study_id") WHERE ("damaged" IS NOT NULL)')


def _evidence_of_pdfs(engine: Engine) -> None:
    """Evidence that chose a report PDF, and how far each source's PDFs can be told by text, time and labels."""
    for column in ("evidence TEXT", "pdf INTEGER", "candidate INTEGER", "weighed INTEGER"):
        engine.execute(f"ALTER TABLE exam ADD COLUMN {column}")
    for column in ("message", "unread", "learnt"):
        engine.execute(f"ALTER TABLE document ADD COLUMN {column} INTEGER")
    engine.execute("UPDATE exam SET patient_id = substr(patient_id, 1, 500) WHERE length(patient_id) > 500")
    engine.execute('CREATE INDEX "exam_patient_id" ON "exam" ("patient_id")')
    engine.execute('CREATE INDEX "document_unread" ON "document" ("arrived") WHERE unread = 1')
    columns = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("agreed", "offsets", "labels"))
    engine.execute(f'CREATE TABLE "pdf_source" ("name" TEXT NOT NULL PRIMARY KEY, {columns})')


def _settings(engine: Engine) -> None:
    """Settings of the data folder; an older one keeps the first set of checks until a person says otherwise."""
    engine.execute('CREATE TABLE "setting" ("name" TEXT NOT NULL PRIMARY KEY, "value" TEXT NOT NULL)')
    engine.execute("INSERT INTO setting (name, value) VALUES ('checks', '1')")


def _withheld(engine: Engine) -> None:
    """Instances that wait for another exam's approval are found without reading all of their study's."""
    engine.execute("""CREATE INDEX "ledger_withheld" ON "ledger" ("study") WHERE state = 'withheld'""")


def _set_aside(engine: Engine) -> None:
    """Retention removes from done/ and rejected/ only what is noted here; what lies there is noted when it looks."""
    columns = '"key" TEXT NOT NULL PRIMARY KEY, "home" TEXT NOT NULL, "place" TEXT NOT NULL, "mark" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "set_aside" ({columns}, "at" {engine.whole} NOT NULL)')
    engine.execute('CREATE INDEX "setasiderow_at" ON "set_aside" ("at")')


def _heads(engine: Engine) -> None:
    """Signed heads of the audit trail; of an older trail nothing was signed."""
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("seal", "at", "chain", "key", "signature", "accepted"))
    numbers = f'"number" INTEGER NOT NULL, "n" {engine.whole} NOT NULL'
    engine.execute(
        f'CREATE TABLE "audit_head" ("node" TEXT NOT NULL, {numbers}, {texts}, PRIMARY KEY ("node", "number"))'
    )


def _attention(engine: Engine) -> None:
    """Alarms say which destination they concern; exams whose approval cannot be read are known, and looked for."""
    engine.execute("ALTER TABLE open_alarm ADD COLUMN destination TEXT NOT NULL DEFAULT ''")
    of_delivery = "(SELECT destination FROM delivery WHERE delivery.id = open_alarm.delivery)"
    engine.execute(f"UPDATE open_alarm SET destination = COALESCE({of_delivery}, '')")  # noqa: S608 our own text
    _without_default(engine, "open_alarm", "destination")
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("source", "part", "word"))
    exam = '"exam_id" INTEGER NOT NULL PRIMARY KEY'
    refers = 'FOREIGN KEY ("exam_id") REFERENCES "exam" ("id")'
    engine.execute(f'CREATE TABLE "unread_approval" ({exam}, {texts}, "since" {engine.whole} NOT NULL, {refers})')
    timed = "SELECT exam_id FROM document WHERE kind = 'json' AND approve_time IS NOT NULL AND NOT approved"
    sql = f"UPDATE exam SET touched = touched + 1, check_at = {engine.now} WHERE id IN ({timed})"  # noqa: S608 our own text
    engine.execute(sql)


def _notifications(engine: Engine) -> None:
    """Messages about alarms, kept until they arrive. The former version has reported the alarms that are raised."""
    number = "BIGSERIAL" if engine.database.param == "%s" else "INTEGER"
    truth = "BOOLEAN" if engine.database.param == "%s" else "INTEGER"
    cause = '"alarm" TEXT NOT NULL, "destination" TEXT NOT NULL'
    about = f'"subject" TEXT NOT NULL, "text" TEXT NOT NULL, "exam" INTEGER, "delivery" INTEGER, "at" {engine.whole}'
    key = f'"id" {number} NOT NULL PRIMARY KEY'
    engine.execute(f'CREATE TABLE "alarm_news" ({key}, {cause}, "raised" {truth} NOT NULL, {about} NOT NULL)')
    once = 'PRIMARY KEY ("alarm", "destination")'
    engine.execute(f'CREATE TABLE "alarm_cause" ({cause}, "fold" TEXT NOT NULL, {once})')
    message = f'"way" TEXT NOT NULL, "at" {engine.whole} NOT NULL, "body" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "notification" ({key}, {message})')
    engine.execute('CREATE INDEX "notificationrow_way_id" ON "notification" ("way", "id")')
    columns = f'"since" {engine.whole} NOT NULL, "error" TEXT NOT NULL, "down" {truth} NOT NULL'
    name = '"name" TEXT NOT NULL PRIMARY KEY'
    engine.execute(f'CREATE TABLE "notification_way" ({name}, {columns}, "refused" INTEGER NOT NULL)')


def _unreported(engine: Engine) -> None:
    """Origins of studies, the number without a report by day, and senders of whom a person needs none."""
    engine.execute("ALTER TABLE study ADD COLUMN sending_address TEXT NOT NULL DEFAULT ''")
    _without_default(engine, "study", "sending_address")
    engine.execute('CREATE TABLE "unreported_day" ("day" TEXT NOT NULL PRIMARY KEY, "number" INTEGER NOT NULL)')
    texts = '"sender" TEXT NOT NULL PRIMARY KEY, "why" TEXT NOT NULL, "who" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "dismissed_sender" ({texts}, "at" {engine.whole} NOT NULL, "until" {engine.whole})')


def _folder_files(engine: Engine) -> None:
    """Files of the drop folder that wait for a person; names of older documents are not compared for nearness."""
    engine.execute('ALTER TABLE "document" ADD COLUMN "near" TEXT')
    engine.execute('CREATE INDEX "document_near" ON "document" ("near")')
    texts = ", ".join(
        f'"{name}" TEXT NOT NULL' for name in ("kind", "path", "near_key", "why", "text", "near", "branch")
    )
    numbers = '"exam" INTEGER, "document" INTEGER, "home" TEXT, "place" TEXT, "lies" TEXT'
    rest = f"""
        "kept" TEXT NOT NULL, "mark" TEXT NOT NULL, "since" {engine.whole} NOT NULL, "dismissed" {engine.whole},
        "who" TEXT NOT NULL, "because" TEXT NOT NULL
    """
    engine.execute(f'CREATE TABLE "folder_file" ("id" INTEGER NOT NULL PRIMARY KEY, {texts}, {numbers}, {rest})')
    for column in ("near_key", "exam", "document"):
        engine.execute(f'CREATE INDEX "folderfilerow_{column}" ON "folder_file" ("{column}")')
    engine.execute('CREATE UNIQUE INDEX "folderfilerow_path_kind" ON "folder_file" ("path", "kind")')
    engine.execute('CREATE TABLE "folder_count" ("name" TEXT NOT NULL PRIMARY KEY, "number" INTEGER NOT NULL)')


def _pauses(engine: Engine) -> None:
    """Pauses of sending, and the kind of an outage; that of a present one is known after the next probe."""
    columns = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("who", "why", "ended_by"))
    instants = f'"since" {engine.whole} NOT NULL, "until" {engine.whole}'
    key = 'PRIMARY KEY ("destination", "since")'
    engine.execute(f'CREATE TABLE "pause" ("destination" TEXT NOT NULL, {columns}, {instants}, {key})')
    engine.execute("ALTER TABLE breaker ADD COLUMN outage TEXT NOT NULL DEFAULT 'trouble'")
    _without_default(engine, "breaker", "outage")


def _refused_at_the_door(engine: Engine) -> None:
    """Refusals at the door; older ones are in log and audit only."""
    text, whole = "TEXT NOT NULL", f"{engine.whole} NOT NULL"
    names = ("day", "calling", "address", "called", "why", "study_uid", "place")
    key, columns = ", ".join(f'"{name}"' for name in names), ", ".join(f'"{name}" {text}' for name in names)
    numbers = f'"count" INTEGER NOT NULL, "first" {whole}, "last" {whole}'
    engine.execute(f'CREATE TABLE "refusal" ({columns}, "reason" {text}, {numbers}, PRIMARY KEY ({key}))')
    engine.execute('CREATE INDEX "refusalrow_study_uid" ON "refusal" ("study_uid")')
    engine.execute('CREATE INDEX "refusalrow_last" ON "refusal" ("last")')
    columns = ", ".join(f'"{name}" {text}' for name in ("kind", "calling", "address", "called", "why", "reason"))
    numbers = f'"count" INTEGER NOT NULL, "untracked" INTEGER NOT NULL, "first" {whole}, "last" {whole}'
    numbers += f', "stored" {engine.whole}, "dismissed" {engine.whole}, "dismissal" {text}'
    engine.execute(f'CREATE TABLE "refused_sender" ({columns}, {numbers}, PRIMARY KEY ("kind", "calling", "address"))')
    columns = f'"sop_uid" {text}, "calling" {text}, "address" {text}, "at" {whole}, "came" {engine.whole}'
    engine.execute(f'CREATE TABLE "refused_instance" ({columns}, PRIMARY KEY ("sop_uid", "calling", "address"))')


def _backfills(engine: Engine) -> None:
    """Backfills of what was approved before sharing began."""
    truth, whole = "BOOLEAN" if engine.database.param == "%s" else "INTEGER", f"{engine.whole} NOT NULL"
    columns = f'"first" {whole}, "last" {whole}, "at_night" {truth} NOT NULL, "per_hour" INTEGER, "who" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "backfill" ("since" {whole} PRIMARY KEY, {columns}, "until" {engine.whole})')
    place, key = '"destination" TEXT NOT NULL, "channel" TEXT NOT NULL', 'PRIMARY KEY ("destination", "channel")'
    engine.execute(f'CREATE TABLE "backfill_turn" ({place}, "at" {whole}, {key})')


def _short_names(engine: Engine) -> None:
    """Exams and deliveries are `e17` and `d85` in what alarms, doubts and reasons say, and in alarms' subjects."""
    for word, letter in (("exam", "e"), ("delivery", "d")):
        begins, behind = f"{word} %", len(word) + 2
        for table in ("open_alarm", "alarm_news"):
            renamed = f"UPDATE {table} SET subject = '{letter}' || substr(subject, {behind})"  # noqa: S608 our own text
            engine.execute(f"{renamed} WHERE subject LIKE {engine.database.param}", (begins,))
    for table, column in (
        ("open_alarm", "text"), ("exam", "doubt"), ("delivery", "error"), ("disagreement", "text"),
    ):  # fmt: skip
        _shorten(engine, table, column)


_LONG_NAME = re.compile(r"\bexam (?=\d+ (?:of another patient lists study|and not this one))")


def _shorten(engine: Engine, table: str, column: str) -> None:
    """Shorten names within reasons, for the step above: a reason with another name would be reported again."""
    given = engine.database.param
    found = f"SELECT DISTINCT {column} FROM {table} WHERE {column} LIKE {given}"  # noqa: S608 our own text
    renamed = f"UPDATE {table} SET {column} = {given} WHERE {column} = {given}"  # noqa: S608 our own text
    for (text,) in engine.execute(found, ("%exam %",)):
        if (short := _LONG_NAME.sub("e", text)) != text:
            engine.execute(renamed, (short, text))


def _absent_nodes(engine: Engine) -> None:
    """Nodes that were stopped or died; the table begins empty."""
    texts = '"name" TEXT NOT NULL PRIMARY KEY, "how" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "absent_node" ({texts}, "since" {engine.whole} NOT NULL, "taken" TEXT NOT NULL)')


def _shared_among_nodes(engine: Engine) -> None:
    """The associations of a destination are leased to nodes; the pace is that of all nodes together."""
    columns = f'"destination" TEXT NOT NULL, "number" INTEGER NOT NULL, "node" TEXT NOT NULL, "until" {engine.whole}'
    engine.execute(f'CREATE TABLE "slot" ({columns} NOT NULL, PRIMARY KEY ("destination", "number"))')
    engine.execute(f'ALTER TABLE "pace" ADD COLUMN "counted" {engine.whole}')


def _hospitals(engine: Engine) -> None:
    """Hospitals of exams and studies; all that is there is of the only one that there was."""
    engine.execute("ALTER TABLE exam ADD COLUMN hospital TEXT NOT NULL DEFAULT ''", ())
    _without_default(engine, "exam", "hospital")
    engine.execute('DROP INDEX "exam_branch_exam_id"', ())
    engine.execute('CREATE UNIQUE INDEX "exam_hospital_branch_exam_id" ON "exam" ("hospital", "branch", "exam_id")', ())
    columns = '"study_id" INTEGER NOT NULL, "hospital" TEXT NOT NULL, PRIMARY KEY ("study_id", "hospital")'
    refers = 'FOREIGN KEY ("study_id") REFERENCES "study" ("id") ON DELETE CASCADE'
    engine.execute(f'CREATE TABLE "study_hospital" ({columns}, {refers})', ())


def _accounts(engine: Engine) -> None:
    """Deliveries of a hospital are found by the index; breakers and paces are of an account of a destination."""
    engine.execute("ALTER TABLE delivery ADD COLUMN hospital TEXT NOT NULL DEFAULT ''")
    _without_default(engine, "delivery", "hospital")
    of_exam = "(SELECT hospital FROM exam WHERE exam.id = delivery.exam_id)"
    named = "(SELECT id FROM exam WHERE hospital <> '')"
    engine.execute(f"UPDATE delivery SET hospital = {of_exam} WHERE exam_id IN {named}")  # noqa: S608 our own text
    engine.execute('DROP INDEX "delivery_destination_channel_state_due"')
    columns = ", ".join(f'"{name}"' for name in ("destination", "channel", "state", "hospital", "due"))
    engine.execute(f'CREATE INDEX "delivery_destination_channel_state_hospital_due" ON "delivery" ({columns})')
    whole, text, count = engine.whole, "TEXT NOT NULL", "INTEGER NOT NULL"
    number = "DOUBLE PRECISION NOT NULL" if engine.database.param == "%s" else "REAL NOT NULL"
    _by_account(engine, "breaker", position=text, failures=count, width=count, since=f"{whole} NOT NULL",
                probe_at=whole, why=text, outage=text)  # fmt: skip
    _by_account(engine, "pace", units=number, seconds=number, counted=whole)


def _made_again(engine: Engine, table: str, names: Sequence[str], columns: str, **added: str) -> None:
    """Make a table again, of these columns: another key cannot be given to a table of SQLite. Rows keep the values of
    `names`, and get those `added`."""
    rows = engine.execute(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 our own text
    engine.execute(f"DROP TABLE {table}")
    engine.execute(f'CREATE TABLE "{table}" ({columns})')
    marks = ", ".join([engine.database.param] * (len(names) + len(added)))
    for row in rows:
        engine.execute(f"INSERT INTO {table} ({', '.join([*names, *added])}) VALUES ({marks})", [*row, *added.values()])  # noqa: S608 our own text


def _by_account(engine: Engine, table: str, **columns: str) -> None:
    """Make the table again with the account in its key, for the step above; its rows are of the common account."""
    place = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("destination", "channel", "account"))
    kinds = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    key = 'PRIMARY KEY ("destination", "channel", "account")'
    _made_again(engine, table, ("destination", "channel", *columns), f"{place}, {kinds}, {key}", account="")


def _hospitals_apart(engine: Engine) -> None:
    """Studies that an exam lists and that are of other hospitals; numbers of one patient are those of a hospital."""
    refers = 'PRIMARY KEY ("exam_id", "study_uid"), FOREIGN KEY ("exam_id") REFERENCES "exam" ("id")'
    columns = '"exam_id" INTEGER NOT NULL, "study_uid" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "foreign_study" ({columns}, {refers})')
    engine.execute('CREATE INDEX "foreignstudy_study_uid" ON "foreign_study" ("study_uid")')
    rows = engine.execute("SELECT old, new, why, who, at FROM alias")
    engine.execute("DROP TABLE alias")  # another key cannot be given to a table of SQLite
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("hospital", "old", "new", "why", "who"))
    key = 'PRIMARY KEY ("hospital", "old", "new")'
    engine.execute(f'CREATE TABLE "alias" ({texts}, "at" {engine.whole} NOT NULL, {key})')
    for row in rows:
        engine.execute(f"INSERT INTO alias VALUES ('', {', '.join([engine.database.param] * 5)})", row)  # noqa: S608 our own text


def _hospitals_of_alarms(engine: Engine) -> None:
    """Hospitals that alarms concern, and whose exams a backfill shares; those of before concern none alone."""
    for table in ("open_alarm", "alarm_news"):
        engine.execute(f"ALTER TABLE {table} ADD COLUMN hospital TEXT NOT NULL DEFAULT ''")
        _without_default(engine, table, "hospital")
    engine.execute("ALTER TABLE backfill ADD COLUMN hospital TEXT")


def _users(engine: Engine) -> None:
    """People who may log in at the console; the table begins empty."""
    truth = "BOOLEAN" if engine.database.param == "%s" else "INTEGER"
    truths = f'"initial" {truth} NOT NULL, "disabled" {truth} NOT NULL'
    whole, texts = engine.whole, ("key", "name", "role", "hospitals", "secret", "former")
    columns = ", ".join(f'"{name}" TEXT NOT NULL' for name in texts)
    instants = f'"changed" {whole} NOT NULL, "created" {whole} NOT NULL, "locked" {whole}, "seen" {whole}'
    numbers = f'"failures" INTEGER NOT NULL, {instants}, "removed" {whole}'
    engine.execute(f'CREATE TABLE "console_user" ({columns}, {truths}, {numbers}, PRIMARY KEY ("key"))')


def _pauses_of_hospitals(engine: Engine) -> None:
    """Pauses of one hospital's exams; those of before concern all."""
    names = ("destination", "who", "why", "ended_by", "since", "until")
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("destination", "hospital", "who", "why", "ended_by"))
    instants = f'"since" {engine.whole} NOT NULL, "until" {engine.whole}'
    key = 'PRIMARY KEY ("destination", "hospital", "since")'
    _made_again(engine, "pause", names, f"{texts}, {instants}, {key}", hospital="")


def _statistics(engine: Engine) -> None:
    """Statistics, counted from the rows by the node; critical values go first among what is due at the same time."""
    engine.execute("ALTER TABLE delivery ADD COLUMN critical INTEGER NOT NULL DEFAULT 0")
    names = ("hospital", "branch", "department", "modality", "device")
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in names)
    words = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("state", "reason", "miss", "whose"))
    counted = ("due", "uploaded", "report_on_time", "images_on_time", "on_time", "first_time")
    numbers = ", ".join(f'"{name}" INTEGER NOT NULL' for name in counted)
    common = f'"day" TEXT NOT NULL, {texts}, "critical" INTEGER NOT NULL, {words}'
    took = '"report_took" INTEGER, "images_took" INTEGER, "document" INTEGER'
    engine.execute(f'CREATE TABLE "outcome" ("key" TEXT NOT NULL PRIMARY KEY, {common}, {numbers}, {took})')
    engine.execute('CREATE INDEX "outcomerow_day" ON "outcome" ("day")')
    took = '"report_took" TEXT NOT NULL, "images_took" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "outcome_sum" ({common}, "exams" INTEGER NOT NULL, {numbers}, {took})')
    engine.execute('CREATE INDEX "outcomesum_day" ON "outcome_sum" ("day")')
    texts = '"source" TEXT NOT NULL PRIMARY KEY, "why" TEXT NOT NULL, "who" TEXT NOT NULL'
    engine.execute(f'CREATE TABLE "silent_source" ({texts}, "at" {engine.whole} NOT NULL)')


def _by_time(engine: Engine) -> None:
    """Exams are found by the time of their approval, deliveries by that of their last confirmation."""
    engine.execute('CREATE INDEX "exam_approved_at" ON "exam" ("approved_at")')
    engine.execute(
        'CREATE INDEX "delivery_delivered" ON "delivery" ("delivered_at") WHERE ("delivered_at" IS NOT NULL)'
    )


def _compared_with_destinations(engine: Engine) -> None:
    """Withdrawals and their stops, comparisons with destinations, proposed aliases; the tables begin empty."""
    count, text, whole = "INTEGER NOT NULL", "TEXT NOT NULL", f"{engine.whole} NOT NULL"
    postgres = engine.database.param == "%s"
    number = "SERIAL PRIMARY KEY" if postgres else "INTEGER NOT NULL PRIMARY KEY"
    truth = "BOOLEAN NOT NULL" if postgres else "INTEGER NOT NULL"
    for name in ("confirmed", "idem"):
        engine.execute(f'CREATE INDEX "upload_{name}" ON "upload" ("{name}")')
    names = ("idem", "notice_place", "notice_checksum", "receipt", "receipt_place", "ended")
    texts = ", ".join(f'"{name}" {text}' for name in ("why", "who", *names))
    refers = 'FOREIGN KEY ("delivery_id") REFERENCES "delivery" ("id")'
    engine.execute(
        f'CREATE TABLE "withdrawal" ("id" {number}, "delivery_id" {count}, "document" {count}, "n" {count},'
        f' "asked" {whole}, {texts}, "ended_at" {engine.whole}, {refers})'
    )
    engine.execute('CREATE INDEX "withdrawalrow_delivery_id" ON "withdrawal" ("delivery_id")')
    engine.execute('CREATE INDEX "withdrawalrow_asked" ON "withdrawal" ("asked")')
    texts = ", ".join(f'"{name}" {text}' for name in ("who", "why"))
    engine.execute(
        f'CREATE TABLE "withdrawal_stop" ("destination" {text}, "hospital" {text}, "branch" {text}, "since" {whole},'
        f' "until" {engine.whole}, {texts}, PRIMARY KEY ("destination", "hospital", "branch", "since"))'
    )
    texts = ", ".join(f'"{name}" {text}' for name in ("destination", "hospital", "day"))
    counts = ", ".join(f'"{name}" {count}' for name in ("ours", "theirs", "missing", "strange", "usual"))
    key = 'PRIMARY KEY ("destination", "hospital", "day")'
    engine.execute(f'CREATE TABLE "comparison" ({texts}, "at" {whole}, {counts}, "whole" {truth}, {key})')
    texts = ", ".join(f'"{name}" {text}' for name in ("hospital", "old", "new"))
    key = 'PRIMARY KEY ("hospital", "old", "new")'
    engine.execute(f'CREATE TABLE "proposed_alias" ({texts}, "at" {whole}, {key})')


def _returned(engine: Engine) -> None:
    """When a removed copy came again; of copies that came again before, nobody knows."""
    engine.execute(f'ALTER TABLE "document" ADD COLUMN "returned" {engine.whole}')


def _compared_images(engine: Engine) -> None:
    """Comparisons of images beside those of reports, of which all comparisons of before are."""
    names = ("destination", "hospital", "day", "at", "ours", "theirs", "missing", "strange", "usual", "whole")
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("destination", "hospital", "channel", "day"))
    counts = ", ".join(f'"{name}" INTEGER NOT NULL' for name in ("ours", "theirs", "missing", "strange", "usual"))
    truth = "BOOLEAN NOT NULL" if engine.database.param == "%s" else "INTEGER NOT NULL"
    key = 'PRIMARY KEY ("destination", "hospital", "channel", "day")'
    columns = ", ".join([texts, f'"at" {engine.whole} NOT NULL', counts, f'"whole" {truth}', key])
    _made_again(engine, "comparison", names, columns, channel="report")


def _causes_by_hospital(engine: Engine) -> None:
    """Causes of alarms as receivers of some hospitals know them; those of before are of all."""
    texts = ", ".join(f'"{name}" TEXT NOT NULL' for name in ("alarm", "destination", "hospitals", "fold"))
    key = 'PRIMARY KEY ("alarm", "destination", "hospitals")'
    _made_again(engine, "alarm_cause", ("alarm", "destination", "fold"), f"{texts}, {key}", hospitals="")


def _reasons(engine: Engine) -> None:
    """Reasons that a destination gives for the instances that a comparison asks for."""
    engine.execute('ALTER TABLE "commitment_item" ADD COLUMN "reason" INTEGER')


# One step a version, in order: from FIRST_SCHEMA to the next, from that to the one after it. A step that was released
# is never changed. It writes SQL of its own: `tables` describes the last version, not the one that a step leads to.
STEPS: tuple[Step, ...] = (
    _readings, _cut, _checksums, _evidence_of_pdfs, _settings, _withheld, _set_aside, _heads,
    _attention, _notifications, _unreported, _folder_files, _pauses, _refused_at_the_door, _backfills,
    _short_names, _absent_nodes, _shared_among_nodes, _hospitals, _accounts, _hospitals_apart,
    _hospitals_of_alarms, _users, _pauses_of_hospitals, _statistics, _by_time,
    _compared_with_destinations, _returned, _compared_images, _causes_by_hospital,
    _reasons,
)  # fmt: skip
