"""The tables. Rows leave this package as the frozen records of the module of their noun.

Instants are stored as microseconds since 1970 in UTC, so that both engines order and compare them alike.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

from router.clock import require_aware

SCHEMA_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InstantField(BigIntegerField):
    """An aware datetime."""

    def db_value(self, value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        return (require_aware(value) - _EPOCH) // timedelta(microseconds=1)

    def python_value(self, value: Any) -> Any:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Schema(Model):
    """One row: the version of these tables."""

    version = IntegerField()


class Study(Model):
    """A study that has at least one instance here; texts are those of the first instance."""

    id = AutoField()
    uid = TextField(unique=True)
    accession_number = TextField(index=True)
    study_date = TextField()
    study_time = TextField()
    description = TextField()
    manufacturer = TextField()
    model = TextField()
    station_name = TextField()
    sending_ae = TextField()
    doubt = TextField(default="")
    first_received = InstantField()
    last_received = InstantField(index=True)


class StudyIdentity(Model):
    """Each different patient and order that the headers of a study name; more than one is a doubt."""

    study = ForeignKeyField(Study, on_delete="CASCADE")
    digest = TextField()
    patient_id = TextField()
    name = TextField()
    birth_date = TextField()
    sex = TextField()
    accession_number = TextField()
    other_accession_numbers = TextField()

    class Meta:
        table_name = "study_identity"
        indexes = ((("study", "digest"), True),)


class Instance(Model):
    """A version of a SOP instance. `digest` is SHA-256 of the data set without group 0002."""

    id = BigAutoField()
    study = ForeignKeyField(Study)
    series_uid = TextField()
    sop_uid = TextField(index=True)
    version = IntegerField()
    newest = BooleanField()
    sop_class = TextField()
    transfer_syntax = TextField()
    digest = TextField()
    size = BigIntegerField()
    modality = TextField()
    series_class = TextField()
    rule = TextField()
    slice_thickness = DoubleField(null=True)
    sending_ae = TextField()
    received = InstantField()

    class Meta:
        indexes = ((("study", "sop_uid", "version"), True),)


class Exam(Model):
    """An exam (检查), one ExamId in one branch. `touched` counts what has happened to it since it was evaluated."""

    id = AutoField()
    branch = TextField()
    exam_id = TextField()
    accession_number = TextField(index=True, default="")
    patient_id = TextField(default="")
    patient_name = TextField(default="")
    touched = IntegerField(default=1)
    check_at = InstantField(null=True, index=True)
    revisions = IntegerField(default=0)
    approved_at = InstantField(null=True)
    doubt = TextField(default="")
    created = InstantField()

    class Meta:
        indexes = ((("branch", "exam_id"), True),)


class ExamStudy(Model):
    """A study that belongs to an exam, by its UID: the study itself may still be to come."""

    exam = ForeignKeyField(Exam)
    study_uid = TextField(index=True)
    joined_by = TextField()
    since = InstantField()

    class Meta:
        table_name = "exam_study"
        indexes = ((("exam", "study_uid"), True),)


class Document(Model):
    """A file taken from the drop folder. `revision` is its intake revision in the exam; null while unpaired."""

    id = AutoField()
    kind = TextField()
    stem = TextField(index=True)
    digest = TextField(index=True)
    place = TextField()
    exam = ForeignKeyField(Exam, null=True)
    revision = IntegerField(null=True)
    file_time = InstantField()
    arrived = InstantField()
    submit_time = InstantField(null=True)
    approve_time = InstantField(null=True)
    approved = BooleanField(default=False)
    content = TextField(default="")
    reported = TextField(default="")
    stale = BooleanField(default=False)


class Delivery(Model):
    """One exam to one destination by one channel, for ever. `due` orders the queue; `legal_due` is the standard's."""

    id = AutoField()
    exam = ForeignKeyField(Exam)
    destination = TextField()
    channel = TextField()
    state = TextField()
    waiting_for = TextField(default="")
    legal_due = InstantField(null=True)
    due = InstantField(null=True)
    next_try = InstantField(null=True)
    attempts = IntegerField(default=0)
    error = TextField(default="")
    held_by = TextField(default="")
    lease = IntegerField(default=0)
    lease_owner = TextField(default="")
    lease_until = InstantField(null=True)
    wanted = TextField(default="")
    delivered = TextField(default="")
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
    kind = TextField()
    exam = IntegerField(null=True, index=True)
    delivery = IntegerField(null=True, index=True)
    study_uid = TextField(null=True, index=True)
    text = TextField()
    who = TextField()

    class Meta:
        table_name = "event"


class Ledger(Model):
    """What became of an instance version at a destination."""

    id = BigAutoField()
    destination = TextField()
    instance = ForeignKeyField(Instance)
    state = TextField()
    rule = TextField()
    status = IntegerField(null=True)
    association = TextField(default="")
    at = InstantField()

    class Meta:
        indexes = ((("instance", "destination"), True),)


class Upload(Model):
    """A frozen revision of an exam for a destination: what was or will be sent, and its receipt."""

    id = AutoField()
    delivery = ForeignKeyField(Delivery)
    n = IntegerField()
    idem = TextField()
    wanted = TextField()
    pdf_place = TextField()
    exam_place = TextField()
    refused = BooleanField(default=False)
    receipt_place = TextField(default="")
    receipt = TextField(default="")
    frozen = InstantField()
    confirmed = InstantField(null=True)

    class Meta:
        indexes = ((("delivery", "n"), True),)


TABLES: tuple[type[Model], ...] = (
    Schema, Study, StudyIdentity, Instance, Exam, ExamStudy, Document, Delivery, EventRow, Ledger, Upload,
)  # fmt: skip
