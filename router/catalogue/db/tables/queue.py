"""Tables of the queue: deliveries, uploads, storage commitment, breakers, pauses, backfills."""

from peewee import (
    SQL,
    AutoField,
    BigAutoField,
    BooleanField,
    CompositeKey,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
)

from router.catalogue.db.fields import CleanTextField, InstantField, KeyField, WordField
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.images import LedgerRow
from router.model import Channel
from router.policy.states import HeldBy, State


class Delivery(Model):
    """An exam to a destination by a channel. `due` orders the queue; `legal_due`: the standard's; `expected`: ours.

    `hospital` is the exam's, so that a claim of some hospitals' deliveries reads the index only. `critical`: the report
    says a critical value (危急值), so that it goes before others that are due at the same time.
    """

    id = AutoField()
    exam = ForeignKeyField(Exam, index=False)
    hospital = CleanTextField(default="")
    destination = CleanTextField()
    channel = WordField(Channel)
    state = WordField(State)
    waiting_for = CleanTextField(default="")
    legal_due = InstantField(null=True)
    due = InstantField(null=True)
    next_try = InstantField(null=True)
    attempts = IntegerField(default=0)
    error = CleanTextField(default="")
    held_by = WordField(HeldBy, default="")
    lease = IntegerField(default=0)
    lease_owner = CleanTextField(default="")
    lease_until = InstantField(null=True)
    wanted = CleanTextField(default="")
    delivered = CleanTextField(default="")
    delivered_at = InstantField(null=True)
    expected = InstantField(null=True)
    critical = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    created = InstantField()
    changed = InstantField()

    class Meta:
        indexes = (
            (("exam", "destination", "channel"), True),
            (("destination", "channel", "state", "hospital", "due"), False),
            (("state", "due"), False),
        )


Delivery.add_index(
    Delivery.index(Delivery.delivered_at, name="delivery_delivered", where=Delivery.delivered_at.is_null(False))
)


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
    """A breaker that is not closed; `account` is "" but for a hospital's own account of reports."""

    destination = CleanTextField()
    channel = CleanTextField()
    account = CleanTextField()
    position = CleanTextField()
    failures = IntegerField()
    width = IntegerField()
    since = InstantField()
    probe_at = InstantField(null=True)
    why = CleanTextField()
    outage = CleanTextField()

    class Meta:
        table_name = "breaker"
        primary_key = CompositeKey("destination", "channel", "account")


class PauseRow(Model):
    """A pause of all sending to a destination, "" for every one; it lasts while `until` is null. Never removed.

    `hospital`: that of its exams alone, "" of all.
    """

    destination = CleanTextField()
    hospital = KeyField()
    since = InstantField()
    who = CleanTextField()
    why = CleanTextField()
    until = InstantField(null=True)
    ended_by = CleanTextField()

    class Meta:
        table_name = "pause"
        primary_key = CompositeKey("destination", "hospital", "since")


class BackfillRow(Model):
    """A backfill (历史补传) of what was approved from `first` on and before `last`; it stands while `until` is null.

    `hospital` is the one whose exams it shares, null for those of all.
    """

    since = InstantField(primary_key=True)
    first = InstantField()
    last = InstantField()
    at_night = BooleanField()
    per_hour = IntegerField(null=True)
    who = CleanTextField()
    until = InstantField(null=True)
    hospital = CleanTextField(null=True)

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
    """How fast a destination took an account's deliveries of late, from all nodes; time is `counted` until then."""

    destination = CleanTextField()
    channel = CleanTextField()
    account = CleanTextField()
    units = DoubleField()
    seconds = DoubleField()
    counted = InstantField(null=True)

    class Meta:
        table_name = "pace"
        primary_key = CompositeKey("destination", "channel", "account")


class Commitment(Model):
    """A request for storage commitment (PS3.4 J); `uid` is its Transaction UID. Kept also once it is reported on."""

    id = AutoField()
    uid = CleanTextField(unique=True)
    destination = CleanTextField()
    asked = InstantField()
    reported = InstantField(null=True)


class CommitmentItem(Model):
    """An instance whose commitment was asked for and is not settled yet; several requests may hold it.

    `reason`: what the report said of one that counts as sent, which a comparison asks for: 0 committed, else why not.
    """

    id = BigAutoField()
    commitment = ForeignKeyField(Commitment)
    ledger = ForeignKeyField(LedgerRow, index=False)
    reason = IntegerField(null=True)

    class Meta:
        table_name = "commitment_item"
        indexes = ((("ledger", "commitment"), True),)


class Upload(Model):
    """A frozen revision of an exam for a destination, and its receipt; checksums are SHA-256, null where not taken."""

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
        indexes = ((("delivery", "n"), True), (("confirmed",), False), (("idem",), False))


class WithdrawalRow(Model):
    """A withdrawal of an exam at a destination, asked for by the version `document`, or by the person `who`.

    `n` is the revision that the destination confirmed last. It is frozen with `idem`; `ended` says how it ended, ""
    while it is open.
    """

    id = AutoField()
    delivery = ForeignKeyField(Delivery)
    document = IntegerField()
    n = IntegerField()
    asked = InstantField()
    why = CleanTextField()
    who = CleanTextField(default="")
    idem = CleanTextField(default="")
    notice_place = CleanTextField(default="")
    notice_checksum = CleanTextField(default="")
    receipt = CleanTextField(default="")
    receipt_place = CleanTextField(default="")
    ended = CleanTextField(default="")
    ended_at = InstantField(null=True)

    class Meta:
        table_name = "withdrawal"
        indexes = ((("asked",), False),)


class WithdrawalStopRow(Model):
    """A stop of a source's withdrawals at a destination, which were too many at once; it lasts while `until` is null.

    The source is a branch of a hospital. Never removed.
    """

    destination = CleanTextField()
    hospital = CleanTextField()
    branch = CleanTextField()
    since = InstantField()
    until = InstantField(null=True)
    who = CleanTextField(default="")
    why = CleanTextField(default="")

    class Meta:
        table_name = "withdrawal_stop"
        primary_key = CompositeKey("destination", "hospital", "branch", "since")


class ComparisonRow(Model):
    """The last comparison of a day's reports or images with what a destination says; `day` in ISO 8601.

    `usual` is how many it had at the first comparison that were never sent from here.
    """

    destination = CleanTextField()
    hospital = CleanTextField()
    channel = WordField(Channel)
    day = CleanTextField()
    at = InstantField()
    ours = IntegerField()
    theirs = IntegerField()
    missing = IntegerField()
    strange = IntegerField()
    usual = IntegerField()
    whole = BooleanField()

    class Meta:
        table_name = "comparison"
        primary_key = CompositeKey("destination", "hospital", "channel", "day")


class SlotRow(Model):
    """An association that a destination takes, and which node has it open; until then no other may, as of a Duty."""

    destination = CleanTextField()
    number = IntegerField()
    node = CleanTextField()
    until = InstantField()

    class Meta:
        table_name = "slot"
        primary_key = CompositeKey("destination", "number")


TABLES: tuple[type[Model], ...] = (
    Delivery, UnreadRow, BreakerRow, PauseRow, BackfillRow, BackfillTurn, PaceRow, Commitment, CommitmentItem,
    Upload, SlotRow, WithdrawalRow, WithdrawalStopRow, ComparisonRow,
)  # fmt: skip
