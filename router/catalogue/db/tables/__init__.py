"""The tables. Rows leave this package as the frozen records of the module of their noun.

Instants are stored as microseconds since 1970 in UTC, so that both engines order and compare them alike.
A foreign key that leads a unique index has no second index of its own.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import (
    SQL,
    AutoField,
    BigAutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

from router.clock import require_aware

FIRST_SCHEMA = 1  # of the first release; those after it are made by `migrations`
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What every zone can show; beyond it the nearest is kept, for a value that cannot be read back stops whatever reads it.
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAST, _MOST = ((bound - _EPOCH) // _MICROSECOND for bound in (_FIRST, _LAST))  # as they are stored
_LONGEST_KEY, _SHOWN_OF_KEY = 1000, 100  # bytes; characters


class InstantField(BigIntegerField):
    """An aware datetime of the years 2 to 9998."""

    def db_value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        return (min(max(require_aware(value), _FIRST), _LAST) - _EPOCH) // _MICROSECOND

    def python_value(self, value: Any) -> Any:
        if value is None:
            return None
        return _EPOCH + timedelta(microseconds=min(max(value, _LEAST), _MOST))


def storable(value: datetime | None) -> bool:
    """Whether a time that came from outside can be kept as it is."""
    return value is not None and _FIRST < value < _LAST


class CleanTextField(TextField):
    """Text that both engines take: PostgreSQL stores no NUL, neither stores half of a surrogate pair."""

    def db_value(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return value.replace("\0", "").encode("utf-8", "replace").decode()


class KeyField(CleanTextField):
    """Text that is looked up as a whole. PostgreSQL's index takes no row of more than 2,704 bytes, and what came from
    outside may be of any length: of what is longer than any real one its beginning and its digest stand for it."""

    def db_value(self, value: Any) -> Any:
        text = super().db_value(value)
        if not isinstance(text, str) or len(data := text.encode()) <= _LONGEST_KEY:
            return text
        return f"{text[:_SHOWN_OF_KEY]}~{hashlib.sha256(data).hexdigest()}"


class Schema(Model):
    """One row: the version of these tables."""

    version = IntegerField()


class Setting(Model):
    """Settings of the data folder itself: the set of checks that it began with."""

    name = CleanTextField(primary_key=True)
    value = CleanTextField()


CHECKS = "checks"
BEGINS_WITH = {CHECKS: "2"}  # a database that is made


class Study(Model):
    """A study that has at least one instance here; texts are those of the first instance.

    What is said of the device is the first image's, as soon as there is one: `device_modality` is that instance's.
    `referred`: a key object or a rejection note refers to some of its instances. `purged`: all its files are gone.
    """

    id = AutoField()
    uid = CleanTextField(unique=True)
    accession_number = CleanTextField()
    study_date = CleanTextField()
    study_time = CleanTextField()
    description = CleanTextField()
    manufacturer = CleanTextField()
    model = CleanTextField()
    station_name = CleanTextField()
    serial_number = CleanTextField()
    sending_ae = CleanTextField()
    sending_address = CleanTextField(default="")
    device_modality = CleanTextField()
    doubt = CleanTextField(default="")
    referred = BooleanField(default=False)
    first_received = InstantField()
    last_received = InstantField(index=True)
    purged = InstantField(null=True)

    class Meta:
        indexes = ((("purged", "last_received"), False),)


READING = 1  # of the rules by which the texts of a header are read


class StudyIdentity(Model):
    """Each different patient and order that the headers of a study name, in whatever version of an instance.

    `reading` is by which rules its texts were read: 0 of rows from before there were any but the declared set.
    """

    id = AutoField()
    study = ForeignKeyField(Study, on_delete="CASCADE", index=False)
    digest = CleanTextField()
    patient_id = CleanTextField()
    name = CleanTextField()
    birth_date = CleanTextField()
    sex = CleanTextField()
    accession_number = CleanTextField()
    other_accession_numbers = CleanTextField()
    reading = IntegerField(default=READING, constraints=[SQL("DEFAULT 0")])

    class Meta:
        table_name = "study_identity"
        indexes = ((("study", "digest"), True),)


class StudyAccession(Model):
    """Each accession number that the headers of a study name, as its own or in RequestAttributesSequence."""

    study = ForeignKeyField(Study, on_delete="CASCADE")
    accession_number = KeyField()

    class Meta:
        table_name = "study_accession"
        indexes = ((("accession_number", "study"), True),)


class Facts(Model):
    """What series rules ask about, as JSON. Most instances of a series share theirs."""

    id = BigAutoField()
    study = ForeignKeyField(Study, on_delete="CASCADE", index=False)
    digest = CleanTextField()
    body = CleanTextField()

    class Meta:
        indexes = ((("study", "digest"), True),)


class Instance(Model):
    """A version of a SOP instance. `digest`, `orientation`, `pixels` and `checksum` are its Digests.

    `cut` says where its data set breaks off, "" where it is whole. The `newest` is the last one that is whole; where
    none is, the last one.

    One that is `purged` has no file any more: its row waits to be packed into a Tombstone, or was put back from one.

    `identity` numbers its row of StudyIdentity, without a constraint, which would cost an index as long as this table.
    `checksum` is null where it was not taken yet; `damaged` says why the file is not what came, null while it is.
    """

    id = BigAutoField()
    study = ForeignKeyField(Study, index=False)
    series_uid = CleanTextField()
    sop_uid = CleanTextField(index=True)
    version = IntegerField()
    newest = BooleanField()
    sop_class = CleanTextField()
    transfer_syntax = CleanTextField()
    digest = CleanTextField()
    orientation = CleanTextField()
    pixels = CleanTextField()
    identity = IntegerField()
    size = BigIntegerField()
    modality = CleanTextField()
    facts = ForeignKeyField(Facts, index=False)
    position = DoubleField(null=True)
    series_class = CleanTextField()
    rule = CleanTextField()
    cut = CleanTextField(default="")
    sending_ae = CleanTextField()
    received = InstantField()
    purged = InstantField(null=True)
    checksum = CleanTextField(null=True)
    damaged = CleanTextField(null=True)

    class Meta:
        indexes = ((("study", "sop_uid", "version"), True),)


Instance.add_index(Instance.index(Instance.study, name="instance_older", where=~Instance.newest))
Instance.add_index(Instance.index(Instance.study, name="instance_damaged", where=Instance.damaged.is_null(False)))


class Tombstone(Model):
    """Instances whose files are gone, with their ledger rows, packed: `summary` is JSON, `body` JSON by zlib."""

    id = AutoField()
    study = ForeignKeyField(Study)
    summary = CleanTextField()
    body = BlobField()


class TombstoneKey(Model):
    """By which a study is found that has a tombstone of an instance: 64 bits of its UID."""

    sop = BigIntegerField(index=True)
    study = IntegerField()

    class Meta:
        table_name = "tombstone_key"
        primary_key = False


class Removal(Model):
    """What no row needs any more and is about to be removed, as JSON.

    `files` of a study: [series, SOP, version]; `places`: of reports, folders below the data folder.
    """

    id = AutoField()
    study_uid = CleanTextField()
    files = CleanTextField()
    places = CleanTextField(default="[]")


class Reference(Model):
    """What a key object or a rejection note refers to: an instance that may lie in another study, or be to come."""

    instance = ForeignKeyField(Instance, on_delete="CASCADE")
    purpose = CleanTextField()
    sop_uid = KeyField(index=True)


class Exam(Model):
    """An exam (检查), one ExamId in one branch. `touched` counts what has happened to it since it was evaluated.

    `evidence` says how its report PDF was chosen, `pdf` is that document, `candidate` one that a person may confirm or
    choose, and `weighed` the last document that was known then.
    """

    id = AutoField()
    branch = KeyField()
    exam_id = KeyField(index=True)
    accession_number = KeyField(index=True, default="")
    patient_id = KeyField(default="", index=True)
    patient_name = CleanTextField(default="")
    touched = IntegerField(default=1)
    check_at = InstantField(null=True, index=True)
    revisions = IntegerField(default=0)
    approved_at = InstantField(null=True)
    doubt = CleanTextField(default="")
    evidence = CleanTextField(null=True)
    pdf = IntegerField(null=True)
    candidate = IntegerField(null=True)
    weighed = IntegerField(null=True)
    created = InstantField()

    class Meta:
        indexes = ((("branch", "exam_id"), True),)


class ExpiredExam(Model):
    """An exam that there was and whose records are removed: 64 bits of branch and ExamId."""

    key = BigIntegerField(primary_key=True)

    class Meta:
        table_name = "forgotten"


class ExamStudy(Model):
    """A study that belongs to an exam, by its UID: the study itself may still be to come."""

    exam = ForeignKeyField(Exam, index=False)
    study_uid = CleanTextField(index=True)
    joined_by = CleanTextField()
    since = InstantField()

    class Meta:
        table_name = "exam_study"
        indexes = ((("exam", "study_uid"), True),)


class SeparatedStudy(Model):
    """A study that a person keeps apart from an exam."""

    exam = ForeignKeyField(Exam, index=False)
    study_uid = CleanTextField()

    class Meta:
        table_name = "parted"
        primary_key = CompositeKey("exam", "study_uid")


class Disagreement(Model):
    """A doubt about an exam's identity. `digest` is of what was compared; `who` has settled it, "" while it stands."""

    exam = ForeignKeyField(Exam, index=False)
    digest = CleanTextField()
    text = CleanTextField()
    who = CleanTextField(default="")
    why = CleanTextField(default="")
    at = InstantField()

    class Meta:
        primary_key = CompositeKey("exam", "digest")


class Alias(Model):
    """Two numbers of one patient, as they are compared."""

    old = CleanTextField()
    new = CleanTextField()
    why = CleanTextField()
    who = CleanTextField()
    at = InstantField()

    class Meta:
        primary_key = CompositeKey("old", "new")


class Document(Model):
    """A file taken from the drop folder. `revision` is its intake revision in the exam; null while unpaired.

    Of a PDF: `vouched` that its text names its exam, or that nobody asks; `named` the words, one a line, by which it
    does; `confirmed` the JSON (a document's id) that a person has said it belongs to; `message` the JSON that came in
    one message with it; `unread` how often its text could not be read in its processor time; `learnt` that its source
    is calibrated by it. Of a JSON `named` is a digest, and `confirmed` its own id where a person has said that it
    counts. One that is `purged` has no file any more. `checksum` is SHA-256 of its file, null where only `digest` is
    known, which is another thing for an HL7 message; `damaged` says why the file is not what came, null while it is.
    `near` is `near_key` of the stem, null where the document came before there was one.
    """

    id = AutoField()
    kind = CleanTextField()
    stem = KeyField(index=True)
    digest = CleanTextField(index=True)
    place = CleanTextField()
    exam = ForeignKeyField(Exam, null=True)
    revision = IntegerField(null=True)
    file_time = InstantField()
    arrived = InstantField()
    submit_time = InstantField(null=True)
    approve_time = InstantField(null=True)
    approved = BooleanField(default=False)
    content = CleanTextField(default="")
    reported = CleanTextField(default="")
    named = CleanTextField(default="")
    stale = BooleanField(default=False)
    vouched = BooleanField(default=False)
    confirmed = IntegerField(null=True)
    message = IntegerField(null=True)
    unread = IntegerField(null=True)
    learnt = IntegerField(null=True)
    purged = InstantField(null=True)
    checksum = CleanTextField(null=True)
    damaged = CleanTextField(null=True)
    near = KeyField(null=True, index=True)

    class Meta:
        indexes = ((("kind", "purged", "arrived"), False),)


Document.add_index(Document.index(Document.arrived, name="document_unread", where=SQL("unread = 1")))


class PdfSource(Model):
    """How far the PDFs of a source (a folder, HL7, DICOM) can be told by text, time and labels; see `Calibration`."""

    name = KeyField(primary_key=True)
    agreed = CleanTextField()
    offsets = CleanTextField()
    labels = CleanTextField()

    class Meta:
        table_name = "pdf_source"


class ExamWord(Model):
    """A word by which a report's text names an exam: ExamId, accession number, patient's name."""

    word = KeyField()
    exam = ForeignKeyField(Exam)

    class Meta:
        table_name = "exam_word"
        primary_key = CompositeKey("word", "exam")


class PdfWord(Model):
    """What a PDF that nothing vouches for says by its text (`kind` text) or by its name (the pattern's groups)."""

    kind = CleanTextField()
    word = KeyField()
    document = ForeignKeyField(Document)

    class Meta:
        table_name = "pdf_word"
        primary_key = CompositeKey("word", "kind", "document")


class SeenFile(Model):
    """A file that was dealt with and stays in the drop folder. `file_time` in nanoseconds since 1970."""

    path = KeyField()
    size = BigIntegerField()
    file_time = BigIntegerField()
    digest = CleanTextField()

    class Meta:
        table_name = "seen_file"
        primary_key = CompositeKey("path", "digest")


class SetAsideRow(Model):
    """A file that the node put below done/ or rejected/ of the drop folder: a SetAside, its paths percent-encoded.

    `key` is their digest; `mark` the inode and the size, by which the file is known again. One row stands for no file.
    """

    key = CleanTextField(primary_key=True)
    home = CleanTextField()
    place = CleanTextField()
    mark = CleanTextField()
    at = InstantField(index=True)

    class Meta:
        table_name = "set_aside"


class FolderFileRow(Model):
    """A file of the drop folder that waits for a person, or that lies there to no purpose; see `files.FolderFile`.

    `near_key` is that of its path. `home`, `place` and `lies` (inode and size) say where a refused file lies, as in
    SetAsideRow, null while that is not known; `kept` is its folder in quarantine. `mark` changes when the file does,
    which takes back that a person has dismissed it.
    """

    id = IntegerField(primary_key=True)
    kind = CleanTextField()
    path = KeyField()
    near_key = KeyField(index=True)
    why = CleanTextField()
    text = CleanTextField()
    near = CleanTextField()
    branch = CleanTextField()
    exam = IntegerField(null=True, index=True)
    document = IntegerField(null=True, index=True)
    home = CleanTextField(null=True)
    place = CleanTextField(null=True)
    lies = CleanTextField(null=True)
    kept = CleanTextField()
    mark = CleanTextField()
    since = InstantField()
    dismissed = InstantField(null=True)
    who = CleanTextField(default="")
    because = CleanTextField(default="")

    class Meta:
        table_name = "folder_file"
        indexes = ((("path", "kind"), True),)


class FolderCount(Model):
    """How many files of a kind the last scan found; of the name `last` the last number that a file was given."""

    name = CleanTextField(primary_key=True)
    number = IntegerField()

    class Meta:
        table_name = "folder_count"


class Delivery(Model):
    """One exam to one destination by one channel, for ever. `due` orders the queue; `legal_due` is the standard's.

    `expected` is when it will have been delivered, as it looked last.
    """

    id = AutoField()
    exam = ForeignKeyField(Exam, index=False)
    destination = CleanTextField()
    channel = CleanTextField()
    state = CleanTextField()
    waiting_for = CleanTextField(default="")
    legal_due = InstantField(null=True)
    due = InstantField(null=True)
    next_try = InstantField(null=True)
    attempts = IntegerField(default=0)
    error = CleanTextField(default="")
    held_by = CleanTextField(default="")
    lease = IntegerField(default=0)
    lease_owner = CleanTextField(default="")
    lease_until = InstantField(null=True)
    wanted = CleanTextField(default="")
    delivered = CleanTextField(default="")
    delivered_at = InstantField(null=True)
    expected = InstantField(null=True)
    created = InstantField()
    changed = InstantField()

    class Meta:
        indexes = (
            (("exam", "destination", "channel"), True),
            (("destination", "channel", "state", "due"), False),
            (("state", "due"), False),
        )


class EventRow(Model):
    """A move of a delivery or another thing worth telling in `explain`."""

    id = BigAutoField()
    at = InstantField()
    kind = CleanTextField()
    exam = IntegerField(null=True, index=True)
    delivery = IntegerField(null=True, index=True)
    study_uid = CleanTextField(null=True, index=True)
    text = CleanTextField()
    who = CleanTextField()
    alarm = CleanTextField(default="")
    subject = CleanTextField(default="")

    class Meta:
        table_name = "event"


EventRow.add_index(  # of millions of rows the few that say how a node was configured last
    SQL("CREATE INDEX event_configuration ON event (subject, id) WHERE kind IN ('started', 'reloaded')")
)


class OpenAlarm(Model):
    """An alarm that was told and is not cleared. `subject` is what it is about, in ids of ours.

    `destination` is the one that it concerns, "" where it concerns none alone.
    """

    alarm = CleanTextField()
    subject = CleanTextField()
    destination = CleanTextField(default="")
    text = CleanTextField()
    exam = IntegerField(null=True)
    delivery = IntegerField(null=True)
    since = InstantField()

    class Meta:
        table_name = "open_alarm"
        primary_key = CompositeKey("alarm", "subject")


class AlarmNewsRow(Model):
    """An alarm that was raised or cleared, for as long as it is not folded into a message."""

    id = BigAutoField()
    alarm = CleanTextField()
    destination = CleanTextField()
    raised = BooleanField()
    subject = CleanTextField()
    text = CleanTextField()
    exam = IntegerField(null=True)
    delivery = IntegerField(null=True)
    at = InstantField()

    class Meta:
        table_name = "alarm_news"


class AlarmCause(Model):
    """A cause of alarms as people know it: `fold` is a Fold as JSON."""

    alarm = CleanTextField()
    destination = CleanTextField()
    fold = CleanTextField()

    class Meta:
        table_name = "alarm_cause"
        primary_key = CompositeKey("alarm", "destination")


class NotificationRow(Model):
    """A message on its way to people, by one way: `body` is the Notification as JSON."""

    id = BigAutoField()
    way = CleanTextField()
    at = InstantField()
    body = CleanTextField()

    class Meta:
        table_name = "notification"
        indexes = ((("way", "id"), False),)


class WayRow(Model):
    """A way on which messages do not arrive (`down`), or on which some never will (`refused` is how many)."""

    name = CleanTextField(primary_key=True)
    since = InstantField()
    error = CleanTextField()
    down = BooleanField()
    refused = IntegerField()

    class Meta:
        table_name = "notification_way"


class UnreadRow(Model):
    """An exam whose approval cannot be read: `part` of it, `word` for it, and where its JSON came from."""

    exam = ForeignKeyField(Exam, primary_key=True)
    source = CleanTextField()
    part = CleanTextField()
    word = CleanTextField()
    since = InstantField()

    class Meta:
        table_name = "unread_approval"


class BreakerRow(Model):
    """A breaker that is not closed."""

    destination = CleanTextField()
    channel = CleanTextField()
    position = CleanTextField()
    failures = IntegerField()
    width = IntegerField()
    since = InstantField()
    probe_at = InstantField(null=True)
    why = CleanTextField()
    outage = CleanTextField()

    class Meta:
        table_name = "breaker"
        primary_key = CompositeKey("destination", "channel")


class PauseRow(Model):
    """A pause of all sending to a destination, "" for every one, for ever; it stands while `until` is null."""

    destination = CleanTextField()
    since = InstantField()
    who = CleanTextField()
    why = CleanTextField()
    until = InstantField(null=True)
    ended_by = CleanTextField()

    class Meta:
        table_name = "pause"
        primary_key = CompositeKey("destination", "since")


class BackfillRow(Model):
    """A backfill (历史补传) of what was approved from `first` on and before `last`; it stands while `until` is null."""

    since = InstantField(primary_key=True)
    first = InstantField()
    last = InstantField()
    at_night = BooleanField()
    per_hour = IntegerField(null=True)
    who = CleanTextField()
    until = InstantField(null=True)

    class Meta:
        table_name = "backfill"


class BackfillTurn(Model):
    """When the next delivery of a backfill may be claimed at a place."""

    destination = CleanTextField()
    channel = CleanTextField()
    at = InstantField()

    class Meta:
        table_name = "backfill_turn"
        primary_key = CompositeKey("destination", "channel")


class PaceRow(Model):
    """How fast a destination took a channel's deliveries of late, from all nodes; time is `counted` until then."""

    destination = CleanTextField()
    channel = CleanTextField()
    units = DoubleField()
    seconds = DoubleField()
    counted = InstantField(null=True)

    class Meta:
        table_name = "pace"
        primary_key = CompositeKey("destination", "channel")


class LedgerRow(Model):
    """What became of an instance version at a destination.

    `tries` counts the associations that were lost with it under way, `reason` says why it is refused without a status;
    `ask_at` is when its storage commitment is (next) asked for. `study` is the instance's, so that an exam's rows are
    found and counted without its instances.
    """

    id = BigAutoField()
    destination = CleanTextField()
    instance = ForeignKeyField(Instance, index=False)
    study = IntegerField()
    state = CleanTextField()
    rule = CleanTextField()
    status = IntegerField(null=True)
    association = CleanTextField(default="")
    tries = IntegerField(default=0)
    reason = CleanTextField(default="")
    at = InstantField()
    ask_at = InstantField(null=True)

    class Meta:
        table_name = "ledger"
        legacy_table_names = False  # indexes are named by the table, not by this class
        indexes = ((("instance", "destination"), True), (("study", "destination"), False))


# What keeps a study from being purged; few rows at a time. Its text must be the questions' own, to the letter.
OPEN_IN_LEDGER = SQL("state IN ('held', 'late', 'stored')")
LedgerRow.add_index(LedgerRow.index(LedgerRow.study, name="ledger_open", where=OPEN_IN_LEDGER))
# What waits for another exam's approval; as few.
WITHHELD_IN_LEDGER = SQL("state = 'withheld'")
LedgerRow.add_index(LedgerRow.index(LedgerRow.study, name="ledger_withheld", where=WITHHELD_IN_LEDGER))


class Commitment(Model):
    """A request for storage commitment (PS3.4 J); `uid` is its Transaction UID. Kept also once it is reported on."""

    id = AutoField()
    uid = CleanTextField(unique=True)
    destination = CleanTextField()
    asked = InstantField()
    reported = InstantField(null=True)


class CommitmentItem(Model):
    """An instance whose commitment was asked for and is not settled yet; several requests may hold it."""

    id = BigAutoField()
    commitment = ForeignKeyField(Commitment)
    ledger = ForeignKeyField(LedgerRow, index=False)

    class Meta:
        table_name = "commitment_item"
        indexes = ((("ledger", "commitment"), True),)


class Upload(Model):
    """A frozen revision of an exam for a destination: what was or will be sent, and its receipt.

    The checksums are SHA-256 of the two files, null where they were not taken yet.
    """

    id = AutoField()
    delivery = ForeignKeyField(Delivery, index=False)
    n = IntegerField()
    idem = CleanTextField()
    wanted = CleanTextField()
    pdf_place = CleanTextField()
    exam_place = CleanTextField()
    refused = BooleanField(default=False)
    receipt_place = CleanTextField(default="")
    receipt = CleanTextField(default="")
    frozen = InstantField()
    confirmed = InstantField(null=True)
    exam_checksum = CleanTextField(null=True)
    pdf_checksum = CleanTextField(null=True)

    class Meta:
        indexes = ((("delivery", "n"), True),)


class Retrieval(Model):
    """The questions to the PACS about an exam whose images are missing: `tries` so far, the next one at `ask_at`."""

    exam = ForeignKeyField(Exam, primary_key=True)
    tries = IntegerField(default=0)
    missing = CleanTextField(default="")
    said = CleanTextField(default="")
    at = InstantField(null=True)
    ask_at = InstantField(null=True, index=True)
    down_until = InstantField(null=True)


class PacsCount(Model):
    """How many instances the PACS says that a study has."""

    study_uid = CleanTextField(primary_key=True)
    instances = IntegerField()

    class Meta:
        table_name = "pacs_count"


class NodeRow(Model):
    """A node, and when it gave its last sign of life, by the database's clock."""

    name = CleanTextField(primary_key=True)
    seen = InstantField()

    class Meta:
        table_name = "node"


class AbsentRow(Model):
    """A node that was stopped or is dead, and is expected back; `since` by the database's clock. `taken`: its work that
    went over to others, in words."""

    name = CleanTextField(primary_key=True)
    how = CleanTextField()
    since = InstantField()
    taken = CleanTextField()

    class Meta:
        table_name = "absent_node"


class SlotRow(Model):
    """An association that a destination takes, and which node has it open; until then no other may, as of a Duty."""

    destination = CleanTextField()
    number = IntegerField()
    node = CleanTextField()
    until = InstantField()

    class Meta:
        table_name = "slot"
        primary_key = CompositeKey("destination", "number")


class HeadRow(Model):
    """A signed head of a node's audit trail (model.Head); `number` counts those of the node."""

    node = CleanTextField()
    number = IntegerField()
    n = BigIntegerField()
    seal = CleanTextField()
    at = CleanTextField()
    chain = CleanTextField()
    key = CleanTextField()
    signature = CleanTextField()
    accepted = CleanTextField()

    class Meta:
        table_name = "audit_head"
        primary_key = CompositeKey("node", "number")


class UnreportedDay(Model):
    """How many studies lacked their report at the end of a day; `day` is the hospital's, ISO."""

    day = CleanTextField(primary_key=True)
    number = IntegerField()

    class Meta:
        table_name = "unreported_day"


class DismissedSender(Model):
    """A sender (an AE title) of whose studies a person says that they need no report.

    It holds for what came until `until`, which is when one of the sender's studies got its report; null until then.
    """

    sender = KeyField(primary_key=True)
    why = CleanTextField()
    who = CleanTextField()
    at = InstantField()
    until = InstantField(null=True)

    class Meta:
        table_name = "dismissed_sender"


class Duty(Model):
    """What only one node does at a time, and which; until then no other may, by the database's clock."""

    name = CleanTextField(primary_key=True)
    node = CleanTextField()
    until = InstantField()


class RefusalRow(Model):
    """Refusals alike in all that is known of them, on one day by the hospital's clock: a RefusalCount.

    `place` names the folder in quarantine of what was taken and set aside, "" where nothing was.
    """

    day = CleanTextField()
    calling = KeyField()
    address = KeyField()
    called = KeyField()
    why = CleanTextField()
    study_uid = CleanTextField(index=True)
    place = CleanTextField()
    reason = CleanTextField()
    count = IntegerField()
    first = InstantField()
    last = InstantField(index=True)

    class Meta:
        table_name = "refusal"
        primary_key = CompositeKey("day", "calling", "address", "called", "why", "study_uid", "place")


class RefusedSenderRow(Model):
    """A sender that is being refused: a RefusedSender. It goes when that is over."""

    kind = CleanTextField()
    calling = KeyField()
    address = KeyField()
    called = KeyField()
    why = CleanTextField()
    reason = CleanTextField()
    count = IntegerField()
    untracked = IntegerField()
    first = InstantField()
    last = InstantField()
    stored = InstantField(null=True)
    dismissed = InstantField(null=True)
    dismissal = CleanTextField()

    class Meta:
        table_name = "refused_sender"
        primary_key = CompositeKey("kind", "calling", "address")


class RefusedInstanceRow(Model):
    """An instance that was refused and has not come whole since; `came` says when it was stored later, whole or not."""

    sop_uid = CleanTextField()
    calling = KeyField()
    address = KeyField()
    at = InstantField()
    came = InstantField(null=True)

    class Meta:
        table_name = "refused_instance"
        primary_key = CompositeKey("sop_uid", "calling", "address")


TABLES: tuple[type[Model], ...] = (
    Schema, Setting, Study, StudyIdentity, StudyAccession, Facts, Instance, Tombstone, TombstoneKey, Removal,
    Reference, Exam, ExpiredExam, ExamStudy, SeparatedStudy,
    Disagreement, Alias, Document, PdfSource, ExamWord, PdfWord, SeenFile, SetAsideRow, FolderFileRow, FolderCount,
    Delivery, EventRow, OpenAlarm, UnreadRow, AlarmNewsRow, AlarmCause, NotificationRow, WayRow,
    BreakerRow, PauseRow, BackfillRow, BackfillTurn,
    PaceRow, LedgerRow, Commitment, CommitmentItem, Upload, Retrieval, PacsCount, NodeRow, HeadRow,
    AbsentRow, Duty, SlotRow, UnreportedDay, DismissedSender,
    RefusalRow, RefusedSenderRow, RefusedInstanceRow,
)  # fmt: skip
