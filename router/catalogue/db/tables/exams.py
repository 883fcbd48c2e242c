"""Tables of exams: their studies, their documents, the files of the drop folder, questions to the PACS."""

from peewee import SQL, AutoField, BigIntegerField, BooleanField, CompositeKey, ForeignKeyField, IntegerField, Model

from router.catalogue.db.fields import CleanTextField, InstantField, KeyField


class Exam(Model):
    """An exam (检查), one ExamId in one branch of a hospital, which is "" where the node serves one alone.

    `touched` counts what has happened to it since it was evaluated.

    `evidence` says how its report PDF was chosen, `pdf` is that document, `candidate` one that a person may confirm or
    choose, and `weighed` the last document that was known then.
    """

    id = AutoField()
    hospital = KeyField(default="")
    branch = KeyField()
    exam_id = KeyField(index=True)
    accession_number = KeyField(index=True, default="")
    patient_id = KeyField(default="", index=True)
    patient_name = CleanTextField(default="")
    touched = IntegerField(default=1)
    check_at = InstantField(null=True, index=True)
    revisions = IntegerField(default=0)
    approved_at = InstantField(null=True, index=True)
    doubt = CleanTextField(default="")
    evidence = CleanTextField(null=True)
    pdf = IntegerField(null=True)
    candidate = IntegerField(null=True)
    weighed = IntegerField(null=True)
    created = InstantField()

    class Meta:
        indexes = ((("hospital", "branch", "exam_id"), True),)


class ExpiredExam(Model):
    """An exam that there was and whose records are removed: 64 bits of hospital, branch and ExamId."""

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


class ForeignStudy(Model):
    """A study that an exam lists and that is of other hospitals: not joined, until the exam's own hospital sends it."""

    exam = ForeignKeyField(Exam, index=False)
    study_uid = CleanTextField(index=True)

    class Meta:
        table_name = "foreign_study"
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
    """Two numbers of one patient of a hospital, as they are compared."""

    hospital = KeyField(default="")
    old = CleanTextField()
    new = CleanTextField()
    why = CleanTextField()
    who = CleanTextField()
    at = InstantField()

    class Meta:
        primary_key = CompositeKey("hospital", "old", "new")


class MergeRow(Model):
    """A proposal by HL7 ADT^A40: two numbers of one patient of a hospital, as the message had them."""

    hospital = CleanTextField()
    old = CleanTextField()
    new = CleanTextField()
    at = InstantField()

    class Meta:
        table_name = "proposed_alias"
        primary_key = CompositeKey("hospital", "old", "new")


class Document(Model):
    """A file taken from the drop folder. `revision` is its intake revision in the exam; null while unpaired.

    Of a PDF: `vouched` that its text names its exam, or that nobody asks; `named` the words, one a line, by which it
    does; `confirmed` the JSON (a document's id) that a person has said it belongs to; `message` the JSON that came in
    one message with it; `unread` how often its text could not be read in its processor time; `learnt` that its source
    is calibrated by it. Of a JSON `named` is a digest, and `confirmed` its own id where a person has said that it
    counts. One that is `purged` has no file any more; `returned` is when it came again since. `checksum` is SHA-256 of
    its file, null where only `digest` is known, which is another thing for an HL7 message; `damaged` says why the
    file is not what came, null while it is.
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
    returned = InstantField(null=True)

    class Meta:
        indexes = ((("kind", "purged", "arrived"), False),)


Document.add_index(Document.index(Document.arrived, name="document_unread", where=SQL("unread = 1")))


class PdfSource(Model):
    """Calibration of a source of PDFs (a folder, HL7, DICOM): how far text, time and labels tell them apart."""

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
    """A word of a PDF that nothing vouches for, in its text (`kind` text) or its name (the pattern's groups)."""

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


TABLES: tuple[type[Model], ...] = (
    Exam, ExpiredExam, ExamStudy, SeparatedStudy, ForeignStudy, Disagreement, Alias, MergeRow, Document, PdfSource,
    ExamWord, PdfWord, SeenFile, SetAsideRow, FolderFileRow, FolderCount, Retrieval, PacsCount,
)  # fmt: skip
