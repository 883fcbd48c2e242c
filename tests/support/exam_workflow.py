"""A drop folder, studies and the correlator between them, for tests: all real but the clock and the C-STOREs."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from router.catalogue.queue.queue import Delivery
from router.correlator.correlator import Correlator
from router.delivery.deadline_monitor import DeadlineMonitor
from router.images.rulebook import rulebook
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.model import Channel, Patient
from router.policy.attention import Attention
from router.reports.pdf.reader import Readers
from router.review.attention import look, places_of
from router.review.decisions import Decisions, OperatorReason
from support.catalogue_rows import instance
from support.intake_folder import E1, IntakeFolder, exam

WANG = OperatorReason("wang", "asked the ward")
HERE = Patient("P0001", "Zhang^San=张^三", "19491231", "F")
CLOUD = """
[study]
stable_after = "60 s"
[[destination]]
name = "cloud"
[destination.dicom]
[destination.http]
api_key_file = "k"
signing_key_file = "k"
platform_signing_key_file = "k"
platform_encryption_key_file = "k"
"""


class ExamWorkflow(IntakeFolder):
    """What comes is evaluated at once. `settings` follow [reports] and [[destination]]."""

    def __init__(self, folder: Path, readers: Readers, settings: str = "") -> None:
        super().__init__(folder, readers, CLOUD + settings)

    def _open(self) -> None:
        super()._open()
        selection = Selection(self.config, self.catalogue, lambda _: rulebook(self.config.series), self.bus)
        known = (self.catalogue, self.storage, selection, self.bus, self.clock)
        self.correlator = Correlator(self.config, ExamReader(self.config), *known)
        self.decisions = Decisions(self.config.identity, self.catalogue, self.bus, self.clock)
        self.lookout = DeadlineMonitor(self.config, self.catalogue, self.bus, self.clock)

    def settle(self) -> None:
        while self.correlator.run_due():
            pass

    def later(self, **span: float) -> None:
        """Time goes by."""
        self.clock.advance(timedelta(**span).total_seconds())
        self.settle()

    def ris(self, exam_id: str = E1, /, **changes: object) -> None:
        """The RIS drops the exam's JSON."""
        changes = {"Study__StudyDate": "2026-03-01 09:00:00"} | changes
        self.drop(f"{exam_id}-{self.clock.now():%H%M%S}.json", exam(exam_id, **changes))
        self.settle()

    def pacs(self, study: str, *, number: int = 1, accession: str = "A0001", ae: str = "CT1", **patient: str) -> None:
        """The PACS sends an instance."""
        self.clock.advance(1)
        new = instance(number, study, patient=replace(HERE, **patient), accession=accession, received=self.clock.now())
        self.catalogue.instances.add([replace(new, header=replace(new.header, sending_ae=ae))])
        self.settle()

    def attention(self) -> list[Attention]:
        """What waits for a person, with the alarms brought in line with it."""
        self.lookout.step()
        return look(self.catalogue, places_of(self.config), self.config.node.data / "quarantine", self.clock.now())

    def delivery(self, exam_id: str = E1, channel: Channel = Channel.IMAGES) -> Delivery:
        deliveries = self.catalogue.queue.of_exam(self.case(exam_id).exam)
        (found,) = [one for one in deliveries if one.channel == channel]
        return found
