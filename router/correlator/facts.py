"""Facts of an exam, read for its assessment: rows, stored JSONs and PDFs, decisions of people, backfills."""

from collections.abc import Sequence
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams.exams import Chosen, ExamSnapshot
from router.clock import Clock
from router.config.hospitals import HospitalConfigs, registered
from router.config.sections import Config
from router.correlator.assess import ExamFacts, approval_of, pdfs_of, taken_of
from router.correlator.exam_jsons import ExamJsons
from router.correlator.joining import doubts, forgotten
from router.exam.key import ExamKey
from router.images.rereading import Rereading
from router.intake.exam_reader import ExamReader
from router.intake.report_pdfs import PaperReader, Weighed
from router.matching.exam.institution import another_hospital
from router.matching.exam.share import share_policy
from router.matching.exam.versions import successive
from router.matching.patient.doubt import Doubt, holding
from router.matching.patient.identity import IdentityPolicy
from router.matching.patient.policy import identity_policy
from router.matching.report_pdf.choice import Choice
from router.policy.backfill import standing
from router.storage import Storage

_NOT_WEIGHED = Weighed(choice=Choice(), kept=Chosen())


class FactReader:
    """Reads the facts; the doubts that stand are kept in the catalogue on the way."""

    def __init__(
        self, config: Config, references: ExamReader, catalogue: Catalogue, storage: Storage, clock: Clock
    ) -> None:  # fmt: skip
        self._configs = HospitalConfigs(config)
        self._catalogue = catalogue
        self.rereading = Rereading(catalogue, storage)
        self.jsons = ExamJsons(references, catalogue.exams, storage.reports, clock)
        self.papers = PaperReader(config, catalogue.exams, storage.reports, self.jsons.load)

    def reconfigure(self, config: Config) -> None:
        """Read by this configuration from the next exam on."""
        self._configs = HospitalConfigs(config)
        self.papers.reconfigure(config)

    def case(self, exam: int) -> ExamSnapshot:
        """The exam's rows, its headers read by the rules of today."""
        case = self._catalogue.exams.case(exam)
        return self._catalogue.exams.case(exam) if self.rereading.renew(case.studies.values()) else case

    def read(
        self, case: ExamSnapshot, now: datetime, *, behind: datetime | None = None, weigh: bool = True
    ) -> ExamFacts:  # fmt: skip
        """All facts of the exam, `behind` as in ExamFacts; without `weigh` it has no PDF. Damaged: a JSON is gone."""
        config = self._configs.of(case.hospital)
        share = share_policy(config)
        taken = taken_of(case, config.reports)
        version = successive(taken)[-1]
        document, key = self.jsons.load(case, version)
        others = [self.jsons.load(case, other)[1] for other in case.jsons if other.document != version.document]
        foreign = another_hospital(key, registered(config))  # nobody is to compare its patients
        policy = identity_policy(
            config.identity, self._catalogue.decisions.classes(case.hospital), several=self._configs.several
        )
        pdfs = pdfs_of(case, key, others, policy)
        approved_at = approval_of(version, config.reports, now)
        before = share.start is not None and approved_at is not None and approved_at < share.start
        backfills = self._catalogue.backfills.all() if before else ()
        named = frozenset(name for rule in share.exclude for name in rule.sayings)
        return ExamFacts(
            case=case, taken=taken, document=document, key=key, others=others, policy=policy,
            said=self.jsons.texts(case, version.document, named),
            unsettled=[] if foreign else self._unsettled(case, key, others, policy, now),
            weighed=self.papers.weigh(case, taken, pdfs, now) if weigh else _NOT_WEIGHED, now=now,
            backfills=backfills,
            purged=standing(backfills) is not None and self._catalogue.backfills.purged(case.studies), behind=behind,
            withdrawn=self._catalogue.withdrawals.by_person(case.exam, version.document),
        )  # fmt: skip

    def _unsettled(
        self, case: ExamSnapshot, key: ExamKey, others: Sequence[ExamKey], policy: IdentityPolicy, now: datetime
    ) -> Sequence[Doubt]:
        found = doubts(case, key, others, policy) | forgotten(case)
        hold = holding(found.values(), policy.checks)
        held = {digest: doubt for digest, doubt in found.items() if doubt in hold}
        return self._catalogue.decisions.unsettled(case.exam, held, now)
