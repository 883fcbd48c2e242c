"""PDFs whose file name is the number of an exam: its ExamId or its accession number."""

from collections.abc import Sequence

from router.catalogue.exams.exams import Exams
from router.catalogue.exams.pdf_names import NUMBER
from router.config.sections import Hospital
from router.matching.report_pdf.naming import Bearer, number_of


def bearers(exams: Exams, hospital: Hospital, stem: str) -> list[Bearer]:
    """The exams whose number is the name of a PDF, of the branch in whose folder it came."""
    number = number_of(stem)
    return of_folder(hospital, stem, exams.pdf_names.bearers(number) if number else [])


def of_folder(hospital: Hospital, stem: str, found: Sequence[Bearer]) -> list[Bearer]:
    """The exams of the branch in whose folder a PDF came; all of them where it came in none's."""
    branch = branch_of_folder(hospital, stem)
    return [one for one in found if branch in (None, one.branch)]


def number_word(stem: str) -> dict[str, str]:
    """The number that a PDF's name is below a folder, as a word of its name; without one the name itself finds it."""
    number = number_of(stem)
    return {NUMBER: number} if number not in ("", stem) else {}


def branch_of_folder(hospital: Hospital, stem: str) -> str | None:
    """The branch whose folder a file came in; None where it is none's."""
    for branch in hospital.branch:
        if branch.folder and stem.startswith(branch.folder.strip("/") + "/"):
            return branch.code
    return None
