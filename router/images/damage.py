"""Damaged images: their stored files are not what came. They are set aside, and taken back once the file is right."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.alarms import Alarm
from router.catalogue.images.damages import Damages
from router.clock import Clock
from router.events import Event, EventBus, Kind
from router.model import InstanceUids

_STUDY = "study "


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Sets single instances aside; one alarm stands for each study that has any."""

    damages: Damages
    bus: EventBus
    clock: Clock

    def found(self, instance: int, uids: InstanceUids, why: str) -> None:
        """Set aside a version (`instance` numbers its row) whose file is not what came; the rest of its study goes."""
        now = self.clock.now()
        self.damages.set_aside(instance, why, now)
        text = f"stored images are damaged and set aside, the first of them {uids.sop}: {why}"
        self.bus.record(Event(
            now, Kind.ALARM, text, study_uid=uids.study, fields={"instance": uids.sop}, alarm=Alarm.DAMAGED,
            subject=f"{_STUDY}{uids.study}",
        ))  # fmt: skip

    def sound(self, uids: InstanceUids, version: int) -> None:
        """Take back a version that was set aside: its file was put back, or could not be read for a while."""
        now = self.clock.now()
        self.damages.mend(uids, version, now)
        text, fields = "its file was damaged and is what came again", {"instance": uids.sop}
        self.bus.record(Event(now, Kind.RECEIVED, text, study_uid=uids.study, fields=fields))

    def clear(self, standing: Sequence[str]) -> None:
        """End the alarms, given by their subjects, of studies in which nothing damaged is wanted any more."""
        left = {f"{_STUDY}{study}" for study in self.damages.studies()}
        for subject in standing:
            if subject.startswith(_STUDY) and subject not in left:
                now, study = self.clock.now(), subject.removeprefix(_STUDY)
                text = "nothing of the study is damaged any more"
                event = Event(now, Kind.CLEARED, text, study_uid=study, alarm=Alarm.DAMAGED, subject=subject)
                self.bus.record(event)
