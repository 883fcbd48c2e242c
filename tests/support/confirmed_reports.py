"""Reports that a destination has confirmed, as rows in bulk, and a platform that says what it has of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from router.catalogue import Catalogue
from router.errors import NotOffered
from router.forward.inventory import Inventory
from router.policy.comparison import Theirs
from router.review.remote import Place
from support.catalogue_rows import CLOUD, driver


def confirm(catalogue: Catalogue, count: int, first: datetime, spacing: timedelta, *, hospital: str = "") -> None:
    """So many reports were confirmed by CLOUD from then on, one after the other; idems are `i1`, `i2`, ..."""
    begin, step = (int(each * 1_000_000) for each in (first.timestamp(), spacing.total_seconds()))
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    no = "FALSE" if catalogue.engine.is_shared else "0"
    at = f"{begin} + (i - 1) * {step}"
    with catalogue.engine.write():
        sql = driver(catalogue).execute_sql
        sql(f"""INSERT INTO exam (hospital, branch, exam_id, accession_number, patient_id, patient_name, touched,
            revisions, doubt, created, approved_at) {numbers}
            SELECT '{hospital}', '01', '{hospital}E' || i, 'A', 'P', 'N', 0, 1, '', {at}, {at} FROM n""")
        sql(f"""INSERT INTO delivery (exam_id, hospital, destination, channel, state, waiting_for, due, legal_due,
            attempts, error, held_by, lease, lease_owner, wanted, delivered, created, changed, delivered_at)
            SELECT id, hospital, '{CLOUD}', 'report', 'delivered', '', created, created, 1, '', '', 0, '',
            'json=1 pdf=2 images=3 studies=x', 'json=1 pdf=2 images=3 studies=x', created, created, created
            FROM exam WHERE hospital = '{hospital}'""")
        sql(f"""INSERT INTO upload (delivery_id, n, idem, wanted, pdf_place, exam_place, refused, receipt_place,
            receipt, frozen, confirmed) SELECT id, 1, '{hospital}i' || exam_id, wanted, 'p', 'e', {no}, 'r', 'r' || id,
            created, created FROM delivery WHERE hospital = '{hospital}'""")


@dataclass
class Cloud:
    """What the platform has, by idem with its own time of acceptance; `ahead` is its clock before ours.

    `spoil` changes each answer; it was `asked` for these times.
    """

    has: dict[str, datetime] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    ahead: timedelta = timedelta(0)
    offered: bool = True
    spoil: Callable[[Inventory], Inventory] = lambda found: found
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def take(self, catalogue: Catalogue) -> None:
        """It has all that it has confirmed."""
        rows = driver(catalogue).execute_sql("SELECT idem, confirmed FROM upload WHERE confirmed IS NOT NULL")
        epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        for idem, at in rows.fetchall():
            self.has[idem] = epoch + timedelta(microseconds=at) + self.ahead

    def forget(self, idems: Sequence[str]) -> None:
        for idem in idems:
            self.has.pop(idem, None)

    def ask(self, place: Place, begin: datetime, end: datetime) -> Inventory:
        """The answer of `review.remote`'s `asking`."""
        self.asked.append((begin, end))
        if not self.offered:
            raise NotOffered("none")
        prefix = place.hospital
        exams = tuple(
            Theirs(idem=idem, revision=1, receipt="r", state=self.states.get(idem, "current"))
            for idem, at in self.has.items()
            if begin <= at < end and (not prefix or idem.startswith(prefix))
        )
        return self.spoil(Inventory(exams=exams, whole=True, ahead=self.ahead))
