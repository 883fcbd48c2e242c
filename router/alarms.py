"""Alarms for administrators: each stands once for its subject until it is cleared, and has a remedy."""

from enum import StrEnum


class Alarm(StrEnum):
    """Kinds of trouble. The value is the alarm's name in `status`, in metrics and in messages."""

    HALF_TIME = "half-time"
    AT_RISK = "at-risk"
    MISSED = "missed"
    BREAKER = "breaker"
    DISK = "disk"
    DROP_FOLDER = "drop-folder"
    DROPPED_FILE = "dropped-file"
    REJECTED_FILE = "rejected-file"
    UNCLAIMED_PDF = "unclaimed-pdf"
    DOUBT = "doubt"
    DELIVERED_IN_DOUBT = "delivered-in-doubt"
    APPROVAL = "approval"
    EXAM_JSON = "exam-json"
    IMAGES_MISSING = "images-missing"
    UNREPORTED = "unreported"
    SILENT_SOURCE = "silent-source"
    SHARED_STUDY = "shared-study"
    REJECTED_AFTER_DELIVERY = "rejected-after-delivery"
    WITHDRAWAL = "withdrawal"
    WITHDRAWALS = "withdrawals"
    MISSING_THERE = "missing-there"
    UNKNOWN_THERE = "unknown-there"
    COMMITMENT = "commitment"
    COMMITMENT_SILENCE = "commitment-silence"
    INTEGRITY = "integrity"
    CUT_OFF = "cut-off"
    DAMAGED = "damaged"
    POISON = "poison"
    REFUSED_SENDER = "refused-sender"
    REFUSED_IMAGES = "refused-images"
    SETTINGS = "settings"
    DEFECT = "defect"
    CRYPTO = "crypto"
    CERTIFICATE = "certificate"
    PROFILE = "profile"
    UNPROVED = "unproved"
    LEDGER = "ledger"
    RETENTION = "retention"
    CLOCK = "clock"
    NODE_SILENT = "node-silent"
    PAUSED = "paused"
    GAPS = "gaps"
    BACKUP = "backup"
    DATABASE = "database"
    AUDIT = "audit"
    HELD = "held"
    FAILED = "failed"
    NOT_CONFIGURED = "not-configured"
    QUARANTINE = "quarantine"


REMEDY: dict[Alarm, str] = {
    Alarm.HALF_TIME: "see `queue explain`: half of the time is over and something is still to come",
    Alarm.AT_RISK: "see `queue explain` for what it waits for; `status` shows whether the destination takes data",
    Alarm.MISSED: "tell the platform; the delivery goes on, and the daily report has the reason",
    Alarm.BREAKER: "run `scripts/doctor`, which says who must act: a refused key or certificate is for a person; "
    "nothing is lost, and what was sent is not sent again",
    Alarm.DISK: "make room on the data folder's volume, or shorten [retention]; images are refused until then",
    Alarm.DROP_FOLDER: "see that the share is mounted and that the node's account may read and write it",
    Alarm.DROPPED_FILE: "see the rights of the files and folders below the drop folder, and that done/ and rejected/ "
    "are folders, not links",
    Alarm.REJECTED_FILE: "see `scripts/queue files` for name and reason; have the RIS write the file again, corrected, "
    "or end the alarm: `scripts/queue dismiss FILE --why ...`",
    Alarm.UNCLAIMED_PDF: "see `scripts/queue files` for its name and a JSON whose name is near; have the RIS write "
    "both under one name, or name the PDF by its ExamId; or end the alarm: `scripts/queue dismiss FILE --why ...`",
    Alarm.DOUBT: "compare both sides with `queue compare`, then `queue resolve`, or have the data corrected",
    Alarm.DELIVERED_IN_DOUBT: "tell the platform's operator; `scripts/queue explain` shows what was delivered and "
    "when; then end the alarm: `scripts/queue dismiss EXAM --why ...`",
    Alarm.APPROVAL: "run `scripts/codes unknown`: it prints the line for the mapping file; or have the RIS export "
    "Reported and a whole ApproveTime",
    Alarm.EXAM_JSON: "run `scripts/queue list --attention`; its exams' `queue explain` names the field; correct the "
    "RIS export or its mapping file",
    Alarm.IMAGES_MISSING: "`scripts/queue explain` says what came of the exam and what this node refused; then have "
    "the PACS send the study again",
    Alarm.UNREPORTED: "see `scripts/queue unreported`, and have the RIS export what is missing; of a sender whose "
    "studies get no report: `scripts/queue unreported --dismiss AE --why ...`",
    Alarm.SILENT_SOURCE: "see `scripts/queue sources`; call the room, and look at the device's or the RIS's sending; "
    "what is not to be waited for: `scripts/queue sources --dismiss SOURCE --why ...`",
    Alarm.SHARED_STUDY: "have the other exam approved, or cancel its deliveries with the command that is named",
    Alarm.REJECTED_AFTER_DELIVERY: "`scripts/queue explain` says which instances were rejected: tell the platform's "
    "operator, then end the alarm: `scripts/queue dismiss EXAM --why ...`",
    Alarm.WITHDRAWAL: "tell the platform's operator which exam is withdrawn, then end the alarm: "
    "`scripts/queue dismiss EXAM --why ...`; where it takes withdrawals by then: `scripts/queue withdraw EXAM --why "
    "...`",
    Alarm.WITHDRAWALS: "ask the RIS whether these exams are withdrawn; if so: `scripts/queue withdraw --confirm --why "
    "...`; what was withdrawn by mistake is to be approved again first",
    Alarm.MISSING_THERE: "run `scripts/queue reconcile --remote`, which names them; with `--resend` it sends them "
    "again",
    Alarm.UNKNOWN_THERE: "ask the platform's operator who sent them under your name; `scripts/queue reconcile "
    "--remote` counts again",
    Alarm.COMMITMENT: "ask the destination's operator why it does not commit to keeping what it took",
    Alarm.COMMITMENT_SILENCE: "ask the destination's operator to report on storage commitment; it is asked again",
    Alarm.INTEGRITY: "look at the disk; stop every node and run `scripts/verify --rebuild`, which goes on with the "
    "newest sound copy of the database: `scripts/backup list` shows it",
    Alarm.CUT_OFF: "have the sender send it again whole, or `queue release` the delivery, which sends it as it is",
    Alarm.DAMAGED: "send the study, or drop the report, once more; run `verify`, and look at the disk",
    Alarm.POISON: "see `quarantine show`, ask the sender's maker, then `quarantine delete`; the rest goes on",
    Alarm.REFUSED_SENDER: "`scripts/queue refused` says why: correct the sender, or [receive] senders; what is not to "
    "send here ends by `scripts/queue refused --dismiss AE --why ...`",
    Alarm.REFUSED_IMAGES: "`scripts/queue refused` says why: have the sender send these images again whole; what "
    "cannot come ends by `scripts/queue refused --dismiss AE --why ...`",
    Alarm.SETTINGS: "correct the file that is named; the former settings stay in use",
    Alarm.DEFECT: "report it with the log's lines; the work is tried again",
    Alarm.CRYPTO: "see `keys show` and compare the key ids with those of the platform's operator",
    Alarm.CERTIFICATE: "renew the certificate: one of a key goes into the key file (`scripts/keys request` makes the "
    "request for our own key), one of TLS under the same name, then reload the node",
    Alarm.PROFILE: "correct the file of the profile, try it with `scripts/profile check FILE`; nothing goes to that "
    "destination until then",
    Alarm.UNPROVED: "see `queue explain` for what the answer says, and ask the platform's operator whether it is "
    "theirs; if so, `queue fail` the delivery; it is tried again every hour until then",
    Alarm.LEDGER: "see `queue list --state held`, compare with the platform, then release or cancel",
    Alarm.RETENTION: "see the free space and what keeps data here: `queue list --state held`",
    Alarm.GAPS: "see the day's text in daily/ of the data folder, or `queue reconcile`; then `queue explain`",
    Alarm.BACKUP: "see the log and the room on the data folder's volume; `backup now` tells why it cannot be made",
    Alarm.DATABASE: "find out who touches router.db in the data folder; then stop the node and put the copy back that "
    "the alarm names: `backup restore`",
    Alarm.AUDIT: "see `audit verify`, and room and rights of audit/ in the data folder; put the trail back, or take it "
    "as it is with `audit accept`; until then nothing is done that a person asks for",
    Alarm.PAUSED: "run `scripts/queue resume` when the reason is gone; `scripts/status` says who paused it and why",
    Alarm.CLOCK: "set the clock: see that time synchronisation runs; `scripts/doctor` says how far it is off",
    Alarm.NODE_SILENT: "see `scripts/status`, then the node's machine, and start the node again; one that is not to "
    "come back ends it by `scripts/queue node forget NAME --why ...`",
    Alarm.HELD: "run `scripts/queue list --attention`; `queue explain` of the exam names the command that lets it go",
    Alarm.FAILED: "run `scripts/queue list --attention`; put right what was refused, then `queue retry` the deliveries",
    Alarm.NOT_CONFIGURED: "configure the destination again, or `queue cancel` what will never go there",
    Alarm.QUARANTINE: "run `scripts/quarantine list`; have the sender send it again whole, then `quarantine delete`",
}


class EndsBy(StrEnum):
    """The one who ends an alarm: a person, or the node or a peer by itself."""

    PERSON = "a person"
    ITSELF = "itself"


# It has every alarm. An alarm that a person ends is in the list of things that wait for a person.
ENDS_BY: dict[Alarm, EndsBy] = {
    **dict.fromkeys(
        (
            Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED, Alarm.BREAKER, Alarm.COMMITMENT, Alarm.COMMITMENT_SILENCE,
            Alarm.GAPS,
        ),
        EndsBy.ITSELF,
    ),
    **dict.fromkeys(
        (
            Alarm.DISK, Alarm.DROP_FOLDER, Alarm.DROPPED_FILE, Alarm.DOUBT, Alarm.DELIVERED_IN_DOUBT, Alarm.APPROVAL,
            Alarm.EXAM_JSON, Alarm.IMAGES_MISSING, Alarm.SHARED_STUDY, Alarm.REJECTED_AFTER_DELIVERY, Alarm.INTEGRITY,
            Alarm.CUT_OFF, Alarm.DAMAGED, Alarm.POISON, Alarm.SETTINGS, Alarm.DEFECT, Alarm.CRYPTO, Alarm.UNPROVED,
            Alarm.CERTIFICATE, Alarm.PROFILE,
            Alarm.LEDGER, Alarm.RETENTION, Alarm.CLOCK, Alarm.BACKUP, Alarm.DATABASE, Alarm.AUDIT, Alarm.HELD,
            Alarm.FAILED, Alarm.NOT_CONFIGURED, Alarm.QUARANTINE, Alarm.UNREPORTED, Alarm.REFUSED_SENDER,
            Alarm.SILENT_SOURCE, Alarm.WITHDRAWAL, Alarm.WITHDRAWALS, Alarm.MISSING_THERE, Alarm.UNKNOWN_THERE,
            Alarm.REFUSED_IMAGES, Alarm.REJECTED_FILE, Alarm.UNCLAIMED_PDF, Alarm.PAUSED, Alarm.NODE_SILENT,
        ),
        EndsBy.PERSON,
    ),
}  # fmt: skip


def waits_for_a_person(alarm: Alarm) -> bool:
    """Whether only a person ends it; an alarm without an entry counts so, too."""
    return ENDS_BY.get(alarm, EndsBy.PERSON) == EndsBy.PERSON
