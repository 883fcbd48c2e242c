"""The contract of storage commitment in the catalogue."""

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.catalogue.queue.commitments import Request, Settled, Uncommitted
from support.catalogue_rows import CLOUD, MINUTE, NOW, Database, at_once, driver, exam, instance

CT = "1.2.840.10008.5.1.4.1.1.2"
LATER = NOW + 60 * MINUTE
MISSING = 0x0112


def stored(catalogue: Catalogue, *numbers: int, exam_id: str = "E1", study: str = "1.2", version: int = 1) -> int:
    """An exam with these instances, each taken by the destination and to be asked for."""
    number = exam(catalogue, exam_id, study)
    catalogue.instances.add([instance(n, study, version=version) for n in numbers])
    undecided = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule") for one in undecided], NOW)
    store(catalogue, number)
    return number


def store(catalogue: Catalogue, number: int) -> None:
    waiting = catalogue.ledger.to_send(number, CLOUD, 9999)
    catalogue.ledger.record(
        [Outcome(key=one.key, fate=Fate.STORED, status=0, association="assoc-1", ask_at=NOW) for one in waiting], NOW
    )


def to_ask(catalogue: Catalogue, number: int, now: object = NOW) -> list[Uncommitted]:
    return catalogue.commitments.to_ask(number, CLOUD, now, 9999)  # type: ignore[arg-type]  # an instant


def ask(catalogue: Catalogue, number: int, transaction: str = "2.25.1") -> list[int]:
    """Ask for all whose time has come, and have the destination take the request."""
    keys = [one.key for one in to_ask(catalogue, number)]
    catalogue.commitments.ask(transaction, CLOUD, keys, NOW)
    catalogue.commitments.accepted(transaction, NOW, LATER)
    return keys


def fates(catalogue: Catalogue, number: int) -> list[tuple[Fate, int | None]]:
    return [(entry.fate, entry.status) for entry in catalogue.ledger.entries(number, CLOUD)]


def tally(catalogue: Catalogue, number: int) -> Tally:
    return catalogue.ledger.tallies([number])[number, CLOUD]


def test_what_is_stored_is_neither_sent_nor_to_be_sent(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1, 2)
    assert tally(catalogue, number) == Tally(selected=2, stored=2)
    assert tally(catalogue, number).unsent == 0
    assert catalogue.ledger.to_send(number, CLOUD, 9) == []
    assert catalogue.commitments.next_ask(number, CLOUD) == NOW
    assert catalogue.commitments.waiting() == 2
    first, second = to_ask(catalogue, number)
    assert first == Uncommitted(key=first.key, sop_class=CT, sop_instance="1.2.1.1", asked=0, unanswered=0)
    assert second.sop_instance == "1.2.1.2"
    assert len(catalogue.commitments.to_ask(number, CLOUD, NOW, 1)) == 1


def test_nothing_is_asked_of_a_destination_that_has_nothing(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1)
    assert catalogue.commitments.next_ask(number, "other") is None
    assert catalogue.commitments.to_ask(number, "other", NOW, 9) == []
    assert catalogue.commitments.requests(number, "other") == []


def test_what_was_asked_for_is_asked_for_again_at_its_time_only(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1, 2)
    ask(catalogue, number)
    assert to_ask(catalogue, number, LATER - MINUTE) == []
    assert [one.asked for one in to_ask(catalogue, number, LATER)] == [1, 1]
    assert catalogue.commitments.next_ask(number, CLOUD) == LATER
    assert catalogue.commitments.requests(number, CLOUD) == [Request("2.25.1", NOW, 2)]


def test_a_request_that_was_entered_and_perhaps_never_sent_is_asked_again_at_once(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1)
    [one] = to_ask(catalogue, number)
    catalogue.commitments.ask("2.25.1", CLOUD, [one.key], NOW)
    assert [(again.key, again.asked) for again in to_ask(catalogue, number)] == [(one.key, 1)]
    ask(catalogue, number, "2.25.2")
    for transaction in ("2.25.1", "2.25.2"):  # the destination may have got either
        found = catalogue.commitments.asked_under(transaction)
        assert found is not None
        assert found == [Uncommitted(key=one.key, sop_class=CT, sop_instance="1.2.1.1", asked=2, unanswered=2)]


def test_a_request_that_was_refused_as_a_whole_is_forgotten(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1)
    catalogue.commitments.ask("2.25.1", CLOUD, [one.key for one in to_ask(catalogue, number)], NOW)
    catalogue.commitments.withdraw("2.25.1")
    assert catalogue.commitments.asked_under("2.25.1") is None
    assert [one.asked for one in to_ask(catalogue, number)] == [0]


def test_a_report_settles_each_instance_and_has_its_exams_evaluated(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1, 2, 3, 4)
    other = exam(catalogue, "E2", "1.2")
    foreign = stored(catalogue, 1, exam_id="E3", study="1.3")
    keys = ask(catalogue, number)
    catalogue.exams.postpone(number, LATER)
    catalogue.exams.postpone(other, LATER)
    catalogue.exams.postpone(foreign, LATER)
    assert not catalogue.commitments.reported("2.25.1")
    report = [
        Settled(keys[0], Fate.SENT, 0), Settled(keys[1], Fate.REFUSED, 0x0122),
        Settled(keys[2], Fate.STORED, MISSING, NOW + MINUTE),
    ]  # fmt: skip
    assert catalogue.commitments.settle("2.25.1", report, NOW) == [number, other]
    assert catalogue.exams.to_check(NOW, 9) == [number, other]
    assert fates(catalogue, number) == [
        (Fate.SENT, 0), (Fate.REFUSED, 0x0122), (Fate.STORED, MISSING), (Fate.STORED, 0)
    ]  # fmt: skip
    assert tally(catalogue, number) == Tally(selected=4, sent=1, refused=1, stored=2)
    assert catalogue.commitments.reported("2.25.1")
    assert not catalogue.commitments.reported("2.25.9")
    assert catalogue.commitments.requests(number, CLOUD) == []
    assert [(one.key, one.asked, one.unanswered) for one in to_ask(catalogue, number, NOW + MINUTE)] == [
        (keys[2], 1, 0)
    ]
    assert len(to_ask(catalogue, number, LATER)) == 2  # the one that the report forgot comes in its time


def test_a_transaction_is_known_for_ever_and_counts_once(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1, 2)
    keys = ask(catalogue, number)
    catalogue.commitments.settle("2.25.1", [Settled(keys[0], Fate.STORED, MISSING, NOW)], NOW)
    assert catalogue.commitments.asked_under("2.25.1") == []
    assert catalogue.commitments.asked_under("2.25.9") is None


def test_a_late_report_of_a_former_request_counts(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1)
    [key] = ask(catalogue, number)
    catalogue.commitments.ask("2.25.2", CLOUD, [key], LATER)
    catalogue.commitments.settle("2.25.1", [Settled(key, Fate.SENT, 0)], LATER + MINUTE)
    assert fates(catalogue, number) == [(Fate.SENT, 0)]
    assert catalogue.commitments.asked_under("2.25.2") == []
    catalogue.commitments.settle("2.25.2", [Settled(key, Fate.REFUSED, 0x0122)], LATER + MINUTE)
    assert fates(catalogue, number) == [(Fate.SENT, 0)]


def test_a_report_that_overtakes_the_answer_to_its_request_is_not_put_off_by_it(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1, 2)
    keys = [one.key for one in to_ask(catalogue, number)]
    catalogue.commitments.ask("2.25.1", CLOUD, keys, NOW)
    catalogue.commitments.settle("2.25.1", [Settled(keys[0], Fate.STORED, MISSING, NOW + MINUTE)], NOW)
    catalogue.commitments.accepted("2.25.1", NOW, LATER)
    assert catalogue.commitments.next_ask(number, CLOUD) == NOW + MINUTE
    assert len(to_ask(catalogue, number, LATER - MINUTE)) == 1  # not the one that the report forgot


def test_what_the_destination_does_not_have_is_sent_again_at_its_time(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1, 2)
    keys = ask(catalogue, number)
    report = [Settled(keys[0], Fate.STORED, MISSING, NOW + MINUTE), Settled(keys[1], Fate.STORED, 0x0110, NOW + MINUTE)]
    catalogue.commitments.settle("2.25.1", report, NOW)
    catalogue.commitments.send_again(number, CLOUD, MISSING, NOW)
    assert tally(catalogue, number).unsent == 0
    catalogue.commitments.send_again(number, CLOUD, MISSING, NOW + MINUTE)
    assert [one.uids.sop for one in catalogue.ledger.to_send(number, CLOUD, 9)] == ["1.2.1.1"]
    assert [one.key for one in to_ask(catalogue, number, NOW + MINUTE)] == [keys[1]]


def test_a_waived_commitment_counts_as_sent(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1)
    ask(catalogue, number)
    catalogue.commitments.waive(number, CLOUD, NOW)
    assert tally(catalogue, number) == Tally(selected=1, sent=1)
    assert catalogue.commitments.next_ask(number, CLOUD) is None


def test_of_two_versions_only_the_newer_is_asked_for(catalogue: Catalogue) -> None:
    number = stored(catalogue, 1)
    [older] = ask(catalogue, number)
    stored(catalogue, 1, version=2)
    assert tally(catalogue, number) == Tally(selected=1, stored=1)
    [newer] = to_ask(catalogue, number, LATER)
    assert newer.key != older
    catalogue.commitments.settle("2.25.1", [Settled(older, Fate.SENT, 0)], LATER)
    assert tally(catalogue, number) == Tally(selected=1, stored=1)


def test_more_instances_are_settled_than_a_statement_has_variables(catalogue: Catalogue) -> None:
    number = stored(catalogue, *range(600))
    keys = ask(catalogue, number)
    found = catalogue.commitments.asked_under("2.25.1")
    assert found is not None
    assert len(found) == 600
    catalogue.commitments.settle("2.25.1", [Settled(key, Fate.SENT, 0) for key in keys], NOW)
    assert tally(catalogue, number) == Tally(selected=600, sent=600)


def test_two_reports_of_the_same_instances_at_once_settle_them_once(catalogue: Catalogue) -> None:
    number = stored(catalogue, *range(20))
    keys = ask(catalogue, number)
    catalogue.commitments.ask("2.25.2", CLOUD, keys, NOW)
    at_once(catalogue, [
        lambda: catalogue.commitments.settle("2.25.1", [Settled(key, Fate.SENT, 0) for key in keys], NOW),
        lambda: catalogue.commitments.settle("2.25.2", [Settled(key, Fate.SENT, 0) for key in reversed(keys)], NOW),
    ])  # fmt: skip
    assert tally(catalogue, number) == Tally(selected=20, sent=20)


def test_commitments_are_found_by_indexes_alone(sqlite: Database) -> None:
    catalogue = sqlite.open()
    number = stored(catalogue, 1, 2)
    statements: list[str] = []
    connection = driver(catalogue).connection()
    connection.set_trace_callback(statements.append)
    keys = ask(catalogue, number)
    catalogue.commitments.next_ask(number, CLOUD)
    catalogue.commitments.requests(number, CLOUD)
    catalogue.commitments.reported("2.25.1")
    catalogue.commitments.asked_under("2.25.1")
    catalogue.commitments.settle("2.25.1", [Settled(keys[0], Fate.SENT, 0)], NOW)
    catalogue.commitments.send_again(number, CLOUD, MISSING, NOW)
    catalogue.commitments.withdraw("2.25.1")
    catalogue.commitments.waive(number, CLOUD, NOW)
    connection.set_trace_callback(None)
    scans = {
        (row[3], statement)
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE", "DELETE"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        if row[3].startswith("SCAN") and "USING INDEX" not in row[3] and "COVERING INDEX" not in row[3]
    }
    assert scans == set()
    assert len(statements) > 15
    catalogue.engine.close_thread()
