"""Marks: short words for exactly what a page shows. A change makes another mark, so nothing unseen is decided."""

import hashlib
from collections.abc import Iterable

from router.catalogue.exams.files import FileKind, FolderFile
from router.catalogue.node.refusals import IMAGES, RefusedSender
from router.review.deliveries import Line, Story


def story_mark(story: Story) -> str:
    """Mark of everything that a person decides about an exam by."""
    lines = [(one.delivery.id, one.delivery.state, one.delivery.held_by, one.delivery.error) for one in story.lines]
    papers = [one.document for one in story.case.jsons] + [one.document for one in story.case.pdfs]
    return _mark((lines, papers, sorted(story.case.links)))


def delivery_mark(line: Line) -> str:
    """Mark of a delivery as a list shows it."""
    one = line.delivery
    return _mark((one.id, one.state, one.held_by, one.error, one.changed, line.selected, line.sent))


def sender_mark(sender: str) -> str:
    """Mark of a sender whose studies lack their reports; further studies change nothing of what is dismissed."""
    return _mark(("unreported", sender))


def refused_mark(one: RefusedSender) -> str:
    """Mark of a refused sender: another cause is another matter, and so are further images."""
    images = (one.missing, one.untracked) if one.kind == IMAGES else ()
    return _mark((one.kind, one.calling, one.address, one.called, one.why, images))


def file_mark(one: FolderFile) -> str:
    """Mark of a file as it was listed."""
    found = one.found
    return _mark((one.id, found.kind, found.path, found.mark, found.text, found.near))


def kind_mark(kind: FileKind, files: Iterable[FolderFile]) -> str:
    """Mark of all files of a kind."""
    return _mark((kind, [file_mark(one) for one in files if one.found.kind == kind]))


def _mark(seen: object) -> str:
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
