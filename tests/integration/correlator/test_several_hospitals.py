"""Nothing crosses between hospitals: generated histories of five whose numbers are all alike.

`scripts/torture histories` lives through as many as one likes.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from support.hospital_mixups import NAMES, OWN, Happening, Picture, Report, history
from support.hospital_witness import configured, in_memory
from support.patient_mixups import Pause

HISTORIES = range(400)
OF_REPORTS = {
    "a CD", "a UID of two hospitals", "not approved", "a second version", "constants of another hospital",
    "no constants", "a study of another exam", "no study", "no patient id", "no name", "no birth date",
}  # fmt: skip
OF_PICTURES = {
    "a CD", "no number", "another's number", "no patient id", "no name", "no birth date", "by a rule", "by nothing",
    "in the shared PACS, too",
}  # fmt: skip


def of_report(one: Report) -> Iterator[str]:
    visit, patient = one.visit, one.patient
    found = {
        "a CD": visit.number == 7, "a UID of two hospitals": visit.clash, "not approved": not one.approved,
        "a second version": one.minute % 10 == 1, "no constants": not one.codes,
        "constants of another hospital": one.codes not in ("", visit.hospital), "no study": not one.studies,
        "a study of another exam": bool(set(one.studies) - set(visit.studies)),
        "no patient id": not patient.patient_id, "no name": not patient.name, "no birth date": not patient.birth_date,
    }  # fmt: skip
    return (kind for kind, has in found.items() if has)


def of_picture(one: Picture) -> Iterator[str]:
    header, patient, of = one.header, one.header.patient, one.who[0]
    from_pacs = header.sending_ae == "PACS"
    found = {
        "a CD": not from_pacs and header.sending_ae != f"CT-{of}", "no number": not header.accession_number,
        "another's number": header.accession_number == "A1001" and header.uids.study.endswith(".0"),
        "no patient id": not patient.patient_id, "no name": not patient.name, "no birth date": not patient.birth_date,
        "by a rule": bool(header.institution_name), "in the shared PACS, too": from_pacs and of in OWN,
        "by nothing": from_pacs and of not in OWN and not header.institution_name,
    }  # fmt: skip
    return (kind for kind, has in found.items() if has)


def test_the_histories_have_every_kind_of_mistake_and_every_hospital() -> None:
    things: list[Happening] = [one for seed in HISTORIES for one in history(random.Random(seed))]
    reports = [one for one in things if isinstance(one, Report)]
    pictures = [one for one in things if isinstance(one, Picture)]
    assert {kind for one in reports for kind in of_report(one)} == OF_REPORTS
    assert {kind for one in pictures for kind in of_picture(one)} == OF_PICTURES
    assert {one.visit.hospital for one in reports} == {one.who[0] for one in pictures} == set(NAMES)
    assert {one.restart for one in things if isinstance(one, Pause)} == {True, False}


def test_nothing_crosses_between_hospitals_in_hundreds_of_histories(tmp_path: Path) -> None:
    lived = []
    for one in in_memory(HISTORIES, configured(tmp_path)):
        if one.wrong:
            raise one.wrong
        lived.append(one)
    assert sum(one.reports for one in lived) > 100
    assert sum(one.images for one in lived) > 100


def test_what_a_cd_brought_with_the_numbers_of_another_patient_joins_no_exam_of_theirs(tmp_path: Path) -> None:
    # Found among a hundred thousand: a study that both hospitals sent, one that came by the CD alone, and those
    # of patients whose names are spelt like another's, or are another's.
    for one in in_memory((904371589, 665522672, 2203898, 2221699), configured(tmp_path)):
        if one.wrong:
            raise one.wrong
