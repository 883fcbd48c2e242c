"""The console's pages as HTML: pure functions of what is shown. Everything from outside is escaped in `cell`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from router.admin.console.comparison import Compared, compared
from router.admin.console.frame import (
    View,
    button,
    cell,
    choice,
    form,
    frame,
    hidden,
    mark,
    masked,
    masked_name,
    reason,
    said,
    table,
    tile,
    trouble,
    word,
)
from router.admin.console.plot import bars, legend
from router.admin.console.sentences import Sending, answers, paused, what
from router.alarms import Alarm
from router.catalogue.images.ledger import Entry
from router.catalogue.node.alarms import ActiveAlarm, Standing
from router.catalogue.queue.backlog import Age, BacklogCount, Place
from router.images.series_report import Line as SeriesLine
from router.policy.attention import Attention
from router.policy.states import State
from router.review.answers import Explained
from router.review.deliveries import Story
from router.review.explain import Background
from router.text.language import N_

PAGE = 50
_PLACES: Mapping[str, str] = {
    Alarm.UNREPORTED: "/unreported",
    Alarm.REFUSED_SENDER: "/refused",
    Alarm.REFUSED_IMAGES: "/refused",
    Alarm.REJECTED_FILE: "/files",
    Alarm.UNCLAIMED_PDF: "/files",
}
_LINKS = 3
_MISSED = (Age.MISSED, Age.MISSED_A_DAY)
_ENDED = (State.DELIVERED, State.CANCELLED, State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED)
_NOT_SETTLED = N_("Release does not settle an identity doubt, which holds again: compare both sides, then settle it.")
_QUEUE_HEAD = N_(("Delivery", "ExamId", "Destination", "Channel", "State", "Due", "Left", "Sent", "Tries",
                  "Waits for, or trouble"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class QueuePage:
    """A page of the queue: which lines, and what was asked for."""

    lines: Sequence[Explained]
    state: str
    destination: str
    text: str
    page: int
    more: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class ExamPage:
    """An exam's story with all that the page shows of it. Patient data is masked while `compared` has no sides."""

    story: Story
    lines: Sequence[Explained]
    behind: Background
    series: Mapping[str, Sequence[SeriesLine]]
    ledgers: Mapping[str, Sequence[Entry]]
    compared: Compared
    said: str


def mark_of(story: Story) -> str:
    """Mark of everything that a person decides by; a change makes it another one."""
    lines = [(one.delivery.id, one.delivery.state, one.delivery.held_by, one.delivery.error) for one in story.lines]
    papers = [one.document for one in story.case.jsons] + [one.document for one in story.case.pdfs]
    return mark((lines, papers, sorted(story.case.links)))


def overview(
    view: View, heaps: Sequence[BacklogCount], places: Sequence[Place], attention: Sequence[Attention],
    alarms: Sequence[ActiveAlarm], most: int, due: Sequence[Explained], free: int, sending: Sending,
) -> bytes:  # fmt: skip
    """The overview: risks, what waits for a person, alarms (not more than `most`), backlog, what is due next."""
    say = view.say
    tiles = N_((
        ("Open", _sum(heaps), ""), ("At risk", _sum(h for h in heaps if h.age == Age.LAST_FIFTH), "warn"),
        ("Missed", _sum(h for h in heaps if h.age in _MISSED), "bad"),
        ("Waits for a person", sum(one.count for one in attention), "warn"),
    ))  # fmt: skip
    shown = [tile(say(name), str(number), style if number else "") for name, number, style in tiles]
    shown.append(tile(say("Free space"), f"{free / 2**30:.1f} GiB", ""))
    picture = f'<div class="panel">{bars(heaps, places, say)}<p>{legend(say)}</p></div>'
    return frame(view, f'{paused(sending, view.say, view.at)}<div class="tiles">{"".join(shown)}</div>'
                 f'{_attention(view, attention)}{_pausing(view, sending)}'
                 f'<h2>{say("Backlog by age")}</h2>{picture}'
                 f"<h2>{_counted(view, alarms, most)}</h2>{_active(view, alarms[:most], attention)}"
                 f"<h2>{say('Due next')}</h2>{_queue(view, due)}",
                 refresh=True)  # fmt: skip


def _counted(view: View, alarms: Sequence[ActiveAlarm], most: int) -> str:
    """The heading of the alarms, with how many stand where not all are shown."""
    name = view.say("Alarms")
    return f"{name} ({most} / {len(alarms)})" if len(alarms) > most else name


def queue(view: View, listed: QueuePage, sending: Sending) -> bytes:
    """The queue with its filters."""
    say = view.say
    states = choice("State", [state.value for state in State], listed.state, say)
    places = choice("Destination", sending.destinations, listed.destination, say)
    filters = f'<form class="line" method="get" action="/queue">{states}{places}{button(say("Show"))}</form>'
    hint = say("ExamId, accession number or study UID, or a part")
    search = f'<label>{hint} <input name="text" value="{cell(listed.text)}"></label>{button(say("Search"))}'
    note = f'<p class="note">{say("the first 1000 only; choose a state or a destination")}</p>' if listed.cut else ""
    # By a form, since an ExamId belongs into no address; only for a person whose name is known.
    finder = form(view, "/queue", search) if view.session is not None else ""
    above = paused(sending, say, view.at) + filters + finder
    return frame(view, above + _queue(view, listed.lines) + _pager(view, listed) + note)


def exam(view: View, told: ExamPage) -> bytes:
    """An exam's story."""
    say, story = view.say, told.story
    case = story.case
    open_ = bool(told.compared.sides)
    name = case.exam_id if open_ else masked(case.exam_id)
    head = f"<h2>{say('Exam')} {cell(name)} ({say('number of this node')} {case.exam})</h2>"
    standing = _alarms(view, told.behind.alarms) if told.behind.alarms else ""
    parts = [answers(told.lines, say, view.at), said(view, told.said), head, compared(view, case.exam, told.compared),
             _queue(view, told.lines, unmasked=open_), _actions(view, told), standing,
             *_came(view, told), *_studies(view, told), *_ledgers(view, told), _uploads(view, story),
             _events(view, story)]  # fmt: skip
    return frame(view, "".join(parts))


def login(view: View, token_file: str, wrong: bool) -> bytes:
    """The form to log in by."""
    say = view.say
    said = f'<p class="said">{say("That token is wrong, or too many were.")}</p>' if wrong else ""
    fields = (
        f'<label>{say("Your name")} <input name="who" required maxlength="64"></label>'
        f'<label>{say("Token")} <input name="token" type="password" required autocomplete="off"></label>'
        + button(say("Log in"))
    )
    where = f'<p class="note">{say("The token is in this file of the node:")} {cell(token_file)}</p>'
    return frame(view, f'{said}<form class="line" method="post" action="/login">{fields}</form>{where}')


def _sum(heaps: Iterable[BacklogCount]) -> int:
    return sum(heap.deliveries for heap in heaps)


def _pausing(view: View, sending: Sending) -> str:
    """The form that stops and starts all sending."""
    if view.session is None:
        return ""
    say = view.say
    names = dict.fromkeys([*sending.destinations, *(one.destination for one in sending.pauses if one.destination)])
    places = choice("Destination", list(names), "", say)
    buttons = "".join(
        f'<button name="what" value="{what}">{say(text)}</button>'
        for what, text in (("pause", "Pause sending"), ("resume", "Resume sending"))
    )
    return form(view, "/pause", f"{places}{reason(say)}{buttons}")


def _queue(view: View, lines: Sequence[Explained], unmasked: bool = False) -> str:
    return table(view, _QUEUE_HEAD, [_line(view, line, unmasked) for line in lines])


def _line(view: View, explained: Explained, unmasked: bool) -> list[str]:
    line = explained.line
    one, say = line.delivery, view.say
    name = line.exam_id if unmasked else masked(line.exam_id)
    left = "-" if one.state in _ENDED else view.left(line.slack_seconds)
    return [
        f"d{one.id}", f'<a href="/exam?id={one.exam}">{word(name)}</a>', cell(one.destination), word(say(one.channel)),
        word(say(one.state)), view.at(one.due), left, f"{line.sent}/{line.selected}", str(one.attempts),
        trouble(what(explained, say)),
    ]  # fmt: skip


def _pager(view: View, listed: QueuePage) -> str:
    links = []
    ways = N_(((listed.page - 1, "Previous", listed.page > 0), (listed.page + 1, "Next", listed.more)))
    for number, text, there in ways:
        if there:
            asked = urlencode({"state": listed.state, "destination": listed.destination, "page": number})
            links.append(f'<a href="/queue?{escape(asked)}">{view.say(text)}</a>')
    return f"<p>{' '.join(links)}</p>"


def _alarms(view: View, alarms: Sequence[Standing]) -> str:
    if not alarms:
        return f'<p class="note">{view.say("No alarm stands.")}</p>'
    rows = []
    for one in alarms:
        name, todo = view.tongue.alarm(one.alarm)
        about = cell(view.say(one.subject))
        subject = f'<a href="/exam?id={one.exam}">{about}</a>' if one.exam is not None else about
        rows.append([word(name), subject, trouble(cell(view.say(one.text))), cell(todo), view.at(one.since)])
    return table(view, ("Alarm", "Subject", "What", "What to do", "Since"), rows)


def _attention(view: View, attention: Sequence[Attention]) -> str:
    """Table of what waits for a person, one row a cause and destination."""
    rows = [
        [word(one.count), _listed(view, one), cell(one.where(view.say)),
         _exams(one.exams), cell(one.command), view.at(one.since)]
        for one in attention
    ]  # fmt: skip
    head = ("Count", "What", "Destination", "Exams", "Command", "Since")
    return table(view, head, rows, "Waits for a person")


def _listed(view: View, one: Attention) -> str:
    """Words for what waits; of what has no delivery with its page."""
    text, place = trouble(cell(view.say(one.says))), _PLACES.get(one.what)
    return text if place is None else f'<a href="{place}">{text}</a>'


def _exams(exams: Sequence[int]) -> str:
    """The first of them, each with its page."""
    links = [f'<a href="/exam?id={number}">e{number}</a>' for number in exams[:_LINKS]]
    more = f" +{len(exams) - _LINKS}" if len(exams) > _LINKS else ""
    return " ".join(links) + more


def _active(view: View, alarms: Sequence[ActiveAlarm], attention: Sequence[Attention]) -> str:
    """Alarms folded; that there is none is said only where nothing waits for a person."""
    if not alarms:
        return "" if attention else f'<p class="note">{view.say("No alarm stands.")}</p>'
    rows = []
    for one in alarms:
        name, todo = view.tongue.alarm(one.alarm)
        about = _exams(one.exams) or cell(view.say(one.subject or one.destination))
        text = trouble(cell(view.say(one.text)))
        rows.append([word(name), word(one.count), about, text, cell(todo), view.at(one.since)])
    return table(view, ("Alarm", "Count", "Subject", "What", "What to do", "Since"), rows)


def _actions(view: View, told: ExamPage) -> str:
    if view.session is None:
        return ""
    say, story = view.say, told.story
    deliveries = "".join(
        f'<option value="{line.delivery.id}">d{line.delivery.id}: {cell(line.delivery.destination)},'
        f" {cell(say(line.delivery.channel))}</option>"
        for line in story.lines
    )
    buttons = "".join(
        f'<button name="what" value="{name.lower()}">{say(name)}</button>' for name in N_(("Hold", "Release", "Retry"))
    )
    chosen = f'<select name="delivery" aria-label="{say("Delivery")}">{deliveries}</select>'
    fields = hidden(id=story.case.exam, seen=mark_of(story))
    note = f'<p class="note">{say(_NOT_SETTLED)}</p>' if told.compared.differences else ""
    return form(view, "/act", f"{fields}{chosen}{reason(say)}{buttons}") + note


def _came(view: View, told: ExamPage) -> Iterable[str]:
    behind, open_, say = told.behind, bool(told.compared.sides), view.say
    files = [
        [cell(say(f.kind)), cell(f.name if open_ else masked_name(f.name)), view.at(f.arrived)] for f in behind.files
    ]
    yield table(view, ("What", "File", "Came"), files, "Files")
    arrivals = [[cell(a.study_uid), cell(a.sending_ae), str(a.instances), view.at(a.last)] for a in behind.arrivals]
    yield table(view, ("Studies", "From AE", "Instances", "Came"), arrivals, "Images that came")
    near = [[cell(c.name), cell(say(c.why))] for c in behind.near]
    yield table(view, ("Studies", "Because"), near, "What nearly fits")


def _studies(view: View, told: ExamPage) -> Iterable[str]:
    case = told.story.case
    here = {uid: str(study.instances) for uid, study in case.studies.items()}
    none = view.say("none here yet")
    rows = [[cell(uid), cell(view.say(how)), here.get(uid, none)] for uid, how in case.links.items()]
    yield table(view, ("Studies", "Joined by", "Instances"), rows, "Studies")
    series = [
        [cell(one.series_uid), cell(view.say(one.series_class)), str(one.count), cell(one.rule)]
        for lines in told.series.values()
        for one in lines
    ]
    yield table(view, ("Series", "Class", "Instances", "Rule"), series, "Series")


def _ledgers(view: View, told: ExamPage) -> Iterable[str]:
    for destination, entries in told.ledgers.items():
        counts, say = Counter((e.uids.series, e.fate, e.rule, e.status) for e in entries), view.say
        rows = [
            [cell(series), cell(say(fate)), cell(say(rule)), "-" if status is None else f"{status:04X}", str(number)]
            for (series, fate, rule, status), number in counts.items()
        ]
        title = f"{view.say('Ledger')}: {cell(destination)}"
        yield table(view, ("Series", "Fate", "Because", "Status", "Instances"), rows, title)


def _uploads(view: View, story: Story) -> str:
    rows = [[str(u.n), cell(u.receipt or "-"), view.at(u.frozen), view.at(u.confirmed)] for u in story.uploads]
    return table(view, ("Revision", "Receipt", "Frozen", "Confirmed"), rows, "Uploads")


def _events(view: View, story: Story) -> str:
    rows = [
        [
            view.at(e.at),
            word(view.say(e.kind)),
            "" if e.delivery is None else str(e.delivery),
            cell(view.say(e.text)),
            cell(e.who),
        ]
        for e in reversed(story.events)
    ]
    return table(view, ("When", "Event", "Delivery", "What", "Who"), rows, "Events")
