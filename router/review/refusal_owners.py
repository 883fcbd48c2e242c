"""The hospitals of refusals, and of what lies in quarantine."""

from collections.abc import Collection

from router.catalogue import Catalogue
from router.catalogue.node.refusals import RefusalCount
from router.config.hospitals import several_of
from router.config.sections import Config
from router.correlator.refused import Owner, nobodys, owner_by_sender
from router.review.file_owners import hospitals_of_files


def owner_of(config: Config, catalogue: Catalogue, rows: Collection[RefusalCount]) -> Owner:
    """Gives the hospital of each of these refusals: the sender's, else that of the study, if it is one's alone.

    "" where nothing tells, or there is one hospital alone.
    """
    if not several_of(config):
        return nobodys
    by_sender = owner_by_sender(config)
    shared = {one.study_uid for one in rows if one.study_uid and not by_sender(one)}
    studies = catalogue.instances.hospitals_by_uid(shared)

    def owner(one: RefusalCount) -> str:
        brought = studies.get(one.study_uid, frozenset[str]())
        return by_sender(one) or (next(iter(brought)) if len(brought) == 1 else "")

    return owner


def quarantine_owners(config: Config, catalogue: Catalogue) -> dict[str, str]:
    """The hospitals of folders in quarantine, by their names: an image's as of a refusal, a file's of a drop folder.

    Folders of which nothing tells are left out.
    """
    images = catalogue.refusals.in_quarantine()
    owner = owner_of(config, catalogue, images)
    files = [one for one in catalogue.exams.files.open(dismissed=True) if one.found.kept]
    of = hospitals_of_files(catalogue, files)
    found = {one.place: owner(one) for one in images} | {one.found.kept: of[one.id] for one in files}
    return {name: hospital for name, hospital in found.items() if hospital}
