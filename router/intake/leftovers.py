"""Files of the drop folder that belong to no exam: each is listed until its cause ends.

Each refused file, and each PDF that no exam claims, is an alarm: a person must see to it. Names that nearly pair, and
other files that stay there, are only shown. Nothing pairs by a near name.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from router.alarms import Alarm
from router.catalogue.exams.exams import Exams
from router.catalogue.exams.files import (
    ALARMS,
    MOST,
    OF_STUDY,
    SEVERAL,
    FileKind,
    FolderFile,
    Lying,
    Part,
    Partner,
)
from router.clock import Clock
from router.config.folders import SOLE, DropFolder, drop_folders
from router.config.sections import Config
from router.events import Event, EventBus, Kind
from router.intake.document import branch_of_file
from router.intake.numbered import bearers, registry_of
from router.intake.origin import origin_of, prefix_of, stem_of
from router.matching.report_pdf.near_names import Difference, differences, near_key
from router.reports.folder import originals
from router.reports.folder.directory import opened
from router.reports.folder.settle import Seen
from router.reports.folder.watch import Listing, Other, OtherKind
from router.storage.quarantine import Quarantine

_UNFINISHED = timedelta(hours=1)  # after which nobody goes on writing
_OF_STUDY_WITHIN = timedelta(days=3)
_AT_ONCE = 500
_ENDED = {
    Alarm.REJECTED_FILE: "a file that had been refused",
    Alarm.UNCLAIMED_PDF: "a report PDF that no exam had claimed",
}


class Leftovers:
    """Called by the one thread that takes files of the drop folder `at`. `fence` raises where another node takes them.

    Those of the common folder list what came otherwise, too.
    """

    def __init__(
        self, config: Config, exams: Exams, at: DropFolder, *, quarantine: Quarantine, bus: EventBus, clock: Clock,
        fence: Callable[[], None],
    ) -> None:  # fmt: skip
        self._at, self._folder = at, at.path
        self._exams = exams
        self._quarantine = quarantine
        self._bus = bus
        self._clock = clock
        self._fence = fence
        self._since: dict[Other, float] = {}
        self._others: frozenset[Other] | None = None
        self._look_at = float("-inf")
        self._after = 0
        self._alarmed: set[int] = set()
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Use this configuration from now on; the folder stays."""
        self._config = config
        own = [prefix_of(one.hospital) for one in drop_folders(config) if one.hospital]
        self._part = Part(prefix_of(self._at.hospital)) if self._at.hospital else Part(without=tuple(own))
        # In a shared folder nobody knows whose a file is: the common keys count.
        self._keys = (config.for_hospital(self._at.hospital) if self._at.hospital is not None else None) or config

    def any(self) -> bool:
        """Whether any file is listed: then something lay in the folder."""
        return self._exams.files.any(self._part)

    # -- refused files

    def begin(self, refused: Lying) -> int | None:
        """List a file that is about to be moved to rejected/; its number, None where it was listed before.

        A crash in between leaves its row: without it the file would lie there and nobody would know.
        """
        if self._exams.files.of_paths(FileKind.REJECTED, [refused.path]):
            return None
        return self._exams.files.enter(refused, self._clock.now())[0].id

    def take_back(self, number: int) -> None:
        """Remove a file from the list that was not moved after all: it has changed, and is read again."""
        self._exams.files.end([number])

    def refused(self, refused: Lying) -> FolderFile:
        """List a file that lies in rejected/, or a copy of it in quarantine, and raise its alarm."""
        now = self._clock.now()
        with self._exams.transaction():
            former = self._exams.files.of_paths(FileKind.REJECTED, [refused.path])
            listed, _ = self._exams.files.enter(refused, now)
            if former and former[0].found.text != refused.text:
                self._clear(listed, "was refused again, for another reason")
            self._raise(listed)
        return listed

    def replaced(self, paths: Collection[str]) -> None:
        """End the list's entries of files that were taken; within a transaction."""
        ended = self._exams.files.of_paths(FileKind.REJECTED, paths)
        for one in ended:
            if one.found.kept:
                self._exams.originals.forget_seen(one.found.path, one.found.mark)
        self._end(ended, "was replaced by one that is taken")

    # -- what lies there

    def look(self, found: Listing | None, failing: Collection[Seen] = ()) -> None:
        """Compare what is listed with what lies there by this scan; None while the folder does not answer."""
        now = self._clock.monotonic()
        others = self._others if found is None else frozenset(self._staying(found, failing))
        if others == self._others and now < self._look_at:
            return
        with self._exams.transaction():
            self._fence()
            self._look_for_unclaimed()
            if found is not None:
                self._keep(found, others or frozenset())
        if found is not None:
            self._look_for_refused()
        self._others, self._look_at = others, now + self._at.rescan.total_seconds()

    def look_soon(self) -> None:
        """Look at the next call: something was taken or refused."""
        self._look_at = float("-inf")

    def _staying(self, found: Listing, failing: Collection[Seen]) -> Iterator[Other]:
        """Files that were there for long enough, by their own time or since they were first seen."""
        here = [*found.others, *(Other(one.path, OtherKind.UNREADABLE, one.size, one.mtime) for one in failing)]
        now, at = self._clock.monotonic(), self._clock.now().timestamp()
        self._since = {one: self._since.get(one, now) for one in here}
        for one, since in self._since.items():
            patience = _UNFINISHED if one.kind is OtherKind.TEMPORARY else self._at.settle
            if max(now - since, at - one.mtime / 1e9) >= patience.total_seconds():
                yield one

    def _keep(self, found: Listing, others: Collection[Other]) -> None:
        now = self._clock.now()
        lying = [self._lying(one) for one in sorted(others, key=lambda one: str(one.path))]
        near_by = self._exams.files.lacking({near_key(one.path) for one in lying})
        lacking = [one for one in near_by if self._is_ours(one.stem)]
        # A JSON without PDF goes before a PDF without JSON.
        partners = {one.key: one for one in sorted(lacking, key=lambda one: one.exam is not None)}
        near = [*self._near_pdfs(), *self._near_others(lying, partners)]
        paths = {one.path for one in near[:MOST]}
        rest = [
            replace(one, exam=partners[near_key(one.path)].exam) if near_key(one.path) in partners else one
            for one in lying if one.path not in paths
        ]  # fmt: skip
        beyond = sum(found.counted.values()) - len(found.others)
        self._exams.files.keep(FileKind.NEAR, near[:MOST], len(near), now, self._part)
        self._exams.files.keep(FileKind.OTHER, rest, len(rest) + beyond, now, self._part)

    def _lying(self, one: Other) -> Lying:
        path = stem_of(self._at.hospital, originals.name_of(self._folder, one.path))
        return Lying(
            kind=FileKind.OTHER, path=path, why=one.kind, branch=branch_of_file(self._config, path),
            mark=f"{one.size} {one.mtime}",
        )  # fmt: skip

    # -- names that nearly pair

    def _near_pdfs(self) -> Iterator[Lying]:
        best: dict[int, tuple[str, Partner]] = {}
        for document, stem, partner in self._exams.files.near_pdfs(MOST, self._part):
            if not self._is_ours(partner.stem):
                continue
            former = best.get(document)
            if former is None or (partner.lacks and not former[1].lacks):
                best[document] = stem, partner
        for document, (stem, partner) in best.items():
            path, found = pdf_name(stem), differences(stem, partner.stem)
            yield Lying(
                kind=FileKind.NEAR, path=path, why=_codes(found), text=", ".join(found), near=partner.name,
                branch=branch_of_file(self._config, path), exam=partner.exam, document=document,
                mark=str(document),
            )  # fmt: skip

    def _near_others(self, lying: Iterable[Lying], partners: Mapping[str, Partner]) -> Iterator[Lying]:
        for one in lying:
            partner = partners.get(near_key(one.path))
            if partner is None or one.why not in (OtherKind.ENDING, OtherKind.TEMPORARY):
                continue
            found = differences(one.path, partner.stem)
            yield replace(
                one, kind=FileKind.NEAR, why=_codes(found), text=", ".join(found), near=partner.name, exam=partner.exam
            )

    def _is_ours(self, stem: str) -> bool:
        """Whether what is kept under a name came by this folder's way: only such names are compared."""
        return self._at.hospital == SOLE or origin_of(stem)[0] == self._at.hospital

    # -- PDFs that no exam claims

    def _look_for_unclaimed(self) -> None:
        now, within, part = self._clock.now(), self._keys.reports.pair_within, self._part
        oldest = now - self._config.retention.unmatched
        self._end(self._exams.files.claimed(part), "has its exam, or is no longer here")
        self._end(self._exams.files.outlasted(oldest, part), "has waited as long as [retention] unmatched says")
        late = self._exams.files.unclaimed(oldest, now - within, now - max(within, _OF_STUDY_WITHIN), _AT_ONCE, part)
        for document, stem in late:
            path, having = pdf_name(stem), bearers(self._exams, registry_of(self._config), stem)
            exams = [f"e{one.exam}" for one in having]
            several = len(exams) > 1
            lying = Lying(
                kind=FileKind.UNCLAIMED, path=path, why=SEVERAL if several else "no-json",
                text=", ".join(exams) if several else "no exam JSON has claimed it",
                branch=branch_of_file(self._config, path), document=document, mark=str(document),
            )  # fmt: skip
            listed, _ = self._exams.files.enter(lying, now)
            self._raise(listed)

    # -- refused files that are gone

    def _look_for_refused(self) -> None:
        """A page of them at each look, so that a folder full of them costs no time."""
        page = self._exams.files.listed(FileKind.REJECTED, self._after, _AT_ONCE, self._part)
        self._after = page[-1].id if len(page) == _AT_ONCE else 0
        if not page:
            return
        gone = self._gone(page)
        here = [one for one in page if one not in gone and one.id not in self._alarmed and one.dismissed is None]
        with self._exams.transaction():
            self._end(gone, "was removed")
            for one in here:
                self._raise(one)
        self._alarmed |= {one.id for one in here}

    def _gone(self, page: Sequence[FolderFile]) -> list[FolderFile]:
        try:
            with opened(self._folder) as top:
                return [one for one in page if self._is_gone(top, one)]
        except OSError:
            return []

    def _is_gone(self, top: int, one: FolderFile) -> bool:
        if one.found.kept and not self._quarantine.has(one.found.kept):
            return True
        return one.found.place is not None and originals.lies(top, one.found.place) is False

    # -- alarms

    def _raise(self, one: FolderFile) -> None:
        if one.dismissed is not None:
            return
        text = f"file {one.name} of the drop folder is refused ({one.found.why}): {one.found.text}"
        if one.found.kind is FileKind.UNCLAIMED:
            text = f"file {one.name}: no exam JSON has claimed the report PDF within [reports] pair_within"
            if one.found.why == SEVERAL:
                text = f"file {one.name}: exams {one.found.text} have the number that is the report PDF's name"
        self._record(Kind.ALARM, one, text)

    def _clear(self, one: FolderFile, how: str) -> None:
        self._record(Kind.CLEARED, one, f"file {one.name}, {_ENDED[ALARMS[one.found.kind]]}, {how}")

    def _record(self, kind: Kind, one: FolderFile, text: str) -> None:
        alarm, exam = ALARMS[one.found.kind], one.found.exam
        fields = {"hospital": self._at.hospital} if self._at.hospital else {}
        now = self._clock.now()
        self._bus.record(Event(now, kind, text, exam=exam, fields=fields, alarm=alarm, subject=one.subject))

    def _end(self, ended: Sequence[FolderFile], how: str) -> None:
        if ended:
            self._exams.files.end([one.id for one in ended])
        for one in ended:
            self._clear(one, how)


def pdf_name(stem: str) -> str:
    """The name of a PDF's file; of one that came as a DICOM instance its study's UID stands for it."""
    return stem if stem.startswith(OF_STUDY) else f"{stem}.pdf"


def _codes(found: Sequence[Difference]) -> str:
    return " ".join(each.name.lower() for each in found)
