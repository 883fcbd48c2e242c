"""Tables of images: studies, instances and what was sent of them, tombstones, studies without a report."""

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
)

from router.catalogue.db.fields import CleanTextField, InstantField, KeyField, WordField
from router.catalogue.images.fate import Fate
from router.model import SeriesClass


class Study(Model):
    """A study that has at least one instance here; texts are those of the first instance.

    The device is the first image's, as soon as there is one; `device_modality` is that instance's.
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

    `reading` numbers the rules by which its texts were read; 0: by the declared character set alone.
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


class StudyHospital(Model):
    """A hospital whose sender or rule brought images of the study; a study of a shared PACS has none."""

    study = ForeignKeyField(Study, on_delete="CASCADE", index=False)
    hospital = KeyField()

    class Meta:
        table_name = "study_hospital"
        primary_key = CompositeKey("study", "hospital")


class StudyAccession(Model):
    """Each accession number that the headers of a study name, as its own or in RequestAttributesSequence."""

    study = ForeignKeyField(Study, on_delete="CASCADE")
    accession_number = KeyField()

    class Meta:
        table_name = "study_accession"
        indexes = ((("accession_number", "study"), True),)


class Facts(Model):
    """Facts that series rules ask about, as JSON. Most instances of a series share theirs."""

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
    series_class = WordField(SeriesClass)
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
    """Key of an instance in a tombstone, 64 bits of its UID, by which the study is found."""

    sop = BigIntegerField(index=True)
    study = IntegerField()

    class Meta:
        table_name = "tombstone_key"
        primary_key = False


class Removal(Model):
    """Files to remove, as JSON: `files` of a study, [series, SOP, version]; `places`, folders of reports."""

    id = AutoField()
    study_uid = CleanTextField()
    files = CleanTextField()
    places = CleanTextField(default="[]")


class Reference(Model):
    """Reference of a key object or a rejection note to an instance, which may be of another study or still to come."""

    instance = ForeignKeyField(Instance, on_delete="CASCADE")
    purpose = CleanTextField()
    sop_uid = KeyField(index=True)


class LedgerRow(Model):
    """State of an instance version at a destination.

    `tries` counts the associations that were lost with it under way, `reason` says why it is refused without a status;
    `ask_at` is when its storage commitment is (next) asked for. `study` is the instance's, so that an exam's rows are
    found and counted without its instances.
    """

    id = BigAutoField()
    destination = CleanTextField()
    instance = ForeignKeyField(Instance, index=False)
    study = IntegerField()
    state = WordField(Fate)
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


# Rows that keep a study from being purged; few at a time. Queries must use this very text to find the index.
OPEN_IN_LEDGER = SQL("state IN ('held', 'late', 'stored')")
LedgerRow.add_index(LedgerRow.index(LedgerRow.study, name="ledger_open", where=OPEN_IN_LEDGER))
# Rows that wait for another exam's approval; as few.
WITHHELD_IN_LEDGER = SQL("state = 'withheld'")
LedgerRow.add_index(LedgerRow.index(LedgerRow.study, name="ledger_withheld", where=WITHHELD_IN_LEDGER))


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


TABLES: tuple[type[Model], ...] = (
    Study, StudyIdentity, StudyHospital, StudyAccession, Facts, Instance, Tombstone, TombstoneKey, Removal, Reference,
    LedgerRow, UnreportedDay, DismissedSender,
)  # fmt: skip
