"""Tables of the node itself: settings, events, alarms, messages, the nodes of a cluster, refusals, users."""

from peewee import SQL, BigAutoField, BigIntegerField, BooleanField, CompositeKey, IntegerField, Model

from router.catalogue.db.fields import CleanTextField, InstantField, KeyField


class Schema(Model):
    """One row: the version of these tables."""

    version = IntegerField()


class Setting(Model):
    """Settings of the data folder itself: the set of checks that it began with, the hospital of what was before."""

    name = CleanTextField(primary_key=True)
    value = CleanTextField()


CHECKS = "checks"
FORMER = "former"  # the hospital of what there was before the node had several
BEGINS_WITH = {CHECKS: "2"}  # a database that is made


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
    """An alarm that is raised, about `subject`, in ids of ours.

    `destination` is "" where it concerns none alone, and so is `hospital`.
    """

    alarm = CleanTextField()
    subject = CleanTextField()
    destination = CleanTextField(default="")
    text = CleanTextField()
    exam = IntegerField(null=True)
    delivery = IntegerField(null=True)
    since = InstantField()
    hospital = CleanTextField(default="")

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
    hospital = CleanTextField(default="")

    class Meta:
        table_name = "alarm_news"


class AlarmCause(Model):
    """A cause of alarms as people know it: `fold` is a Fold as JSON, `hospitals` are the Cause's, with spaces."""

    alarm = CleanTextField()
    destination = CleanTextField()
    hospitals = CleanTextField()
    fold = CleanTextField()

    class Meta:
        table_name = "alarm_cause"
        primary_key = CompositeKey("alarm", "destination", "hospitals")


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


class Duty(Model):
    """A duty that one node does at a time, and which has it; until then no other may, by the database's clock."""

    name = CleanTextField(primary_key=True)
    node = CleanTextField()
    until = InstantField()


class RefusalRow(Model):
    """Refusals alike in all that is known, on one day: a RefusalCount. `place`: their folder in quarantine, or ""."""

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


class UserRow(Model):
    """A person who may log in at the console: a User. `key` is the name without case; `hospitals`, `former` are JSON.

    A row stays for ever, so that a name in the history means one person.
    """

    key = KeyField(primary_key=True)
    name = CleanTextField()
    role = CleanTextField()
    hospitals = CleanTextField()
    secret = CleanTextField()
    former = CleanTextField()
    initial = BooleanField()
    changed = InstantField()
    failures = IntegerField()
    locked = InstantField(null=True)
    disabled = BooleanField()
    created = InstantField()
    seen = InstantField(null=True)
    removed = InstantField(null=True)

    class Meta:
        table_name = "console_user"


TABLES: tuple[type[Model], ...] = (
    Schema, Setting, EventRow, OpenAlarm, AlarmNewsRow, AlarmCause, NotificationRow, WayRow, NodeRow, AbsentRow,
    HeadRow, Duty, RefusalRow, RefusedSenderRow, RefusedInstanceRow, UserRow,
)  # fmt: skip
