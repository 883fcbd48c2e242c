"""Query/retrieve: the SCU against DCMTK's dcmqrscp and against PACSs that misbehave, and when the node asks."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from router.alarms import Alarm
from router.config.sections import Query
from router.dicom.scu.query import Found, Held, Moved, QueryClient
from router.dicom.scu.requestor import Waits
from router.errors import DestinationDown, TransientError
from router.events import Kind
from router.images.retrieval import Retrieval
from router.model import InstanceUids
from router.reports.pdf.reader import Readers
from router.upkeep.scrub import LOOK_SECONDS, Scrub
from support.dcmtk_pacs import archive, pacs
from support.dicom_peers import free_port, made, stored, storescp
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1
from support.scripted_acceptors import RELEASE_RQ, Script, accept, acceptor, command_of, element, fixed, pdata, read_pdu
from support.selective_destination import Picky

FIND_RSP, MOVE_RSP = 0x8020, 0x8021


def never() -> bool:
    return False


def client(port: int, **changes: object) -> QueryClient:
    query = Query.model_validate({"ae_title": "PACS", "port": port, **changes})
    return QueryClient(query.peer("ROUTER"), Waits(connect=2, association=2, write=2, response=1, release=1))


# -- a real PACS


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A PACS with one study of three instances, and the folder of the SCP that it sends to."""
    folder = tmp_path_factory.mktemp("pacs")
    with storescp(folder / "node") as node, pacs(folder, node) as port:
        archive(port, [stored(made(folder, n), n) for n in range(3)])
        yield port, folder / "node"


def test_the_pacs_says_how_many_instances_a_study_has(real: tuple[int, Path]) -> None:
    found = client(real[0]).study("1.2.3", never)
    assert (found.status, [one.study_uid for one in found.studies]) == (0, ["1.2.3"])


def test_a_real_pacs_names_the_studies_of_a_day_and_modality(tmp_path: Path) -> None:
    for number, (day, modality) in enumerate([("20260301", "CT"), ("20260301", "MR"), ("20260302", "CT")]):
        path = made(tmp_path, number)
        dataset = dcmread(path)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.{number}", f"1.2.{number}.1"
        dataset.StudyDate, dataset.Modality, dataset.PatientID = day, modality, f"P{number}"
        dataset.save_as(path)
    with pacs(tmp_path, free_port()) as port:
        archive(port, [stored(tmp_path / f"{number}.dcm", number) for number in range(3)])
        found = client(port).of_day(date(2026, 3, 1), "CT", never)
    # DCMTK does not match ModalitiesInStudy and does not give it: such a PACS names all of the day.
    assert found.status == 0
    assert "1.2.0" in {one.study_uid for one in found.studies}
    assert "1.2.2" not in {one.study_uid for one in found.studies}


def test_a_study_that_the_pacs_does_not_have_is_not_found(real: tuple[int, Path]) -> None:
    assert client(real[0]).study("1.2.4", never) == Found(0)
    assert client(real[0]).of_accession("A9", never) == Found(0)


def test_the_pacs_sends_a_study_where_it_is_told_to(real: tuple[int, Path]) -> None:
    assert client(real[0]).move("1.2.3", "ROUTER", 10, never) == Moved(0, completed=3)
    assert len(list(real[1].iterdir())) == 3


def test_a_move_destination_that_the_pacs_does_not_know_is_said(real: tuple[int, Path]) -> None:
    assert client(real[0]).move("1.2.3", "NOBODY", 10, never).status == 0xA801


# -- a PACS that does what it should not


def identifier(**fields: object) -> bytes:
    dataset, encoded = Dataset(), BytesIO()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    dcmwrite(encoded, dataset, implicit_vr=False, little_endian=True)
    return encoded.getvalue()


def pending(field: int, data: bytes = b"", status: int = 0xFF00) -> bytes:
    command = element(0x0100, field) + element(0x0120, 1)
    command += element(0x0800, 0 if data else 0x0101) + element(0x0900, status)
    return pdata(1, 3, command) + (pdata(1, 2, data) if data else b"")


def answering(*answers: bytes) -> Script:
    """Accepts, hears the request (command and identifier), and says this."""

    def script(connection: socket.socket) -> None:
        accept(connection)
        read_pdu(connection), read_pdu(connection)
        for answer in answers:
            connection.sendall(answer)
        while read_pdu(connection)[0] != RELEASE_RQ:
            pass
        connection.sendall(fixed(6))

    return script


STUDY = identifier(StudyInstanceUID="1.2.3", AccessionNumber="A1", NumberOfStudyRelatedInstances=7)
OTHER = identifier(StudyInstanceUID="1.2.9", AccessionNumber="A1", NumberOfStudyRelatedInstances=9)


def test_another_study_than_the_one_asked_for_is_left_out() -> None:
    answers = [pending(FIND_RSP, OTHER), pending(FIND_RSP, STUDY, 0xFF01), pdata(1, 3, command_of(1, field=FIND_RSP))]
    with acceptor(answering(*answers)) as port:
        assert client(port).study("1.2.3", never) == Found(0, (Held("1.2.3", 7),))


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({"StudyDate": "20260301", "ModalitiesInStudy": ["CT", "SR"]}, True),
        ({"StudyDate": "20260301"}, True),
        ({}, True),
        ({"StudyDate": "20260302", "ModalitiesInStudy": "CT"}, False),
        ({"StudyDate": "20260301", "ModalitiesInStudy": ["MR", "CTA"]}, False),
    ],
)
def test_what_a_pacs_names_beside_the_day_and_modality_is_left_out(given: dict[str, object], fits: bool) -> None:
    named = identifier(StudyInstanceUID="1.2.3", NumberOfStudyRelatedInstances=7, **given)
    with acceptor(answering(pending(FIND_RSP, named), pdata(1, 3, command_of(1, field=FIND_RSP)))) as port:
        found = client(port).of_day(date(2026, 3, 1), "CT", never)
    assert found == Found(0, (Held("1.2.3", 7),) if fits else ())


def test_a_day_has_more_studies_than_one_exam_may_have() -> None:
    many = b"".join(pending(FIND_RSP, identifier(StudyInstanceUID=f"1.{n}")) for n in range(1, 301))
    with acceptor(answering(many, pdata(1, 3, command_of(1, field=FIND_RSP)))) as port:
        assert len(client(port).of_day(date(2026, 3, 1), "CT", never).studies) == 300


def test_a_study_of_another_accession_number_is_left_out() -> None:
    answers = [pending(FIND_RSP, STUDY), pdata(1, 3, command_of(1, field=FIND_RSP))]
    with acceptor(answering(*answers)) as port:
        assert client(port).of_accession("A2", never) == Found(0)


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0xFE00])
def test_a_failed_question_names_nothing(status: int) -> None:
    with acceptor(answering(pending(FIND_RSP, STUDY), pdata(1, 3, command_of(1, status, FIND_RSP)))) as port:
        assert client(port).study("1.2.3", never) == Found(status)


def test_sub_operations_are_counted() -> None:
    numbers = element(0x1021, 5) + element(0x1022, 2) + element(0x1023, 1)
    last = pdata(1, 3, command_of(1, 0xB000, MOVE_RSP) + numbers)
    with acceptor(answering(pending(MOVE_RSP), pending(MOVE_RSP), last)) as port:
        assert client(port).move("1.2.3", "ROUTER", 5, never) == Moved(0xB000, 5, 2, 1)


@pytest.mark.parametrize(
    "answer",
    [
        pdata(1, 3, command_of(9, field=FIND_RSP)),
        pdata(1, 3, command_of(1, field=MOVE_RSP)),
        pending(FIND_RSP, identifier(StudyInstanceUID="1.2.3").replace(b"1.2.3", b"../..")),
        pending(FIND_RSP, b"\x08\x00\x05"),
        pending(FIND_RSP, b"\0" * 70000),
        b"".join(pending(FIND_RSP, identifier(StudyInstanceUID=f"1.{n}")) for n in range(200)),
    ],
    ids=["another message", "another command", "no UID", "torn", "too long", "without end"],
)
def test_nonsense_is_a_breach_of_the_protocol(answer: bytes) -> None:
    with acceptor(answering(answer)) as port, pytest.raises(TransientError):
        client(port).study("1.2.3", never)


def test_a_pacs_that_falls_silent_is_left_in_time() -> None:
    began = time.monotonic()
    with acceptor(answering(pending(MOVE_RSP))) as port, pytest.raises(TransientError, match="in time"):
        client(port).move("1.2.3", "ROUTER", 0.3, never)
    assert time.monotonic() - began < 15


def test_a_stop_cancels_the_move() -> None:
    heard: list[bytes] = []

    def script(connection: socket.socket) -> None:
        accept(connection)
        read_pdu(connection), read_pdu(connection)
        connection.sendall(pending(MOVE_RSP))
        heard.append(read_pdu(connection)[1])
        connection.sendall(pdata(1, 3, command_of(1, 0xFE00, MOVE_RSP)))
        read_pdu(connection)
        connection.sendall(fixed(6))

    with acceptor(script) as port:
        assert client(port).move("1.2.3", "ROUTER", 5, lambda: True).status == 0xFE00
    assert element(0x0100, 0x0FFF) in heard[0]
    assert element(0x0120, 1) in heard[0]


def test_nobody_there_is_told_with_what_to_check() -> None:
    with pytest.raises(DestinationDown):
        client(free_port()).study("1.2.3", never)


REFUSING = {"calling AE title": b"\0\1\1\3", "no reason": b"\0\1\1\1", "called AE title": b"\0\1\1\7"}


@pytest.mark.parametrize("answer", REFUSING.values(), ids=REFUSING)
def test_a_pacs_that_rejects_us_is_called_the_pacs(answer: bytes) -> None:
    def rejecting(connection: socket.socket) -> None:
        read_pdu(connection)
        connection.sendall(struct.pack(">BxL", 3, 4) + answer)

    with acceptor(rejecting) as port:
        for ask in (client(port).echo, lambda: client(port).study("1.2.3", never)):
            with pytest.raises(DestinationDown) as caught:
                ask()
            assert "the PACS" in caught.value.hint
            assert "destination" not in str(caught.value)
    if answer.endswith(b"\3"):
        assert "know our AE title ROUTER, our address and port?" in caught.value.hint


@pytest.mark.parametrize(
    ("operation", "ask"),
    [
        ("C-FIND", lambda port: client(port).study("1.2.3", never)),
        ("C-MOVE", lambda port: client(port).move("1.2.3", "ROUTER", 1, never)),
    ],
)
def test_a_pacs_that_does_not_accept_a_question_is_named_with_what_to_ask(
    operation: str, ask: Callable[[int], object]
) -> None:
    with acceptor(Picky(lambda contexts: [])) as port, pytest.raises(DestinationDown) as caught:
        ask(port)
    assert caught.value.message == f"the PACS does not accept {operation} of the study root"
    assert "does it know our AE title ROUTER, our address and port" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "word"),
    [(b"", "the PACS does not answer"), (fixed(7), "by the PACS"), (pdata(9, 3, b""), "the PACS breaks")],
)
def test_a_pacs_that_is_silent_or_breaks_the_protocol_is_called_the_pacs(answer: bytes, word: str) -> None:
    with acceptor(answering(answer)) as port, pytest.raises(TransientError, match=word):
        client(port).study("1.2.3", never)


def test_a_real_pacs_answers_c_echo(real: tuple[int, Path]) -> None:
    client(real[0]).echo()


# -- when the node asks


ASKING = """
[query]
ae_title = "PACS"
port = {port}
tries = 3
pause = "10 min"
"""


class Asking:
    """A clinic whose node asks a PACS."""

    def __init__(self, clinic: ExamWorkflow) -> None:
        self.clinic = clinic
        query = clinic.config.query
        assert query is not None
        self.reach(query.port)

    def reach(self, port: int) -> None:
        """From now on the PACS is there."""
        clinic, query = self.clinic, self.clinic.config.query
        assert query is not None
        self._retrieval = Retrieval(
            query=query, to="ROUTER", port=11112, catalogue=clinic.catalogue, client=client(port), bus=clinic.bus,
            clock=clinic.clock, stop=never,
        )  # fmt: skip

    def asks(self) -> list[str]:
        """What it asked now, in words."""
        before = len(self.clinic.told(Kind.ASKED))
        while self._retrieval.step():
            self.clinic.settle()
        return self.clinic.told(Kind.ASKED)[before:]


@pytest.fixture
def asking(tmp_path: Path, readers: Readers) -> Iterator[Callable[[int], Asking]]:
    made: list[ExamWorkflow] = []

    def make(port: int) -> Asking:
        made.append(ExamWorkflow(tmp_path, readers, ASKING.format(port=port)))
        return Asking(made[0])

    yield make
    made[0].catalogue.engine.close_thread()


def ris(clinic: ExamWorkflow, **changes: object) -> None:
    """A report that is approved now, of the study 1.2.3."""
    given = {"Study__StudyInstanceUIDs": ["1.2.3"], "Report__ApproveTime": "2026-03-02 18:00:00"} | changes
    clinic.ris(E1, **given)


def test_the_pacs_is_asked_so_often_with_growing_pauses(
    asking: Callable[[int], Asking], real: tuple[int, Path]
) -> None:
    one = asking(real[0])
    ris(one.clinic)
    assert one.asks() == []
    minutes = []
    for minute in range(0, 400, 5):
        minutes += [minute] * len(one.asks())
        one.clinic.later(minutes=5)
    assert minutes == [180, 190, 210]


def test_a_pacs_that_is_down_was_not_asked_and_is_asked_when_it_is_back(
    asking: Callable[[int], Asking], real: tuple[int, Path]
) -> None:
    one = asking(free_port())
    ris(one.clinic)
    told = []
    for _ in range(300, 600, 5):
        one.clinic.later(minutes=5)
        told += one.asks()
    assert len(told) == 1, "a PACS that is down is told once"
    assert "cannot connect" in told[0]
    known = one.clinic.catalogue.retrievals.of(one.clinic.case().exam)
    assert known is not None
    assert (known.tries, known.at) == (0, None)
    one.reach(real[0])
    assert one.asks() == []
    one.clinic.later(minutes=5)
    assert "3 sent" in one.asks()[0]


def test_each_node_that_finds_the_pacs_down_leaves_it_alone_for_minutes(asking: Callable[[int], Asking]) -> None:
    one = asking(free_port())
    ris(one.clinic)
    one.clinic.later(hours=4)
    one.asks()
    exam = one.clinic.case().exam
    one.clinic.catalogue.exams.request_evaluation([exam], one.clinic.clock.now())
    one.clinic.settle()
    known = one.clinic.catalogue.retrievals.of(exam)
    assert known is not None
    assert known.ask_at == known.down_until
    assert known.ask_at is not None
    assert known.ask_at > one.clinic.clock.now()


def test_images_that_come_end_the_asking(asking: Callable[[int], Asking]) -> None:
    one = asking(free_port())
    ris(one.clinic, Study__ImageCount=1)
    one.clinic.later(hours=4)
    assert len(one.asks()) == 1
    one.clinic.pacs("1.2.3")
    one.clinic.later(hours=4)
    assert one.asks() == []


def test_a_draft_and_an_exam_that_is_complete_are_not_asked_for(asking: Callable[[int], Asking]) -> None:
    one = asking(free_port())
    ris(one.clinic, Order__Status="Examined", Report__ApproveTime="")
    one.clinic.later(hours=4)
    ris(one.clinic, Study__ImageCount=1)
    one.clinic.pacs("1.2.3")
    one.clinic.later(hours=4)
    assert one.asks() == []


def scripted(*scripts: Script) -> Script:
    """Each connection has the next script."""
    waiting = list(scripts)

    def script(connection: socket.socket) -> None:
        waiting.pop(0)(connection)

    return script


def test_the_pacss_count_is_expected_where_the_ris_gives_none(asking: Callable[[int], Asking]) -> None:
    found = answering(pending(FIND_RSP, STUDY), pdata(1, 3, command_of(1, field=FIND_RSP)))
    moved = answering(pdata(1, 3, command_of(1, 0, MOVE_RSP) + element(0x1021, 7)))
    with acceptor(scripted(found, moved)) as port:
        one = asking(port)
        ris(one.clinic, Study__ImageCount=None)
        one.clinic.pacs("1.2.3")
        one.clinic.later(hours=4)
        (told,) = one.asks()
    assert "study 1.2.3: it has 7 instances, 1 are here" in told
    assert "told to send it to ROUTER: 0000 success, 7 sent" in told
    (alarm,) = [one for one in one.clinic.catalogue.alarms.standing() if one.alarm is Alarm.IMAGES_MISSING]
    assert alarm.text == "1 images have come, the PACS has 7"
    for number in range(2, 8):
        one.clinic.pacs("1.2.3", number=number)
    assert Alarm.IMAGES_MISSING not in [one.alarm for one in one.clinic.catalogue.alarms.standing()]


def test_a_study_that_is_all_here_is_counted_once_and_not_pulled(asking: Callable[[int], Asking]) -> None:
    whole = identifier(StudyInstanceUID="1.2.3", NumberOfStudyRelatedInstances=1)
    with acceptor(answering(pending(FIND_RSP, whole), pdata(1, 3, command_of(1, field=FIND_RSP)))) as port:
        one = asking(port)
        ris(one.clinic, Study__ImageCount=None)
        one.clinic.pacs("1.2.3")
        one.clinic.later(hours=4)
        (told,) = one.asks()
        one.clinic.later(hours=4)
        assert one.asks() == []
    assert told.endswith("study 1.2.3: it has 1 instances, 1 are here")


def test_an_exam_that_lists_no_study_is_asked_for_by_accession_number(asking: Callable[[int], Asking]) -> None:
    named = identifier(StudyInstanceUID="1.2.7", AccessionNumber="A0001", NumberOfStudyRelatedInstances=2)
    found = answering(pending(FIND_RSP, named), pdata(1, 3, command_of(1, field=FIND_RSP)))
    refused = answering(pdata(1, 3, command_of(1, 0xA801, MOVE_RSP)))
    with acceptor(scripted(found, refused)) as port:
        one = asking(port)
        ris(one.clinic, Study__StudyInstanceUIDs=[])
        one.clinic.later(hours=4)
        (told,) = one.asks()
    assert "study 1.2.7: it has 2 instances, 0 are here" in told
    assert "A801 refused: it does not know the move destination" in told
    assert told.endswith(
        "; the PACS refuses or fails C-MOVE: does it know our AE title ROUTER, our address and our port 11112?"
    )


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0x0122, 0x0124])
def test_a_pacs_that_refuses_c_find_is_named_with_what_to_ask(asking: Callable[[int], Asking], status: int) -> None:
    with acceptor(answering(pdata(1, 3, command_of(1, status, FIND_RSP)))) as port:
        one = asking(port)
        ris(one.clinic)
        one.clinic.later(hours=4)
        (told,) = one.asks()
    assert told.endswith(
        "; the PACS refuses or fails C-FIND: does it know our AE title ROUTER, our address and our port 11112?"
    )


# -- images that are damaged


def damage(clinic: ExamWorkflow, *sops: str) -> None:
    rows = clinic.catalogue.engine.execute("SELECT id, sop_uid FROM instance ORDER BY id", ())
    for number, sop in rows:
        if sop in sops:
            clinic.catalogue.damages.set_aside(number, "its file is not what came", clinic.clock.now())
    clinic.settle()


def complete(clinic: ExamWorkflow) -> None:
    """An exam of which all images are here."""
    ris(clinic, Study__ImageCount=2)
    clinic.pacs("1.2.3", number=1)
    clinic.pacs("1.2.3", number=2)


def test_a_damaged_image_is_asked_for_at_once_though_as_many_are_here(asking: Callable[[int], Asking]) -> None:
    whole = identifier(StudyInstanceUID="1.2.3", NumberOfStudyRelatedInstances=2)
    found = answering(pending(FIND_RSP, whole), pdata(1, 3, command_of(1, field=FIND_RSP)))
    moved = answering(pdata(1, 3, command_of(1, 0, MOVE_RSP) + element(0x1021, 2)))
    with acceptor(scripted(found, moved)) as port:
        one = asking(port)
        complete(one.clinic)
        assert one.asks() == []
        damage(one.clinic, "1.2.3.1.2")
        (told,) = one.asks()
        assert "it has 2 instances, 1 are here" in told
        assert "told to send it to ROUTER" in told
    standing = [alarm.alarm for alarm in one.clinic.catalogue.alarms.standing()]
    assert Alarm.IMAGES_MISSING not in standing, "nothing is missing"


def test_what_the_scrub_finds_unreadable_is_asked_for_at_once(asking: Callable[[int], Asking]) -> None:
    """Nothing of it was sent yet: the files of this clinic's images are nowhere."""
    whole = identifier(StudyInstanceUID="1.2.3", NumberOfStudyRelatedInstances=2)
    found = answering(pending(FIND_RSP, whole), pdata(1, 3, command_of(1, field=FIND_RSP)))
    moved = answering(pdata(1, 3, command_of(1, 0, MOVE_RSP) + element(0x1021, 2)))
    with acceptor(scripted(found, moved)) as port:
        one = asking(port)
        clinic = one.clinic
        complete(clinic)
        clinic.later(hours=25)
        assert one.asks() == []
        scrub = Scrub(
            every=timedelta(days=1), catalogue=clinic.catalogue, storage=clinic.storage, bus=clinic.bus,
            clock=clinic.clock, busy=lambda: False, wait=lambda seconds: False,
        )  # fmt: skip
        while scrub.step() != LOOK_SECONDS:
            pass
        clinic.settle()
        (told,) = one.asks()
    assert "it has 2 instances, 0 are here" in told
    assert "told to send it to ROUTER" in told


def test_it_is_asked_for_also_where_the_pacs_was_asked_often_enough_for_what_is_missing(
    asking: Callable[[int], Asking], real: tuple[int, Path]
) -> None:
    one = asking(real[0])
    ris(one.clinic, Study__ImageCount=9)
    one.clinic.pacs("1.2.3", number=1)
    for _ in range(100):
        one.clinic.later(minutes=10)
        one.asks()
    one.clinic.later(hours=9)
    assert one.asks() == []
    damage(one.clinic, "1.2.3.1.1")
    one.clinic.catalogue.exams.request_evaluation([one.clinic.case().exam], one.clinic.clock.now())
    one.clinic.settle()
    assert len(one.asks()) == 1
    one.clinic.later(hours=9)
    assert one.asks() == []


def test_once_a_sound_copy_is_there_nobody_is_asked(asking: Callable[[int], Asking]) -> None:
    one = asking(free_port())
    complete(one.clinic)
    damage(one.clinic, "1.2.3.1.1")
    known = one.clinic.catalogue.instances.known(["1.2.3.1.1"])["1.2.3.1.1"]
    assert known[0].damaged
    uids = InstanceUids("1.2.3", "1.2.3.1", "1.2.3.1.1")
    one.clinic.catalogue.instances.mend([(uids, 1)], one.clinic.clock.now())
    one.clinic.settle()
    one.clinic.later(hours=4)
    assert one.asks() == []
