"""The contract of originals: what was put below done/ and rejected/, whatever bytes its name has."""

from datetime import timedelta

from router.catalogue import Catalogue
from router.model import SetAside
from support.catalogue_rows import NOW

DAY = timedelta(days=1)
LARGEST = 2**64 - 1  # an inode of a share may have 64 bits


def lying(name: bytes, home: bytes = b"", inode: int = LARGEST, size: int = 7) -> SetAside:
    return SetAside(home=home, place=b"done/" + name, inode=inode, size=size)


def test_what_was_noted_comes_back_once_its_time_is_over_page_by_page(catalogue: Catalogue) -> None:
    originals = catalogue.purge.originals
    found = [lying("张三.json".encode("gb18030")), lying(b"a\n%00 b.pdf", "院区".encode()), lying(b"\xff" * 3000)]
    catalogue.exams.originals.note(found, NOW)
    originals.note([lying(b"later.json")], NOW + DAY)
    pages, after = [], ""
    while page := originals.before(NOW + DAY, after, 2):
        pages.append([one for _, one in page])
        after = page[-1][0]
    assert [len(page) for page in pages] == [2, 1]
    assert {one for page in pages for one in page} == set(found)
    originals.forget([key for key, _ in originals.before(NOW + DAY, "", 9)])
    assert [one for _, one in originals.before(NOW + 2 * DAY, "", 9)] == [lying(b"later.json")]


def test_of_two_files_that_lay_at_one_place_the_later_one_is_noted(catalogue: Catalogue) -> None:
    originals = catalogue.purge.originals
    originals.note([lying(b"a.json", inode=1)], NOW)
    originals.note([lying(b"a.json", inode=2)], NOW + DAY)
    assert originals.before(NOW + DAY, "", 9) == []
    ((_, found),) = originals.before(NOW + 2 * DAY, "", 9)
    assert found.inode == 2


def test_what_lay_there_before_is_noted_once_and_takes_nothing_back(catalogue: Catalogue) -> None:
    originals = catalogue.purge.originals
    assert not originals.begun()
    originals.note([lying(b"a.json", inode=1)], NOW)
    originals.begin([(lying(b"a.json", inode=9), NOW + 9 * DAY), (lying(b"old.json"), NOW - DAY)], NOW)
    assert originals.begun()
    found = originals.before(NOW + DAY, "", 9)
    assert {one for _, one in found} == {lying(b"a.json", inode=1), lying(b"old.json")}
    originals.forget([key for key, _ in found])
    assert originals.begun()
