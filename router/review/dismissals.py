"""Dismissals of alarms by people: a file of the drop folder may stay, the platform was told of an exam."""

from collections.abc import Iterable, Sequence

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams.files import ALARMS, FileKind, FolderFile
from router.catalogue.node.alarms import Standing
from router.catalogue.node.refusals import IMAGES, RefusedSender
from router.clock import Clock
from router.errors import InvalidData, WrongUse
from router.events import Event, EventBus, Kind
from router.refusals import sender
from router.review.decisions import OperatorReason
from router.review.lookup import Lookup, is_form

TOLD = (Alarm.DELIVERED_IN_DOUBT, Alarm.REJECTED_AFTER_DELIVERY, Alarm.WITHDRAWAL)
"""Alarms of which somebody outside has to be told; only a person knows when that was done."""


class Ambiguous(InvalidData):
    """Several files have a name; `files` are those."""

    def __init__(self, files: Sequence[FolderFile]) -> None:
        names = ", ".join(one.name for one in files)
        super().__init__("several files have that name", hint=f"name one of them by its number: {names}")
        self.files = files


class Dismissals:
    """The dismissals, as the command line asks for them."""

    def __init__(self, catalogue: Catalogue, bus: EventBus, clock: Clock) -> None:
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock

    def is_of_a_file(self, word: str) -> bool:
        """Whether a listed file has this name. WrongUse where an exam or a delivery has it, too."""
        found = self._named(word)
        if found and is_form(word) and Lookup(self._catalogue).exams(word):
            forms = f"{found[0].name}, {word[0].lower()}:{word[1:]}"
            raise WrongUse(f"{word} may mean several things", hint=f"say which: {forms}")
        return bool(found)

    def dismiss(self, name: str, reason: OperatorReason) -> list[FolderFile]:
        """End the alarm of a file, by its number (f12), path or name, and hide it until it changes; its entries.

        The file stays where it is. InvalidData when there is none, Ambiguous when several have the name.
        """
        with self._catalogue.engine.write():
            named = self._named(name)
            if not named:
                raise InvalidData("no file of that name waits", hint="see `scripts/queue files`")
            if len({one.found.path for one in named}) > 1:
                raise Ambiguous(named)
            return self._dismiss(self._catalogue.exams.files.of_path(named[0].found.path), reason)

    def dismiss_kind(self, kind: FileKind, reason: OperatorReason) -> list[FolderFile]:
        """End the alarms of all listed files of a kind, and hide each until it changes; their entries."""
        with self._catalogue.engine.write():
            return self._dismiss(self._catalogue.exams.files.listed(kind), reason)

    def dismiss_exam(self, name: str, reason: OperatorReason) -> list[Standing]:
        """End the alarms about what destinations have of an exam: their operators know of it. Those that stood.

        A name of a delivery concerns its destination alone. InvalidData where no alarm stands, WrongUse where the name
        may mean several exams.
        """
        lookup, alarms, now = Lookup(self._catalogue), self._catalogue.alarms, self._clock.now()
        exam, at = lookup.exam(name), {one.destination for one in lookup.deliveries([name])}
        with self._catalogue.engine.write():
            found = [
                one for one in alarms.standing(exam)
                if one.exam == exam and one.alarm in TOLD and (not one.destination or one.destination in at)
            ]  # fmt: skip
            if not found:
                hint = (
                    "it ends `delivered-in-doubt`, `rejected-after-delivery`, `withdrawal`; see `scripts/queue explain`"
                )
                raise InvalidData("no alarm of this exam can be dismissed", hint=hint)
            named = ", ".join(dict.fromkeys(one.alarm for one in found))
            self._bus.record(Event(now, Kind.DECIDED, f"dismissed ({named}): {reason.why}", who=reason.who, exam=exam))
            for one in found:
                fields = {"destination": one.destination} if one.destination else {}
                self._bus.record(Event(
                    now, Kind.CLEARED, f"dismissed by {reason.who}", exam=one.exam, delivery=one.delivery,
                    fields=fields, alarm=one.alarm, subject=one.subject,
                ))  # fmt: skip
        return found

    def _named(self, name: str) -> list[FolderFile]:
        """Files whose number, path or file name it is; only the ending may be in capitals or not."""
        files = self._catalogue.exams.files
        ending = f"/{_written(name)}"

        def is_named(one: FolderFile) -> bool:
            return one.name == name.lower() or f"/{_written(one.found.path)}".endswith(ending)

        return [one for one in files.named(name) if one.dismissed is None and is_named(one)]

    def _dismiss(self, files: Iterable[FolderFile], reason: OperatorReason) -> list[FolderFile]:
        found, now = [one for one in files if one.dismissed is None], self._clock.now()
        self._catalogue.exams.files.dismiss([one.id for one in found], reason.who, reason.why, now)
        for one in found:
            exam, alarm = one.found.exam, ALARMS.get(one.found.kind)
            text = f"file {one.name} of the drop folder ({one.found.kind}) is dismissed: {reason.why}"
            self._bus.record(Event(now, Kind.DECIDED, text, who=reason.who, exam=exam))
            if alarm is not None:
                text = f"file {one.name} is dismissed by {reason.who}"
                self._bus.record(Event(now, Kind.CLEARED, text, exam=exam, alarm=alarm, subject=one.subject))
        return found


def _written(path: str) -> str:
    stem, dot, ending = path.rpartition(".")
    return f"{stem}{dot}{ending.lower()}"


def dismiss(
    catalogue: Catalogue, bus: EventBus, clock: Clock, chosen: Iterable[RefusedSender], reason: OperatorReason
) -> None:
    """End the alarms of these senders: about associations for the present cause, about images those refused so far."""
    now = clock.now()
    with catalogue.engine.write():
        for one in chosen:
            name = sender(one.calling, one.address)
            alarm = Alarm.REFUSED_IMAGES if one.kind == IMAGES else Alarm.REFUSED_SENDER
            text = f"refused {one.kind} of {name} are dismissed: {reason.why}"
            bus.record(Event(now, Kind.DECIDED, text, who=reason.who))
            bus.record(Event(now, Kind.CLEARED, text, who=reason.who, alarm=alarm, subject=f"sender {name}"))
            catalogue.refusals.dismiss(one, f"{reason.who}: {reason.why}", now)
