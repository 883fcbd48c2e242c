"""DICOM audit messages (PS3.15 A.5): events as XML that audit repositories understand.

They name application entities, addresses, Study Instance UIDs and the node's own numbers, never a patient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from xml.sax.saxutils import quoteattr

from router.events import Event, Kind
from router.model import Channel, Head


@dataclass(frozen=True, slots=True)
class Code:
    """A code with its meaning; of DCM (PS3.16 D) where no other scheme is named."""

    value: str
    meaning: str
    scheme: str = "DCM"

    def xml(self, element: str) -> str:
        """The code as an element."""
        names = f'csd-code="{self.value}" codeSystemName="{self.scheme}" originalText={quoteattr(self.meaning)}'
        return f"<{element} {names}/>"


class What(Enum):
    """Event identifiers (PS3.16 CID 400), and one of our own."""

    ACTIVITY = Code("110100", "Application Activity")
    TRANSFERRED = Code("110104", "DICOM Instances Transferred")
    DELETED = Code("110105", "DICOM Study Deleted")
    EXPORT = Code("110106", "Export")
    ORDER = Code("110109", "Order Record")
    SECURITY = Code("110113", "Security Alert")
    AUTHENTICATION = Code("110114", "User Authentication")
    HEAD = Code("head", "Head of the audit trail", "99ROUTER")


class How(Enum):
    """Event types (PS3.16 CID 401)."""

    START = Code("110120", "Application Start")
    STOP = Code("110121", "Application Stop")
    LOGIN = Code("110122", "Login")
    LOGOUT = Code("110123", "Logout")
    NODE_AUTHENTICATION = Code("110126", "Node Authentication")
    SECURITY_CONFIGURATION = Code("110129", "Security Configuration")
    SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")
    RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
    USER_ATTRIBUTES = Code("110137", "User Security Attributes Changed")


class Role(Enum):
    """Roles of a participant (PS3.16 CID 402)."""

    APPLICATION = Code("110150", "Application")
    DESTINATION = Code("110152", "Destination Role ID")
    SOURCE = Code("110153", "Source Role ID")


class Outcome(Enum):
    """EventOutcomeIndicator (RFC 3881 5.1.4)."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant: an AE title, a destination, a person's account, the node."""

    user: str
    role: Role | None = None
    requestor: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Content of an audit message. `exam` is the node's own number, `hospital` the node's name of the one whose it is;
    `text` is in plain words."""

    at: datetime
    what: What
    text: str
    participants: Sequence[Participant]
    action: str = "E"
    how: How | None = None
    outcome: Outcome = Outcome.SUCCESS
    studies: Sequence[str] = field(default=())
    exam: int | None = None
    hospital: str = ""


LOGIN = "login"  # the field of a refusal that is a failed login: the user's name, "" where there is no such user
ACCOUNT = "account"  # the field of an event by a command: the account of the operating system that ran it
_STUDY = Code("110180", "Study Instance UID")
_EXAM = Code("exam", "number of the exam in this node", "99ROUTER")
_HOSPITAL = Code("hospital", "name of the hospital in this node", "99ROUTER")


def message(entry: Entry, source: str) -> str:
    """The AuditMessage, one line of XML (PS3.15 A.5.1); `source` is the node's name."""
    parts = [_identification(entry), *map(_participant, entry.participants)]
    parts.append(f'<AuditSourceIdentification AuditSourceID={quoteattr(source)} code="4"/>')
    parts += [_object(uid, "3", _STUDY) for uid in entry.studies]
    parts += [_object(str(entry.exam), "20", _EXAM)] if entry.exam is not None else []
    parts += [_object(entry.hospital, "4", _HOSPITAL, "3")] if entry.hospital else []
    return f'<?xml version="1.0" encoding="UTF-8"?><AuditMessage>{"".join(parts)}</AuditMessage>'


def _identification(entry: Entry) -> str:
    head = (
        f'<EventIdentification EventActionCode="{entry.action}" EventDateTime="{entry.at.isoformat()}" '
        f'EventOutcomeIndicator="{entry.outcome.value}">'
    )
    how = entry.how.value.xml("EventTypeCode") if entry.how else ""
    text = f"<EventOutcomeDescription>{quoteattr(entry.text)[1:-1]}</EventOutcomeDescription>"
    return f"{head}{entry.what.value.xml('EventID')}{how}{text}</EventIdentification>"


def _participant(one: Participant) -> str:
    place = f' NetworkAccessPointID={quoteattr(one.address)} NetworkAccessPointTypeCode="2"' if one.address else ""
    requestor = "true" if one.requestor else "false"
    role = one.role.value.xml("RoleIDCode") if one.role else ""
    user = f'UserID={quoteattr(one.user)} UserIsRequestor="{requestor}"'
    return f"<ActiveParticipant {user}{place}>{role}</ActiveParticipant>"


def _object(identifier: str, role: str, kind: Code, sort: str = "2") -> str:
    """A participating object: by its sort 2 a system object, 3 an organisation (RFC 3881 5.5)."""
    return (
        f"<ParticipantObjectIdentification ParticipantObjectID={quoteattr(identifier)} "
        f'ParticipantObjectTypeCode="{sort}" ParticipantObjectTypeCodeRole="{role}">'
        f"{kind.xml('ParticipantObjectIDTypeCode')}</ParticipantObjectIdentification>"
    )


def transferred(received: Mapping[tuple[str, str, str], int], node: str, at: datetime) -> list[Entry]:
    """The entry about instances received, counted by calling AE title, address and study."""
    receiver = Participant(node, Role.DESTINATION)
    return [
        Entry(at=at, what=What.TRANSFERRED, text=f"{count} instance(s) received",
              participants=[Participant(title, Role.SOURCE, True, address), receiver], action="C", studies=(study,))
        for (title, address, study), count in received.items()
    ]  # fmt: skip


def of_head(head: Head, at: datetime) -> Entry:
    """The entry about a head that the node has signed, so that it is where the records are."""
    text = f"head {head} sealed under {head.chain}, signed by {head.key}: {head.signature}"
    text += f", accepted by {head.accepted}" if head.accepted else ""
    return Entry(
        at=at, what=What.HEAD, text=text, participants=[Participant(head.node, Role.APPLICATION, requestor=True)],
        action="C",
    )  # fmt: skip


def entry_of(event: Event, node: str) -> Entry | None:
    """The audit entry of an event; None if the event is not audited."""
    by = Participant(node if event.who == "node" else event.who, Role.APPLICATION, requestor=True)
    tell = _TELLING.get(event.kind)
    entry = tell(event, by, node) if tell else None
    studies = (event.study_uid,) if event.study_uid else ()
    if entry is None:
        return None
    hospital = str(event.fields.get("hospital", ""))
    participants = _with_account(entry, event)
    return replace(entry, exam=event.exam, studies=studies, hospital=hospital, participants=participants)


def _with_account(entry: Entry, event: Event) -> Sequence[Participant]:
    """The participants, and the account of the operating system that ran the command where another name was given."""
    account = str(event.fields.get(ACCOUNT, "") or event.who)
    return [*entry.participants, *([Participant(account)] if account != event.who else [])]


_Telling = Callable[[Event, Participant, str], Entry | None]


def _coded(what: What, how: How | None = None, action: str = "E") -> _Telling:
    """Entries that say what the event says, under these codes."""
    return lambda event, by, _: Entry(
        at=event.at, what=what, text=event.text, participants=[by], action=action, how=how
    )


def _logged(how: How, outcome: Outcome = Outcome.SUCCESS) -> Callable[[Event, Participant, str], Entry]:
    """Entries about a login or its end: the person, and from which address."""
    return lambda event, by, _: Entry(
        at=event.at, what=What.AUTHENTICATION, text=event.text, how=how, outcome=outcome,
        participants=[replace(by, address=str(event.fields.get("address", "")))],
    )  # fmt: skip


def _refused(event: Event, by: Participant, node: str) -> Entry:
    if LOGIN in event.fields:
        person = replace(by, user=str(event.fields[LOGIN]) or "unknown")
        return _logged(How.LOGIN, Outcome.MINOR_FAILURE)(event, person, node)
    title, address = str(event.fields.get("calling_ae", "")), str(event.fields.get("address", ""))
    if not address:  # a file of the drop folder
        return Entry(at=event.at, what=What.SECURITY, text=event.text, participants=[by], outcome=Outcome.MINOR_FAILURE)
    parties = [Participant(title, Role.SOURCE, True, address), Participant(node, Role.DESTINATION)]
    return Entry(
        at=event.at, what=What.SECURITY, text=event.text, participants=parties, action="E", how=How.NODE_AUTHENTICATION,
        outcome=Outcome.MINOR_FAILURE,
    )  # fmt: skip


def _alarm(event: Event, by: Participant, _: str) -> Entry:
    outcome = Outcome.SERIOUS_FAILURE if event.kind == Kind.ALARM else Outcome.SUCCESS
    return Entry(
        at=event.at, what=What.SECURITY, text=f"{event.alarm}: {event.text}", participants=[by], outcome=outcome
    )


def _confirmed(event: Event, by: Participant, _: str) -> Entry:
    place = Participant(str(event.fields.get("destination", "")), Role.DESTINATION)
    what = What.TRANSFERRED if event.fields.get("channel") == Channel.IMAGES else What.EXPORT
    text = event.text
    if "app" in event.fields:
        text += f"; app {event.fields['app']}, keys: {event.fields.get('keys')}"
    return Entry(at=event.at, what=what, text=text, participants=[replace(by, role=Role.SOURCE), place], action="R")


_decided = _coded(What.ORDER, How.RESTRICTED_FUNCTION, "U")


def _moved(event: Event, by: Participant, node: str) -> Entry | None:
    """The entry about a person's move; the node's own moves are in the history only."""
    return None if event.who == "node" else _decided(event, by, node)


_TELLING: Mapping[Kind, _Telling] = {
    Kind.STARTED: _coded(What.ACTIVITY, How.START),
    Kind.STOPPED: _coded(What.ACTIVITY, How.STOP),
    Kind.CONFIGURED: _coded(What.SECURITY, How.SOFTWARE_CONFIGURATION),
    Kind.RELOADED: _coded(What.SECURITY, How.SOFTWARE_CONFIGURATION),
    Kind.PINNED: _coded(What.SECURITY, How.SECURITY_CONFIGURATION, "U"),
    Kind.REFUSED: _refused,
    Kind.ALARM: _alarm,
    Kind.CLEARED: _alarm,
    Kind.CONFIRMED: _confirmed,
    Kind.MOVED: _moved,
    Kind.DECIDED: _decided,
    Kind.VIEWED: _coded(What.ORDER, action="R"),
    Kind.LOGGED_IN: _logged(How.LOGIN),
    Kind.LOGGED_OUT: _logged(How.LOGOUT),
    Kind.USER: _coded(What.SECURITY, How.USER_ATTRIBUTES, "U"),
    Kind.PURGED: _coded(What.DELETED, action="D"),
}
