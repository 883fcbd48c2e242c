"""Tables of the statistics: how each exam counts, the sums of each day, and what the PACS has and the node has not."""

from peewee import IntegerField, Model

from router.catalogue.db.fields import CleanTextField, InstantField, KeyField


class OutcomeRow(Model):
    """How an exam, or a study that no exam names, counts.

    `key` is `e17` for an exam, `s5` for a study by its number here, `p` and the UID for one that only the PACS has.
    `day` is that of approval, else of arrival, ISO, by the hospital's clock. The seven counts are 0 or 1; a channel
    that no destination takes counts as its exam does. The times are minutes, rounded up to a step. `document` is the
    exam JSON that the department was read from.
    """

    key = CleanTextField(primary_key=True)
    day = CleanTextField(index=True)
    hospital = KeyField()
    branch = KeyField()
    department = KeyField()
    modality = KeyField()
    device = KeyField()
    critical = IntegerField()
    state = CleanTextField()
    reason = CleanTextField()
    miss = CleanTextField()
    whose = CleanTextField()
    due = IntegerField()
    uploaded = IntegerField()
    report_on_time = IntegerField()
    images_on_time = IntegerField()
    on_time = IntegerField()
    first_time = IntegerField()
    report_took = IntegerField(null=True)
    images_took = IntegerField(null=True)
    document = IntegerField(null=True)

    class Meta:
        table_name = "outcome"


class OutcomeSum(Model):
    """The outcomes of a day that agree in all but the counts, summed up.

    The times are written `minutes:exams`, divided by blanks.
    """

    day = CleanTextField(index=True)
    hospital = KeyField()
    branch = KeyField()
    department = KeyField()
    modality = KeyField()
    device = KeyField()
    critical = IntegerField()
    state = CleanTextField()
    reason = CleanTextField()
    miss = CleanTextField()
    whose = CleanTextField()
    exams = IntegerField()
    due = IntegerField()
    uploaded = IntegerField()
    report_on_time = IntegerField()
    images_on_time = IntegerField()
    on_time = IntegerField()
    first_time = IntegerField()
    report_took = CleanTextField()
    images_took = CleanTextField()

    class Meta:
        table_name = "outcome_sum"
        primary_key = False


class SilentSourceRow(Model):
    """A source that a person says is not to be waited for: what fell silent before `at` raises no alarm."""

    source = KeyField(primary_key=True)
    why = CleanTextField()
    who = CleanTextField()
    at = InstantField()

    class Meta:
        table_name = "silent_source"


TABLES: tuple[type[Model], ...] = (OutcomeRow, OutcomeSum, SilentSourceRow)
