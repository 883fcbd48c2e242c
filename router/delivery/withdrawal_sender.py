"""The sender of reports and of their withdrawals, by one account: what a delivery wants tells which it is."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from router.alarms import Alarm
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.withdrawals import Withdrawals
from router.config.sections import HospitalConfig
from router.crypto.envelope import idem
from router.crypto.symmetric import sm3
from router.delivery.senders import ReportSender, SendResult
from router.errors import Damaged, NotOffered
from router.events import Event, Kind
from router.forward.report import Notice, Receipt, ReportAgent
from router.policy.states import State
from router.policy.withdrawal import Ended, Withdrawal, number_in

_NOTHING = sm3(b"withdraw")  # stands where an upload's PDF has its digest


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalSender:
    """Sends what a report delivery wants. `report` sends reports; `withdraw` makes the request, and is stood in for."""

    report: ReportSender
    withdraw: Callable[[ReportAgent, Notice], Receipt | None] = ReportAgent.withdraw

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        """Upload the report, or withdraw it; done when the receipt is verified and kept. Raises as ReportSender."""
        number = number_in(delivery.wanted)
        if number is None:
            return self.report.send(delivery, stop)
        own = self.report.config.for_hospital(delivery.hospital)
        objected = "its hospital is not registered any more" if own is None else self.report.objection(delivery)
        one = next((each for each in self._known.of(delivery.id) if each.id == number), None)
        if own is None or objected or one is None or one.ended != Ended.OPEN:
            why = f"not withdrawn: {objected or 'nobody asks for it any more'}"
            return SendResult(State.WAITING, why, {"attempts": delivery.attempts - 1})
        return self._carry_out(delivery, self._frozen(delivery, one, own), own)

    @property
    def _known(self) -> Withdrawals:
        return self.report.catalogue.withdrawals

    def _carry_out(self, delivery: Delivery, one: Withdrawal, own: HospitalConfig) -> SendResult:
        sender, now = self.report, self.report.clock.now()
        content = sender.storage.reports.read(one.notice_place)
        if hashlib.sha256(content).hexdigest() != one.notice_checksum:
            raise Damaged("the stored notice of a withdrawal is not what was frozen", part="exam")
        words = self._words(delivery, one, content)
        notice = Notice(org=own.own.USCI, idem=one.idem, revision=one.n, words=words)
        try:
            receipt = self.withdraw(sender.agent, notice)
        except NotOffered:
            return self._refused(delivery, one, now)
        how, place, name = Ended.UNKNOWN, "", ""
        why, by = "the platform has no such exam", dict[str, str]()
        if receipt is not None:
            how, name = Ended.CONFIRMED, receipt.receipt
            place = self._place(delivery, one, "-receipt")
            document = json.dumps(receipt.to_document(), indent=2).encode()
            place = sender.storage.reports.write(place, document, delivery.lease)
            why = f"receipt for the withdrawal of revision {one.n}"
            by = {"keys": ", ".join(f"{p} {i}" for p, i in receipt.proof.request_keys.items())}
        with sender.catalogue.engine.write():
            self._known.end(one, how, now, name, place)
            for upload in sender.catalogue.uploads.of(delivery.id):
                sender.catalogue.uploads.refuse(upload.id)
        self._clear(delivery, now)
        return SendResult(State.WITHDRAWN, why, {"delivered": "", "error": ""}, 1, by)

    def _words(self, delivery: Delivery, one: Withdrawal, content: bytes) -> Mapping[str, str]:
        """The frozen notice, and by which names the platform knows what it is to withdraw."""
        upload = next((each for each in self.report.catalogue.uploads.of(delivery.id) if each.n == one.n), None)
        named = {"Idem": upload.idem, "Receipt": upload.receipt} if upload else {"Idem": "", "Receipt": ""}
        return {name: str(value) for name, value in json.loads(content).items()} | named

    def _refused(self, delivery: Delivery, one: Withdrawal, now: datetime) -> SendResult:
        """The platform takes none: a person has to tell its operator, and the exam stays delivered there."""
        self._known.end(one, Ended.REFUSED, now)
        text = (
            f"the platform takes no withdrawals: tell its operator by hand that e{delivery.exam} is withdrawn "
            f"(revision {one.n})"
        )
        self._tell(Kind.ALARM, delivery, text, now)
        changes = {"delivered_at": delivery.delivered_at, "wanted": delivery.delivered, "error": ""}
        return SendResult(State.DELIVERED, "the platform takes no withdrawals", changes, 1)

    def _clear(self, delivery: Delivery, now: datetime) -> None:
        self._tell(Kind.CLEARED, delivery, "the platform has withdrawn the exam", now)

    def _tell(self, kind: Kind, delivery: Delivery, text: str, now: datetime) -> None:
        """The alarm is about the exam at the destination: the delivery may end without its operator knowing."""
        fields, subject = {"destination": delivery.destination}, f"e{delivery.exam} at {delivery.destination}"
        event = Event(now, kind, text, exam=delivery.exam, fields=fields, alarm=Alarm.WITHDRAWAL, subject=subject)
        self.report.bus.record(event)

    def _frozen(self, delivery: Delivery, one: Withdrawal, own: HospitalConfig) -> Withdrawal:
        """The withdrawal with its notice, made and durable before the first try."""
        if one.idem:
            return one
        sender = self.report
        sent = self._sent(delivery, one)
        exam_id = sender.catalogue.exams.names([delivery.exam])[delivery.exam]
        notice = {
            "ExamId": sent.get("ExamId", exam_id),
            "HospitalBranchCode": sent.get("HospitalBranchCode", own.own.HospitalBranchCode),
            "Revision": one.n,
            "WithdrawnTime": f"{one.asked.astimezone(own.node.timezone):%Y-%m-%d %H:%M:%S}",
            "Reason": one.why,
        }
        content, place = json.dumps(notice, ensure_ascii=False).encode(), self._place(delivery, one)
        place = sender.storage.reports.write(place, content, delivery.lease)
        name = idem(sender.credentials().api_key, delivery.destination, exam_id, sm3(content), _NOTHING)
        self._known.freeze(one, name, place, hashlib.sha256(content).hexdigest())
        return next(each for each in self._known.of(delivery.id) if each.id == one.id)

    def _sent(self, delivery: Delivery, one: Withdrawal) -> Mapping[str, object]:
        """The exam JSON as the destination has it; empty where its copy is gone."""
        for upload in self.report.catalogue.uploads.of(delivery.id):
            if upload.n == one.n:
                try:
                    found = json.loads(self.report.storage.reports.read(upload.exam_place))
                except (OSError, ValueError):
                    return {}
                return found if isinstance(found, dict) else {}
        return {}

    def _place(self, delivery: Delivery, one: Withdrawal, more: str = "") -> str:
        name = f"withdrawal-{one.id}{more}.json"
        return self.report.storage.reports.sent_place(delivery.exam, delivery.destination, one.n, name)
