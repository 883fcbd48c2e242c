"""The contract of what is set aside as damaged."""

from dataclasses import replace

from router.catalogue import Catalogue
from router.catalogue.exams.snapshots import LostCopy
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.model import Channel, InstanceUids
from router.policy.states import State
from support.catalogue_rows import (
    CLOUD,
    MINUTE,
    NOW,
    around_json,
    around_pdf,
    delivery,
    document,
    driver,
    exam,
    instance,
    key,
    restore,
)  # fmt: skip

OTHER = "other"


def decide(catalogue: Catalogue, number: int, *destinations: str) -> None:
    for name in destinations:
        undecided = catalogue.ledger.undecided(number, name)
        catalogue.ledger.decide(name, [(one.key, True, "a rule") for one in undecided], NOW)


def tally(catalogue: Catalogue, number: int, destination: str = CLOUD) -> Tally:
    return catalogue.ledger.tallies([number]).get((number, destination), Tally())


def checked(new: NewInstance, checksum: str) -> NewInstance:
    return replace(new, digests=replace(new.digests, checksum=checksum))


def uids(number: int) -> InstanceUids:
    header = instance(number).header
    return header.uids


def test_one_is_set_aside_everywhere_where_it_was_still_to_go_and_its_exam_is_evaluated(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2), instance(3)])
    decide(catalogue, number, CLOUD, OTHER)
    first, *_ = catalogue.ledger.to_send(number, OTHER, 9)
    catalogue.ledger.record([Outcome(key=first.key, fate=Fate.SENT, status=0, association="a")], NOW)
    touched = catalogue.exams.case(number).touched
    catalogue.damages.set_aside(first.instance, "it is not what came", NOW)
    assert tally(catalogue, number) == Tally(selected=3, damaged=1)
    assert tally(catalogue, number).unsent == 2
    assert tally(catalogue, number, OTHER) == Tally(selected=3, sent=1), "what was confirmed stays confirmed"
    assert catalogue.exams.case(number).touched > touched
    assert catalogue.exams.case(number).studies["1.2"].damaged == 1
    assert next(e.rule for e in catalogue.ledger.entries(number, CLOUD)) == "it is not what came"
    assert catalogue.damages.studies() == {"1.2"}


def test_a_sound_copy_makes_it_go_again(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1), instance(2)])
    decide(catalogue, number, CLOUD)
    first, _ = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.damages.set_aside(first.instance, "why", NOW)
    [known] = catalogue.instances.known([first.uids.sop])[first.uids.sop]
    assert (known.study_uid, known.version, known.digest, known.damaged) == ("1.2", 1, "1.2/1/1", True)
    catalogue.instances.mend([(first.uids, 1)], NOW)
    assert len(catalogue.ledger.to_send(number, CLOUD, 9)) == 2
    assert catalogue.damages.studies() == frozenset()
    assert catalogue.exams.case(number).studies["1.2"].damaged == 0


def test_a_newer_version_takes_a_damaged_ones_place(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    decide(catalogue, number, CLOUD)
    [one] = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.damages.set_aside(one.instance, "why", NOW)
    catalogue.instances.add([instance(1, version=2, digest="d2")])
    decide(catalogue, number, CLOUD)
    assert tally(catalogue, number) == Tally(selected=1)
    assert catalogue.damages.studies() == frozenset()
    assert catalogue.exams.case(number).studies["1.2"].damaged == 0


def test_a_person_has_damaged_ones_sent_again(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(1)])
    decide(catalogue, number, CLOUD)
    [one] = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.damages.set_aside(one.instance, "why", NOW)
    catalogue.ledger.reselect_refused(number, CLOUD, NOW)
    assert tally(catalogue, number) == Tally(selected=1)
    assert catalogue.damages.studies() == frozenset()


def test_what_is_to_be_sent_has_its_checksum_and_rows_of_before_their_digest(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([checked(instance(1), "x1"), instance(2)])
    decide(catalogue, number, CLOUD)
    assert [one.checksum for one in catalogue.ledger.to_send(number, CLOUD, 9)] == ["x1", "1.2/2/1"]
    found, _ = catalogue.damages.unconfirmed(0, NOW + MINUTE)
    assert [(one.checksum, one.damaged) for one in found] == [("x1", ""), ("1.2/2/1", "")]


def test_the_unconfirmed_are_the_open_ones_and_those_that_nobody_has_decided_yet(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([instance(n) for n in range(1, 8)])
    decide(catalogue, number, CLOUD)
    fates = (Fate.SENT, Fate.FILTERED, Fate.REFUSED, Fate.STORED, Fate.HELD, Fate.DAMAGED)
    waiting = catalogue.ledger.to_send(number, CLOUD, 9)
    catalogue.ledger.record(
        [Outcome(key=w.key, fate=f, status=None, association="") for w, f in zip(waiting, fates, strict=False)], NOW
    )
    catalogue.instances.add([instance(1, "1.9"), instance(2, "1.9"), instance(2, "1.9", version=2, digest="n")])
    found, until = catalogue.damages.unconfirmed(0, NOW + MINUTE)
    assert [one.uids.sop for one in found] == [f"1.2.1.{n}" for n in range(3, 8)] + ["1.9.1.1", "1.9.1.2"]
    assert found[-1].version == 2
    assert until >= catalogue.damages.last()
    assert catalogue.damages.unconfirmed(0, NOW)[0] == [], "what came since was read when it came"
    assert catalogue.damages.unconfirmed(until, NOW + MINUTE)[0] == []


def test_a_purged_row_that_is_put_back_keeps_its_checksum(catalogue: Catalogue) -> None:
    number = exam(catalogue, "E1", "1.2")
    catalogue.instances.add([checked(instance(1), "x1")])
    decide(catalogue, number, CLOUD)
    catalogue.ledger.record(
        [Outcome(key=catalogue.ledger.to_send(number, CLOUD, 1)[0].key, fate=Fate.SENT, status=0, association="")], NOW
    )
    delivery(catalogue, number, State.READY, State.SENDING, State.DELIVERED)
    driver(catalogue).execute_sql("UPDATE exam SET check_at = NULL")
    [old] = catalogue.purge.delivered(NOW + 9 * MINUTE, NOW + 9 * MINUTE, 9)
    assert catalogue.purge.take(old, NOW + 9 * MINUTE, NOW + 9 * MINUTE)
    assert driver(catalogue).execute_sql("SELECT COUNT(*) FROM instance").fetchone() == (0,)
    catalogue.instances.known(["1.2.1.1"])
    assert driver(catalogue).execute_sql("SELECT checksum, damaged FROM instance").fetchall() == [("x1", None)]


# -- documents


def test_a_damaged_document_is_told_with_its_exam_until_it_comes_again(catalogue: Catalogue) -> None:
    number, exams = exam(catalogue), catalogue.exams
    one = exams.documents.add(replace(document("pdf"), checksum="c1"), "reports/1/1/report.pdf", number, 1, NOW)
    exams.documents.damage(one, "reports/1/1/report.pdf", "why", NOW)
    touched = exams.case(number).touched
    exams.documents.damage(one, "reports/1/1/report.pdf", "why", NOW)
    assert exams.case(number).touched == touched, "no news"
    assert exams.case(number).proofs[one].damaged == "why"
    lost = around_pdf(catalogue).lost
    assert lost == LostCopy(document=one, exam=number, place="reports/1/1/report.pdf", stem="in/e1")
    assert around_json(catalogue, key()).damaged is None
    assert lost is not None
    restore(catalogue, lost, "c2")
    proof = exams.case(number).proofs[one]
    assert (proof.checksum, proof.damaged) == ("c2", "")
    assert around_pdf(catalogue).lost is None
    exams.documents.damage(one, "reports/1/1/report.pdf", "why", NOW)
    assert around_pdf(catalogue).lost is None, "the copy that was read is not the one that counts"


def test_what_was_frozen_with_a_damaged_pdf_is_filled_anew(catalogue: Catalogue) -> None:
    number, exams = exam(catalogue), catalogue.exams
    one = exams.documents.add(document("pdf"), "reports/1/1/report.pdf", number, 1, NOW)
    catalogue.queue.make(number, [(CLOUD, Channel.REPORT)], NOW)
    [report] = catalogue.queue.of_exam(number)
    for n, place in enumerate(["reports/1/1/report.pdf", "another", "reports/1/1/report.pdf"], 1):
        catalogue.uploads.freeze(report.id, n, f"i{n}", "w", exam_place="e", pdf_place=place, now=NOW,
                                 exam_checksum="e", pdf_checksum="p")  # fmt: skip
    first, _, _ = catalogue.uploads.of(report.id)
    assert (first.exam_checksum, first.pdf_checksum) == ("e", "p")
    catalogue.uploads.confirm(first.id, "R1", "place", NOW)
    exams.documents.damage(one, "reports/1/1/report.pdf", "why", NOW)
    restore(catalogue, LostCopy(document=one, exam=number, place="reports/1/1/report.pdf"))
    assert [upload.refused for upload in catalogue.uploads.of(report.id)] == [False, False, True]


def test_an_hl7_message_of_before_has_nothing_to_be_compared_with(catalogue: Catalogue) -> None:
    number = exam(catalogue)
    taken = replace(document("json"), key=key())
    hl7 = catalogue.exams.documents.add(taken, "reports/1/1/exam.hl7", number, 1, NOW)
    file = catalogue.exams.documents.add(replace(taken, stem="x"), "reports/1/2/exam.json", number, 2, NOW)
    proofs = catalogue.exams.case(number).proofs
    assert (proofs[hl7].checksum, proofs[file].checksum) == ("", "d1")


def test_the_original_of_a_damaged_document_is_taken_once_more_where_it_stays(catalogue: Catalogue) -> None:
    number, exams = exam(catalogue), catalogue.exams
    one = exams.documents.add(document("pdf"), "p", number, 1, NOW)
    exams.originals.remember("in/e1.pdf", 10, 20, "d1")
    exams.originals.remember("in/e2.pdf", 10, 20, "d2")
    exams.documents.damage(one, "p", "why", NOW)
    assert exams.originals.remembered("in/e1.pdf") == {}
    assert exams.originals.remembered("in/e2.pdf") == {(10, 20): "d2"}
