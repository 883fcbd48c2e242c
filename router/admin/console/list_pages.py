"""Pages of what has no delivery: studies without a report, refusals at the door, files of the drop folder."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from router.admin.console.frame import (
    View,
    button,
    cell,
    form,
    frame,
    hidden,
    mark,
    masked_name,
    reason,
    said,
    table,
    tile,
    trouble,
    word,
)
from router.catalogue.exams.files import FileKind, FolderFile
from router.catalogue.node.refusals import ASSOCIATIONS, IMAGES, RefusedSender
from router.correlator.refused import RefusalSum
from router.intake.folder_files import WHERE
from router.intake.folder_files import reason as listed_for
from router.refusals import meaning
from router.review.unreported import Listed, Page, SenderSum
from router.text.language import N_

ROWS = 200
_STUDIES = N_(("Study", "From", "Address", "Mod", "Date", "Inst", "Last", "Days"))
_SENDERS = N_(("From", "Address", "Studies", "Recent", "Oldest", "Dismissed"))
_DAYS = N_("Days: working days since it came; * raises no alarm: a prior, or out of [share]")
_NO_REPORT = N_("The studies of a dismissed sender get no report: they raise no alarm until one of them gets its.")
_REFUSED = N_(("From", "Address", "Why", "Times", "Studies", "Last", "What", "What to do"))
_REFUSED_SENDERS = N_(("From", "Address", "Refused", "What", "Times", "Since", "Last", "Dismissed"))
_MAY_GO_ON = N_("A dismissed sender that is refused for the same cause is no alarm for seven days.")
_LOST = N_("Dismissed images are no alarm any more; further ones are.")
_KINDS = N_({ASSOCIATIONS: "associations", IMAGES: "images"})
_FILES = N_(("File", "Since", "Exam", "Name", "Kind", "Because"))
_STAYS = N_("A dismissed file stays where it is. It is listed again when it changes.")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a long list on the `page`-th page, which begins at 0; `count` are all of them."""

    page: int
    count: int

    @property
    def start(self) -> int:
        """The first of them."""
        return self.page * ROWS

    @property
    def end(self) -> int:
        """The one after the last."""
        return min(self.start + ROWS, self.count)


def sender_mark(sender: str) -> str:
    """Mark of a sender whose studies lack their reports; further studies change nothing of what is dismissed."""
    return mark(("unreported", sender))


def refused_mark(one: RefusedSender) -> str:
    """Mark of a refused sender: another cause is another matter, and so are further images."""
    images = (one.missing, one.untracked) if one.kind == IMAGES else ()
    return mark((one.kind, one.calling, one.address, one.called, one.why, images))


def file_mark(one: FolderFile) -> str:
    """Mark of a file as it was listed."""
    found = one.found
    return mark((one.id, found.kind, found.path, found.mark, found.text, found.near))


def kind_mark(kind: FileKind, files: Iterable[FolderFile]) -> str:
    """Mark of all files of a kind."""
    return mark((kind, [file_mark(one) for one in files if one.found.kind == kind]))


def unreported(view: View, found: Page, rows: Rows, note: str) -> bytes:
    """Studies that no exam names, the oldest first, and their senders, which may be dismissed."""
    studies = table(view, _STUDIES, [_study(view, one) for one in found.listed])
    senders = [_sender(view, one) for one in found.senders[:ROWS]]
    return frame(
        view,
        f"{said(view, note)}<h2>{view.say('Studies without a report')}</h2>{studies}"
        f"{_pager(view, rows)}{_note(view, _DAYS)}"
        + _dismissing(view, table(view, _SENDERS, senders, "By sender"))
        + _note(view, _NO_REPORT),
    )


def refused(
    view: View, sums: Sequence[RefusalSum], senders: Sequence[RefusedSender], rows: Rows, note: str
) -> bytes:  # fmt: skip
    """Refusals of the last days, the latest first, and the senders that stand as refused."""
    latest = table(view, _REFUSED, [_refusal(view, one) for one in sums])
    standing = [_refused_sender(view, one) for one in senders[:ROWS]]
    return frame(
        view,
        f"{said(view, note)}<h2>{view.say('Refused in the last seven days')}</h2>{latest}{_pager(view, rows)}"
        + _dismissing(view, table(view, _REFUSED_SENDERS, standing, "Senders that are refused"))
        + _note(view, _MAY_GO_ON)
        + _note(view, _LOST),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFolder:
    """Files that are listed, those of the page by `rows`; `counts` of each kind. Names are masked unless `named`."""

    files: Sequence[FolderFile]
    counts: Mapping[FileKind, int]
    rows: Rows
    named: bool


def files(view: View, folder: DropFolder, note: str) -> bytes:
    """Files of the drop folder, which may be dismissed one by one or by kind."""
    rows, say = folder.rows, view.say
    tiles = "".join(tile(say(WHERE[kind]), str(number), "") for kind, number in folder.counts.items())
    show = str if folder.named else masked_name
    listed = table(view, _FILES, [_file(view, one, show) for one in folder.files[rows.start : rows.end]])
    return frame(
        view,
        f'{said(view, note)}<h2>{say("Files of the drop folder")}</h2><div class="tiles">{tiles}</div>'
        f"{_naming(view, folder)}{_dismissing(view, listed)}{_pager(view, rows)}"
        f"{_kinds(view, folder.files)}{_note(view, _STAYS)}",
    )


def _note(view: View, text: str) -> str:
    return f'<p class="note">{cell(view.say(text))}</p>'


def _pager(view: View, rows: Rows) -> str:
    if rows.count <= ROWS and not rows.page:
        return ""
    say, rest = view.tongue.say, rows.count - rows.end
    told = say("rows {first} to {last} of {count}, {rest} more", first=rows.start + 1, last=rows.end,
               count=rows.count, rest=max(rest, 0))  # fmt: skip
    ways = N_(((rows.page - 1, "Previous", rows.page > 0), (rows.page + 1, "Next", rest > 0)))
    links = [f'<a href="{view.path}?page={page}">{view.say(name)}</a>' for page, name, there in ways if there]
    return f'<p class="note">{cell(told)} {" ".join(links)}</p>'


def _dismissing(view: View, inside: str) -> str:
    """The table as a form in which one row is chosen; without a login the table alone."""
    if view.session is None or not inside:
        return inside
    why = f'<p class="line">{reason(view.say)}{button(view.say("Dismiss"))}</p>'
    return form(view, f"{view.path}/dismiss", inside + why, "list")


def _choosing(view: View, value: str, name: str, *, dismissed: bool = False) -> str:
    """A cell by which its row is chosen."""
    if view.session is None or dismissed:
        return cell(name)
    dot = f'<input type="radio" name="chosen" value="{escape(value)}" required>'
    return f'<label class="word">{dot} {cell(name)}</label>'


def _study(view: View, one: Listed) -> list[str]:
    study, aside = one.study, "*" if one.passed_over else ""
    return [
        trouble(cell(study.study_uid)), word(study.sender or "-"), word(study.address or "-"),
        cell(", ".join(one.modalities) or "-"), cell(study.study_date or "-"), str(one.instances),
        view.at(study.last), f"{one.working_days:g}{aside}",
    ]  # fmt: skip


def _sender(view: View, one: SenderSum) -> list[str]:
    return [
        _choosing(view, sender_mark(one.sender), one.sender or "-", dismissed=one.dismissed),
        cell(", ".join(address or "-" for address in one.addresses[:3])) + (" …" if one.addresses[3:] else ""),
        str(one.studies), str(one.recent), f"{one.working_days:g}", view.say("dismissed") if one.dismissed else "",
    ]  # fmt: skip


def _refusal(view: View, one: RefusalSum) -> list[str]:
    say = view.say
    return [
        word(one.calling or "-"), word(one.address or "-"), word(one.why), str(one.count), str(one.studies),
        view.at(one.last), trouble(cell(say(one.means))), cell(say(one.todo)),
    ]  # fmt: skip


def _refused_sender(view: View, one: RefusedSender) -> list[str]:
    say = view.say
    over = "" if one.dismissed is None else f"{view.at(one.dismissed)} {cell(one.dismissal)}"
    return [
        _choosing(view, refused_mark(one), one.calling or "-", dismissed=one.dismissed is not None),
        word(one.address or "-"), say(_KINDS[one.kind]), trouble(cell(say(meaning(one.why, one.reason, one.called)))),
        str(one.count), view.at(one.first), view.at(one.last), over,
    ]  # fmt: skip


def _file(view: View, one: FolderFile, show: Callable[[str], str]) -> list[str]:
    found, say = one.found, view.say
    exam = "-" if found.exam is None else f'<a href="/exam?id={found.exam}">e{found.exam}</a>'
    return [
        _choosing(view, file_mark(one), one.name), view.at(one.since), exam, trouble(cell(show(found.path))),
        word(say(WHERE[found.kind])), trouble(cell(say(listed_for(one, show)))),
    ]  # fmt: skip


def _naming(view: View, folder: DropFolder) -> str:
    """The form that shows the names, which may be of patients."""
    if view.session is None:
        return _note(view, N_("Log in to see names of files, and to dismiss."))
    if folder.named or not folder.files:
        return ""
    ask = button(view.say("Show names of files (this is recorded)"))
    return form(view, "/files/names", hidden(page=folder.rows.page) + ask)


def _kinds(view: View, listed: Sequence[FolderFile]) -> str:
    """The form that dismisses every file of a kind that is listed now."""
    if view.session is None or not listed:
        return ""
    say = view.say
    kinds = dict.fromkeys(one.found.kind for one in listed)
    options = "".join(
        f'<option value="{kind_mark(kind, listed)}">{say(WHERE[kind])}'
        f" ({sum(one.found.kind == kind for one in listed)})</option>"
        for kind in kinds
    )  # fmt: skip
    chosen = f'<label>{say("Every file of a kind")} <select name="chosen">{options}</select></label>'
    return form(view, "/files/dismiss", f"{chosen}{reason(say)}{button(say('Dismiss all of them'))}")
