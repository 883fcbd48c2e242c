"""The hospitals of files of the drop folders."""

from collections.abc import Sequence

from router.catalogue import Catalogue
from router.catalogue.exams.files import FolderFile
from router.intake.origin import origin_of


def hospitals_of_files(catalogue: Catalogue, files: Sequence[FolderFile]) -> dict[int, str]:
    """By a file's number the hospital whose own way it came by, else its exam's; "" where neither names one."""
    exams = catalogue.exams.hospitals({one.found.exam for one in files if one.found.exam is not None})
    return {one.id: origin_of(one.found.path)[0] or exams.get(one.found.exam or 0, "") for one in files}
