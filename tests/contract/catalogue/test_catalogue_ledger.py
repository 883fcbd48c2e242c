"""The contract of the ledger."""

from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.model import SeriesClass
from support.catalogue_rows import CLOUD, MINUTE, NOW, Database, at_once, driver, exam, instance


def decide(catalogue: Catalogue, number: int, selected: bool = True, destination: str = CLOUD) -> None:
    """Decide all that is open, alike."""
    undecided = catalogue.ledger.undecided(number, destination)
    catalogue.ledger.decide(destination, [(one.key, selected, "a rule") for one in undecided], NOW)


def answer(catalogue: Catalogue, number: int, fate: Fate, count: int = 99) -> None:
    """The destination's answer to the first `count` that are to be sent."""
    status = 0 if fate == Fate.SENT else 0xA900
    waiting = catalogue.ledger.to_send(number, CLOUD, count)
    catalogue.ledger.record(
        [Outcome(key=one.key, fate=fate, status=status, association="assoc-1") for one in waiting], NOW
    )


def tally(catalogue: Catalogue, number: int, destination: str = CLOUD) -> Tally:
    return catalogue.ledger.tallies([number]).get((number, destination), Tally())


def to_send(catalogue: Catalogue, number: int) -> list[tuple[str, int]]:
    return [(one.uids.sop, one.version) for one in catalogue.ledger.to_send(number, CLOUD, 99)]


def test_an_instance_is_decided_once_for_each_destination(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2), instance(1, "1.3")])
    (first, second) = catalogue.ledger.undecided(number, CLOUD)
    catalogue.ledger.decide(CLOUD, [(first.key, True, "thin"), (second.key, False, "scout")], NOW)
    catalogue.ledger.decide(CLOUD, [(first.key, False, "again"), (second.key, True, "again")], NOW + MINUTE)
    assert catalogue.ledger.undecided(number, CLOUD) == []
    assert catalogue.ledger.undecided(number, "other") == [first, second]
    assert [(e.fate, e.rule, e.at) for e in catalogue.ledger.entries(number, CLOUD)] == [
        (Fate.SELECTED, "thin", NOW), (Fate.FILTERED, "scout", NOW)
    ]  # fmt: skip
    assert catalogue.ledger.entries(number, "other") == []


def test_more_instances_are_decided_than_a_statement_has_variables(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(n) for n in range(600)])
    decide(catalogue, number)
    assert tally(catalogue, number) == Tally(selected=600)


def test_selected_instances_are_sent_in_the_order_in_which_they_came(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2", "1.3")
    catalogue.instances.add([instance(3), instance(1)])
    catalogue.instances.add([instance(2), instance(1, "1.3")])
    decide(catalogue, number)
    assert [sop for sop, _ in to_send(catalogue, number)] == ["1.2.1.3", "1.2.1.1", "1.2.1.2", "1.3.1.1"]
    assert len(catalogue.ledger.to_send(number, CLOUD, 2)) == 2
    answer(catalogue, number, Fate.SENT, 3)
    assert to_send(catalogue, number) == [("1.3.1.1", 1)]


def test_an_older_version_that_was_not_sent_gives_way(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2)])
    decide(catalogue, number)
    decide(catalogue, number, destination="other")
    catalogue.instances.add([instance(1, version=2)])
    decide(catalogue, number)
    assert to_send(catalogue, number) == [("1.2.1.2", 1), ("1.2.1.1", 2)]
    assert tally(catalogue, number).selected == tally(catalogue, number, "other").selected == 2
    assert [e.rule for e in catalogue.ledger.entries(number, CLOUD) if e.fate == Fate.FILTERED] == [
        "replaced by a newer version"
    ]


def test_a_version_that_was_sent_stays_sent_and_the_newer_one_is_sent_too(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    decide(catalogue, number)
    answer(catalogue, number, Fate.SENT)
    catalogue.instances.add([instance(1, version=2)])
    assert tally(catalogue, number) == Tally(selected=1, sent=1)
    decide(catalogue, number)
    assert tally(catalogue, number) == Tally(selected=1)
    answer(catalogue, number, Fate.SENT)
    assert tally(catalogue, number) == Tally(selected=1, sent=1)
    assert [e.fate for e in catalogue.ledger.entries(number, CLOUD)] == [Fate.SENT, Fate.SENT]


def test_an_instance_whose_newer_version_is_left_out_counts_as_sent(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    decide(catalogue, number)
    answer(catalogue, number, Fate.SENT)
    catalogue.instances.add([instance(1, version=2)])
    decide(catalogue, number, selected=False)
    assert tally(catalogue, number) == Tally(selected=1, sent=1, filtered=1)


def test_answers_are_kept_with_status_and_time(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2), instance(3), instance(4, series_class=SeriesClass.DOSE)])
    decide(catalogue, number)
    answer(catalogue, number, Fate.SENT, 2)
    answer(catalogue, number, Fate.REFUSED, 1)
    assert tally(catalogue, number) == Tally(selected=4, sent=2, refused=1)
    assert tally(catalogue, number).unsent == 1
    entries = catalogue.ledger.entries(number, CLOUD)
    assert [e.status for e in entries] == [0, 0, 0xA900, None]
    assert entries[3].series_class == SeriesClass.DOSE


def test_what_was_refused_is_selected_again_in_its_newest_version_only(catalogue: Catalogue) -> None:
    mine, other = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2", "1.3")
    catalogue.instances.add([instance(1), instance(2), instance(1, "1.3")])
    for number in (mine, other):
        decide(catalogue, number)
        answer(catalogue, number, Fate.REFUSED)
    catalogue.instances.add([instance(1, version=2)])
    decide(catalogue, mine)
    catalogue.ledger.reselect_refused(mine, CLOUD, NOW)
    assert to_send(catalogue, mine) == [("1.2.1.2", 1), ("1.2.1.1", 2)]
    assert to_send(catalogue, other) == []


def test_an_instance_that_two_exams_share_is_sent_once_and_counted_for_both(catalogue: Catalogue) -> None:
    one, other = exam(catalogue, "E1", "1.2"), exam(catalogue, "E2", "1.2", "1.3")
    catalogue.instances.add([instance(1), instance(1, "1.3")])
    decide(catalogue, one)
    assert [u.study_uid for u in catalogue.ledger.undecided(other, CLOUD)] == ["1.3"]
    decide(catalogue, other)
    answer(catalogue, one, Fate.SENT)
    assert to_send(catalogue, other) == [("1.3.1.1", 1)]
    assert catalogue.ledger.tallies([one, other]) == {
        (one, CLOUD): Tally(selected=1, sent=1), (other, CLOUD): Tally(selected=2, sent=1)
    }  # fmt: skip


def test_threads_that_decide_alike_make_one_row_each(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(n) for n in range(30)])
    at_once(catalogue, [lambda: decide(catalogue, number)] * 4)
    assert tally(catalogue, number) == Tally(selected=30)


def test_the_ledger_of_an_exam_is_read_by_indexes_alone(sqlite: Database) -> None:
    catalogue = sqlite.open()
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(1, version=2)])
    statements: list[str] = []
    connection = driver(catalogue).connection()
    connection.set_trace_callback(statements.append)
    decide(catalogue, number)
    answer(catalogue, number, Fate.REFUSED)
    tally(catalogue, number)
    catalogue.ledger.entries(number, CLOUD)
    catalogue.ledger.reselect_refused(number, CLOUD, NOW)
    catalogue.exams.case(number)
    catalogue.exams.links.candidates("A1")
    catalogue.exams.to_check(NOW, 9)
    catalogue.exams.next_check()
    catalogue.queue.make(number, [], NOW)
    catalogue.queue.claim(CLOUD, "images", "me", NOW, timedelta(seconds=9))  # type: ignore[arg-type]  # as stored
    catalogue.queue.promote(NOW)
    catalogue.queue.take_back("me", NOW)
    connection.set_trace_callback(None)
    scans = {
        (row[3], statement)
        for statement in statements
        if statement.startswith(("SELECT", "UPDATE"))
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        if row[3].startswith("SCAN") and "USING INDEX" not in row[3] and "COVERING INDEX" not in row[3]
    }
    assert scans == set()
    assert len(statements) > 15
    catalogue.engine.close_thread()


def test_an_instance_that_loses_associations_comes_last_and_its_losses_are_counted(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(n) for n in (1, 2, 3)])
    decide(catalogue, number)
    first, second, _ = (one.key for one in catalogue.ledger.to_send(number, CLOUD, 9))
    assert [catalogue.ledger.lost(first, counts) for counts in (False, False, True, True)] == [1, 1, 2, 3]
    assert catalogue.ledger.lost(second, True) == 1
    assert [sop for sop, _ in to_send(catalogue, number)] == ["1.2.1.3", "1.2.1.2", "1.2.1.1"]
    assert tally(catalogue, number) == Tally(selected=3)


def test_a_refusal_without_status_says_why_and_a_retry_begins_anew(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2)])
    decide(catalogue, number)
    first, second = (one.key for one in catalogue.ledger.to_send(number, CLOUD, 9))
    catalogue.ledger.lost(first, True)
    outcomes = [
        Outcome(key=first, fate=Fate.REFUSED, status=None, association="", reason="it aborts"),
        Outcome(key=second, fate=Fate.REFUSED, status=0xA900, association="assoc-1"),
    ]
    catalogue.ledger.record(outcomes, NOW)
    told = [(e.rule, e.status) for e in catalogue.ledger.entries(number, CLOUD)]
    assert told == [("it aborts", None), ("a rule", 0xA900)]
    catalogue.ledger.reselect_refused(number, CLOUD, NOW)
    assert [e.rule for e in catalogue.ledger.entries(number, CLOUD)] == ["a rule", "a rule"]
    assert catalogue.ledger.lost(first, True) == 1


def test_reasons_without_a_status_are_counted_the_most_first(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(n) for n in range(6)])
    decide(catalogue, number)
    reasons = ["", "its class", "its syntax", "its syntax", ""]
    waiting = catalogue.ledger.to_send(number, CLOUD, 99)
    outcomes = [
        Outcome(key=one.key, fate=Fate.REFUSED, status=None if why else 0xA900, association="assoc-1", reason=why)
        for one, why in zip(waiting, reasons, strict=False)
    ]
    catalogue.ledger.record(outcomes, NOW)
    assert list(catalogue.ledger.unanswered(number, CLOUD).items()) == [("its syntax", 2), ("its class", 1)]
    assert catalogue.ledger.unanswered(number, "other") == {}
