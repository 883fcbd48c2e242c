"""The cataloguer: each acknowledged instance gets its class, its row, and its place in studies/.

Idempotent: a name in incoming/ is removed only after the row is committed, so a crash at any instant repeats a batch.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from router.alarms import Alarm
from router.catalogue.images.instances import Instances, Known, NewInstance
from router.clock import Clock
from router.config.sections import Hospital
from router.dicom.dataset import encapsulated
from router.dicom.dataset.header import owner_of, read_instance
from router.dicom.dataset.sameness import Likeness
from router.errors import InvalidData, traceback_of
from router.events import Event, EventBus, Kind
from router.images.former import Former, versioned
from router.images.rulebook import BookOf
from router.matching.images.hospital import NONE, HospitalOf
from router.model import Digests, Header, InstanceUids
from router.series.classify import classify
from router.series.rules import Rule
from router.storage import Storage
from router.storage.studies import Filing

BATCH = 256
_BATCH_BYTES = 2**28  # a batch of large instances ends earlier, so that none waits long for its row
_QUIET_SECONDS = 2.0
_MOST_ENDED = 2  # attempts at a file that ended the process or its memory
_AWAITED = "its file was removed by [retention] and has come again: it may still have to go"
TakePdf = Callable[[str, bytes, datetime], None]
"""Takes the document of an encapsulated PDF: the study, its bytes, when it came. InvalidData: it is no report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    path: Path
    header: Header
    digests: Digests
    size: int
    received: datetime


class Cataloguer:
    """Catalogues what has been acknowledged, batch by batch."""

    def __init__(
        self, storage: Storage, instances: Instances, book: BookOf, settle: Callable[[str], object],
        bus: EventBus, clock: Clock, take_pdf: TakePdf | None = None, *, hospitals: Sequence[Hospital] = (),
        cut_off_goes: bool = False,
    ) -> None:  # fmt: skip
        """`hospitals` are the registered ones; `cut_off_goes`: an instance that is not whole is sent without a person's
        word."""
        self._cut_off_goes = cut_off_goes
        self.reconfigure(hospitals)
        self.take_pdf = take_pdf
        self.takes_pdfs_of: Callable[[str], bool] = lambda _: True
        self._incoming = storage.incoming
        self._studies = storage.studies
        self._quarantine = storage.quarantine
        self._instances = instances
        self._book = book
        self._settle = settle
        self._unsettled: dict[str, float] = {}
        self._doubts: list[tuple[str, str]] = []
        self._bus = bus
        self._clock = clock

    def reconfigure(self, hospitals: Sequence[Hospital]) -> None:
        """Tell the hospital of what comes by these from now on."""
        self._hospital_of = HospitalOf(hospitals)

    def run_batch(self) -> int:
        """Catalogue up to BATCH files; how many there were."""
        count, arrivals = self._read_batch()
        if arrivals:
            with self._instances.lock_names({arrival.header.uids.study for arrival in arrivals}):
                self._enter(arrivals)
            self._hand_documents(arrivals)
            self._studies.release([arrival.path for arrival in arrivals])
            now = self._clock.monotonic()
            self._unsettled.update((arrival.header.uids.study, now) for arrival in arrivals)
        # Classes that depend on neighbours wait until a study pauses; its selection settles them at the latest.
        before = self._clock.monotonic() - _QUIET_SECONDS
        for study in [study for study, last in self._unsettled.items() if last <= before]:
            self._settle(study)
            del self._unsettled[study]
        return count

    def _enter(self, arrivals: Sequence[_Arrival]) -> None:
        """File the arrivals in studies/, then commit their rows, then what is to be recorded about them."""
        self._doubts.clear()
        sops = [arrival.header.uids.sop for arrival in arrivals]
        known = self._instances.known(sops, [arrival.digests.data_set for arrival in arrivals])
        filings = self._plan(arrivals, known)
        lost, damaged, returned = self._came_back(arrivals, known)
        self._studies.file([*lost, *(filing for filing, _ in filings)])
        self._replace(damaged)
        with self._instances.transaction():  # nobody sees the rows without the doubt
            self._instances.returns.take(returned, max(arrival.received for arrival in arrivals))
            self._instances.add([new for _, new in filings])
            self._note_hospitals(arrivals)
            self._doubt_shared(arrivals, known)
            for study, text in self._doubts:  # another image came under a known UID: both are kept
                self._instances.doubt([study], text, self._clock.now())
                self._record(Kind.DOUBT, text, study)
        with self._instances.transaction():  # so that not each event waits for the disk
            again = {one.header.uids.study: one.received for one in arrivals if one.header.uids.sop in known}
            for study, received in again.items():
                self._instances.again(study, received)
            self._note_cut(arrivals, known)
            self._note_strays(arrivals)
            self._note_irregular(arrivals)

    def _note_hospitals(self, arrivals: Sequence[_Arrival]) -> None:
        """Note which hospitals brought studies, also by what is here already: a CD of another hospital, say."""
        brought: dict[str, set[str]] = defaultdict(set)
        for arrival in arrivals:
            if hospital := self._hospital_of(arrival.header):
                brought[arrival.header.uids.study].add(hospital)
        if brought:
            self._instances.note_hospitals(brought, self._clock.now())

    def _read_batch(self) -> tuple[int, list[_Arrival]]:
        count, size = 0, 0
        arrivals = []
        for path in self._incoming.files(BATCH):
            count += 1
            arrival = self._read(path)
            if arrival is not None:
                arrivals.append(arrival)
                size += arrival.size
            if size >= _BATCH_BYTES:
                break
        return count, arrivals

    def _hand_documents(self, arrivals: Sequence[_Arrival]) -> None:
        """Hand over the PDFs in instances, known ones too, before incoming/ is emptied: a crash repeats it.

        Those of a hospital whose reports come otherwise are images like others.
        """
        for arrival in arrivals:
            if self.take_pdf is None or arrival.header.sop_class != encapsulated.SOP_CLASS:
                continue
            if self.takes_pdfs_of(self._hospital_of(arrival.header)):
                uids = arrival.header.uids
                try:
                    with self._incoming.attempts.at(arrival.path):
                        self.take_pdf(uids.study, _document_of(arrival), arrival.received)
                except InvalidData as error:
                    text = f"an encapsulated PDF is no report: {error.message}"
                    self._record(Kind.REFUSED, text, uids.study, instance=uids.sop)

    def _read(self, path: Path) -> _Arrival | None:
        if (ended := self._incoming.attempts.ended(path)) >= _MOST_ENDED:
            reason = f"reading it has ended the program or taken all its memory {ended} times"
            study, folder = self._put_away(path, "poison", "an instance is set apart", reason)
            text, subject = f"an instance is in quarantine: {reason}", f"quarantine {folder}"  # a person deletes it
            event = Event(self._clock.now(), Kind.ALARM, text, study_uid=study, alarm=Alarm.POISON, subject=subject)
            self._bus.record(event)
            return None
        try:
            with path.open("rb") as file, self._incoming.attempts.at(path):
                header, digests = read_instance(file)
            # A clock that was set back leaves names of the future, and what waits for that time would stall.
            received = min(self._incoming.arrived(path), self._clock.now())
            size = path.stat().st_size
            return _Arrival(path=path, header=header, digests=digests, size=size, received=received)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # parsers raise anything; one file must not stop the others
            reason = f"{type(error).__name__} {traceback_of(error)}"
            if isinstance(error, InvalidData):
                reason = error.message
            self._put_away(path, "unreadable", "an instance cannot be read", reason)
            return None

    def _put_away(self, path: Path, why: str, text: str, reason: str) -> tuple[str | None, str]:
        """Move a file into quarantine; its study, as far as that can be read, and the folder."""
        study = sending_ae = ""
        with suppress(OSError):
            study, sending_ae = owner_of(path)
        folder = self._quarantine.take(path, self._clock.now(), why, reason).name
        self._record(Kind.QUARANTINED, f"{text}: {reason}", study or None, folder=folder, calling_ae=sending_ae)
        return study or None, folder

    def _plan(self, arrivals: Sequence[_Arrival], known: dict[str, list[Known]]) -> list[tuple[Filing, NewInstance]]:
        """The new instances, each with the version it becomes; the same data set again is no second copy."""
        # Most instances of a batch share their facts, so each different one is classified once.
        facts = {(arrival.header.facts, self._hospital_of(arrival.header)) for arrival in arrivals}
        rules = {key: classify(key[0], self._book(frozenset({key[1]} - {NONE}))) for key in facts}
        versions: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        latest: dict[tuple[str, str], Former] = {}
        for sop, rows in known.items():
            for row in rows:
                versions[row.study_uid, sop][row.digest] = row.version
                if not (row.cut or row.damaged):
                    uids = InstanceUids(row.study_uid, row.series_uid, sop)
                    latest[row.study_uid, sop] = Former(self._studies.path(uids, row.version), uids, row.pixels)
        planned = []
        for arrival in arrivals:
            uids = arrival.header.uids
            have = versions[uids.study, uids.sop]
            if arrival.digests.data_set in have:
                self._record(Kind.DUPLICATE, "the same data set again", uids.study, instance=uids.sop)
                continue
            filing = self._free_place(arrival, max(have.values(), default=0) + 1)
            have[arrival.digests.data_set] = filing.version
            seen = arrival
            if not arrival.header.cut:  # one that is cut off is set aside by that, and says nothing about the other
                seen = self._compared(latest.get((uids.study, uids.sop)), arrival)
                latest[uids.study, uids.sop] = Former(seen.path, uids, seen.digests.pixels)
            rule = rules[arrival.header.facts, self._hospital_of(arrival.header)]
            planned.append((filing, self._new(seen, filing.version, rule)))
        return planned

    def _compared(self, former: Former | None, arrival: _Arrival) -> _Arrival:
        """Compare with the former version: the same image gets its digest of pixels, another image is a doubt."""
        if former is None:
            return arrival
        uids = arrival.header.uids
        with self._incoming.attempts.at(arrival.path):
            found = versioned(former, arrival.path, arrival.header, arrival.digests)
        if found.doubt:
            self._doubts.append((uids.study, found.doubt))
        if found.alike in (Likeness.SAME, Likeness.ASSUMED):
            self._record(Kind.DUPLICATE, found.alike, uids.study, instance=uids.sop)
        return replace(arrival, digests=found.digests)

    def _came_back(
        self, arrivals: Sequence[_Arrival], known: dict[str, list[Known]]
    ) -> tuple[list[Filing], list[Filing], list[int]]:
        """Places of files that are gone or damaged and have come again as recorded: perhaps the last copies.

        And the rows of those that retention removed, which are needed once more.
        """
        rows = {(row.study_uid, sop, row.digest): row for sop, versions in known.items() for row in versions}
        again = {(one.header.uids.study, one.header.uids.sop, one.digests.data_set): one for one in arrivals}
        came = [(one, row) for key, one in again.items() if (row := rows.get(key)) is not None]
        awaited = self._instances.returns.awaited([row.key for _, row in came if row.purged])
        lost, damaged = list[Filing](), list[Filing]()
        for arrival, row in came:
            uids = arrival.header.uids
            filing = Filing(arrival.path, uids, row.version)
            if row.purged and row.key not in awaited:
                continue
            if row.damaged and not row.purged:
                damaged.append(filing)
            elif self._studies.lacks(filing):
                text = _AWAITED if row.purged else "its file was gone and has come again"
                self._record(Kind.RECEIVED, text, uids.study, instance=uids.sop)
                lost.append(filing)
        return lost, damaged, sorted(awaited)

    def _replace(self, damaged: Sequence[Filing]) -> None:
        self._studies.replace(damaged)
        if damaged:
            self._instances.mend([(one.uids, one.version) for one in damaged], self._clock.now())
        for one in damaged:
            text = "its file was damaged and has come again"
            self._record(Kind.RECEIVED, text, one.uids.study, instance=one.uids.sop)

    def _note_cut(self, arrivals: Sequence[_Arrival], known: dict[str, list[Known]]) -> None:
        """Record each instance that is not whole; an alarm stands while a study has one without a whole version."""
        concerned: dict[str, bool] = {}
        whose: dict[str, str] = {}
        for arrival in arrivals:
            uids, cut = arrival.header.uids, arrival.header.cut
            if cut:
                whole = any(row.study_uid == uids.study and not row.cut for row in known.get(uids.sop, ()))
                whole = whole or any(one.header.uids == uids and not one.header.cut for one in arrivals)
                fate = "it goes as it is" if self._cut_off_goes else "it is set aside where it was chosen to go"
                fate = "a whole version of it is here, and goes" if whole else fate
                text = f"instance {uids.sop} is cut off: {cut}; {fate}"
                self._record(Kind.IRREGULAR, text, uids.study)
            if cut or uids.sop in known:
                concerned[uids.study] = concerned.get(uids.study, False) or bool(cut)
                whose[uids.study] = self._hospital_of(arrival.header)
        for study, came in concerned.items():
            if not self._instances.has_cut(study):
                self._cut_alarm(Kind.CLEARED, "every instance of the study is here whole", study)
            elif came and not self._cut_off_goes:
                self._cut_alarm(Kind.ALARM, "images of the study are cut off and set aside", study, whose[study])

    def _cut_alarm(self, kind: Kind, text: str, study: str, hospital: str = "") -> None:
        self._bus.record(Event(
            self._clock.now(), kind, text, study_uid=study, fields={"hospital": hospital} if hospital else {},
            alarm=Alarm.CUT_OFF, subject=f"study {study}",
        ))  # fmt: skip

    def _note_strays(self, arrivals: Sequence[_Arrival]) -> None:
        """Record elements of a file's header, once a study and batch: a sender that sends them does so always."""
        found: dict[str, set[int]] = defaultdict(set)
        counts: dict[str, int] = defaultdict(int)
        for arrival in arrivals:
            if arrival.header.strays:
                found[arrival.header.uids.study] |= set(arrival.header.strays)
                counts[arrival.header.uids.study] += 1
        for study, numbers in found.items():
            named = ", ".join(f"(0002,{number:04X})" for number in sorted(numbers))
            text = f"the data sets of {counts[study]} instance(s) begin with elements of a file's header"
            self._record(Kind.IRREGULAR, f"{text} ({named}): kept, and left out when sent", study)

    def _note_irregular(self, arrivals: Sequence[_Arrival]) -> None:
        """Record irregular headers, once a study and batch, with the first instance of each kind."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for arrival in arrivals:
            for fault in arrival.header.irregular:
                found[arrival.header.uids.study, fault].append(arrival.header.uids.sop)
        for (study, fault), sops in found.items():
            text = f"{len(sops)} instance(s), the first of them {sops[0]}, are irregular: {fault}; kept as they came"
            self._record(Kind.IRREGULAR, text, study, instance=sops[0], irregular=fault)

    def _free_place(self, arrival: _Arrival, version: int) -> Filing:
        filing = Filing(arrival.path, arrival.header.uids, version)
        return self._free_place(arrival, version + 1) if self._studies.taken(filing) else filing

    def _new(self, arrival: _Arrival, version: int, rule: Rule) -> NewInstance:
        self._record(Kind.RECEIVED, "catalogued", arrival.header.uids.study, instance=arrival.header.uids.sop)
        return NewInstance(
            header=arrival.header, version=version, digests=arrival.digests, size=arrival.size,
            series_class=rule.series_class, rule=rule.name, received=arrival.received,
            hospital=self._hospital_of(arrival.header),
        )  # fmt: skip

    def _doubt_shared(self, arrivals: Sequence[_Arrival], known: dict[str, list[Known]]) -> None:
        """Hold both studies that have one SOP instance UID, also where they came together."""
        studies = {sop: {row.study_uid for row in rows} for sop, rows in known.items()}
        for arrival in arrivals:
            uids = arrival.header.uids
            there = studies.setdefault(uids.sop, set())
            others = there - {uids.study}
            there.add(uids.study)
            if others:
                text = f"instance {uids.sop} lies in two studies"
                self._instances.doubt({uids.study, *others}, text, self._clock.now())
                self._record(Kind.DOUBT, text, uids.study)

    def _record(self, kind: Kind, text: str, study: str | None = None, **fields: object) -> None:
        self._bus.record(Event(self._clock.now(), kind, text, study_uid=study, fields=fields))


def _document_of(arrival: _Arrival) -> bytes:
    """The PDF in it; InvalidData where there is none, or not the whole of it."""
    if arrival.header.cut:
        raise InvalidData(f"it is cut off: {arrival.header.cut}")
    try:
        return encapsulated.document_of(arrival.path)
    except MemoryError as error:
        raise InvalidData("reading it takes too much memory") from error
