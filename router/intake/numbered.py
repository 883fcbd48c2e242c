"""PDFs whose file name is the number of an exam: its ExamId or its accession number."""

from collections.abc import Mapping, Sequence

from router.catalogue.exams.exams import Exams
from router.catalogue.exams.pdf_names import NUMBER
from router.config.sections import Config, Hospital
from router.intake.origin import may_be_of, name_of, origin_of
from router.matching.report_pdf.naming import Bearer, number_of

Registry = Mapping[str, Hospital]
"""The registered hospitals by name."""


def registry_of(config: Config) -> Registry:
    """The hospitals of a configuration."""
    return {one.name: one for one in config.hospital}


def bearers(exams: Exams, registry: Registry, stem: str) -> list[Bearer]:
    """The exams whose number is the name of a PDF, of the hospital and branch in whose folder it came."""
    number = number_of(stem)
    within = None if registry.keys() == {""} else origin_of(stem)[0]
    return of_folder(registry, stem, exams.pdf_names.bearers(number, within) if number else [])


def of_folder(registry: Registry, stem: str, found: Sequence[Bearer]) -> list[Bearer]:
    """The exams of the hospital and branch in whose folder a PDF came; all of them where it came in none's."""
    return [one for one in found if may_be_of(stem, one.hospital) and _is_of_branch(registry, stem, one)]


def of_one_hospital(found: Sequence[Bearer]) -> Sequence[Bearer]:
    """Exams with one number, none where they are of several hospitals: then a person says whose the PDF is."""
    return found if len({one.hospital for one in found}) == 1 else ()


def number_word(stem: str) -> dict[str, str]:
    """The number that a PDF's name is below a folder, as a word of its name; without one the name itself finds it."""
    number = number_of(stem)
    return {NUMBER: number} if number not in ("", stem) else {}


def branch_of_folder(hospital: Hospital, name: str) -> str | None:
    """The branch whose folder a file came in, by its path below the drop folder; None where it is none's."""
    for branch in hospital.branch:
        if branch.folder and name.startswith(branch.folder.strip("/") + "/"):
            return branch.code
    return None


def _is_of_branch(registry: Registry, stem: str, one: Bearer) -> bool:
    hospital = registry.get(one.hospital)
    branch = None if hospital is None else branch_of_folder(hospital, name_of(stem, one.hospital))
    return branch in (None, one.branch)
