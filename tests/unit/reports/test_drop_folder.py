"""The edge of the drop folder: what is looked at, what is read, what is set aside, what is a PDF."""

import errno
import os
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

from router.errors import InvalidData
from router.model import SetAside
from router.reports.folder import directory, originals
from router.reports.folder.settle import Seen
from router.reports.folder.watch import MOST_OTHERS, Listing, Other, OtherKind, Watch, scan
from router.reports.pdf import pdf


def put(folder: Path, name: str, data: bytes = b"{}") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def seen(path: Path) -> Seen:
    state = path.stat()
    return Seen(path, state.st_size, state.st_mtime_ns)


def printed(text: str = "report", pages: int = 1) -> bytes:
    buffer = BytesIO()
    page = Canvas(buffer, invariant=True)
    for _ in range(pages):
        page.drawString(60, 740, text)
        page.showPage()
    page.save()
    return buffer.getvalue()


# -- scan

_NAMES = [
    ("a.json", True),
    ("a.pdf", True),
    ("A.JSON", True),
    ("a.Pdf", True),
    ("sub/deeper/a.json", True),
    ("报告 1.json", True),
    ("a.b.json", True),
    ("sub/done/a.json", True),  # only the node's own done/ is at the top
    ("a.json.tmp", False),
    ("a.json.part", False),
    ("a.tmp", False),
    ("~a.json", False),
    ("~$a.pdf", False),
    (".a.json", False),
    (".json", False),
    (".hidden/a.json", False),
    ("~sub/a.json", False),
    ("done/a.json", False),
    ("done/sub/a.json", False),
    ("rejected/a.pdf", False),
    ("a.reason.txt", False),
    ("a.xml", True),
    ("a.csv", False),
    ("json", False),
]


@pytest.mark.parametrize(("name", "looked_at"), _NAMES)
def test_what_a_scan_looks_at(tmp_path: Path, name: str, looked_at: bool) -> None:
    path = put(tmp_path, name)
    assert scan(tmp_path).files == ((seen(path),) if looked_at else ())


def test_links_folders_and_pipes_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    outside = put(tmp_path, "outside/secret.json")
    (folder / "folder.json").mkdir(parents=True)
    (folder / "link.json").symlink_to(outside)
    (folder / "dangling.pdf").symlink_to("nowhere")
    (folder / "linked").symlink_to(outside.parent)
    (folder / "linked.json").symlink_to(outside.parent)
    os.mkfifo(folder / "pipe.pdf")
    found = scan(folder)
    assert found.files == ()
    kinds = {one.path.name: one.kind for one in found.others}
    assert kinds.pop("pipe.pdf") == OtherKind.SPECIAL
    assert kinds == dict.fromkeys(("link.json", "dangling.pdf", "linked", "linked.json"), OtherKind.LINK)


_OTHERS = [
    ("a.csv", OtherKind.ENDING),
    ("a.json.txt", OtherKind.ENDING),
    ("json", OtherKind.ENDING),
    ("sub/README", OtherKind.ENDING),
    ("a.json.tmp", OtherKind.TEMPORARY),
    ("a.PART", OtherKind.TEMPORARY),
    ("~a.json", OtherKind.TEMPORARY),
    (".a.pdf.Xy12", OtherKind.TEMPORARY),
    ("~$a.docx", None),
    (".DS_Store", None),
    (".gitkeep", None),
    ("Thumbs.db", None),
    ("DESKTOP.INI", None),
    (".hidden/a.csv", None),
    ("done/a.csv", None),
    ("rejected/a.reason.txt", None),
    ("a.json", None),
]


@pytest.mark.parametrize(("name", "kind"), _OTHERS)
def test_what_a_scan_leaves_alone_is_told_with_its_kind(tmp_path: Path, name: str, kind: OtherKind | None) -> None:
    path = put(tmp_path, name)
    state, found = path.stat(), scan(tmp_path)
    expected = () if kind is None else (Other(path, kind, state.st_size, state.st_mtime_ns),)
    assert found.others == expected
    assert found.counted == ({} if kind is None else {kind: 1})


def test_a_scan_names_a_thousand_of_each_kind_and_counts_the_rest(tmp_path: Path) -> None:
    for number in range(MOST_OTHERS + 5):
        put(tmp_path, f"{number}.csv", b"")
    put(tmp_path, "a.tmp")
    found = scan(tmp_path)
    assert len(found.others) == MOST_OTHERS + 1
    assert found.counted == {OtherKind.ENDING: MOST_OTHERS + 5, OtherKind.TEMPORARY: 1}


def test_a_folder_that_has_vanished_is_an_error_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    assert scan(tmp_path) == Listing(files=(), unreadable=frozenset(), empty=True)
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "gone")
    with pytest.raises(NotADirectoryError):
        scan(put(tmp_path, "file"))


# -- watch


def test_a_new_file_ends_the_wait_before_its_time(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.start()
    try:
        threading.Timer(0.05, put, (tmp_path, "a.json")).start()
        begun = time.monotonic()
        watch.wait(60)
        assert time.monotonic() - begun < 30
    finally:
        watch.stop()


def test_a_folder_that_cannot_be_watched_is_only_waited_for(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "gone")
    watch.start()
    watch.wait(0.01)
    watch.wake()
    begun = time.monotonic()
    watch.wait(60)
    assert time.monotonic() - begun < 30
    watch.stop()


# -- names


@pytest.mark.parametrize(
    ("name", "stem"),
    [(b"a.json", "a"), (b"sub/a.json", "sub/a"), (b"a.b.pdf", "a.b"), ("报告.PDF".encode(), "报告"),
     ("报告.json".encode("gb18030"), "报告"), (b"\xff\xfe.json", "\\xff\\xfe")],
)  # fmt: skip
def test_json_and_pdf_pair_by_their_path_without_ending(tmp_path: Path, name: bytes, stem: str) -> None:
    found = originals.stem_of(tmp_path, tmp_path / os.fsdecode(name))
    assert found == stem
    found.encode()


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"sub/a.JSON", "sub/a.JSON"), ("报告.doc".encode("gb18030"), "报告.doc"), (b"a.\xff", "a.\\xff")],
)
def test_a_file_is_shown_by_its_path_below_the_folder(tmp_path: Path, name: bytes, shown: str) -> None:
    assert originals.name_of(tmp_path, tmp_path / os.fsdecode(name)) == shown


# -- whether a file still lies there


def test_a_file_lies_at_its_place_until_it_is_gone_or_no_file(tmp_path: Path) -> None:
    path = put(tmp_path, "sub/a.json")
    place = originals.where(tmp_path, seen(path))
    assert (place.home, place.place) == (b"", b"sub/a.json")
    with directory.opened(tmp_path) as top:
        assert originals.lies(top, place) is True
        path.write_bytes(b"another")  # a share that was mounted again has other inodes
        assert originals.lies(top, place) is True
        path.unlink()
        assert originals.lies(top, place) is False
        path.symlink_to(put(tmp_path, "b.json"))
        assert originals.lies(top, place) is False
        path.unlink()
        path.mkdir()
        assert originals.lies(top, place) is False
        path.rmdir()
        path.parent.rmdir()
        (tmp_path / "sub").symlink_to(tmp_path)
        assert originals.lies(top, place) is False


@pytest.mark.parametrize("trouble", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_of_a_place_that_cannot_be_reached_nobody_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    place = originals.where(tmp_path, seen(put(tmp_path, "a.json")))

    def fails(*_: object, **__: object) -> None:
        raise OSError(trouble, "a share")

    with directory.opened(tmp_path) as top:
        monkeypatch.setattr(originals, "_look", fails)
        assert originals.lies(top, place) is None


# -- reading


def test_a_still_file_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, "a.json", b"one")
    assert originals.read_still(tmp_path, seen(path)) == b"one"


@pytest.mark.parametrize("change", ["grown", "touched", "gone"])
def test_a_file_that_is_not_as_it_was_seen_is_not_read(tmp_path: Path, change: str) -> None:
    path = put(tmp_path, "a.json", b"one")
    found = seen(path)
    if change == "grown":
        put(tmp_path, "a.json", b"one and two")
    elif change == "touched":
        os.utime(path, ns=(0, found.mtime + 1))
    else:
        path.unlink()
    assert originals.read_still(tmp_path, found) is None


# -- setting aside


def test_an_original_moves_below_done_with_its_subfolder(tmp_path: Path) -> None:
    path = put(tmp_path, "sub/a.json", b"one")
    inode = path.stat().st_ino
    lies = SetAside(home=b"", place=b"done/sub/a.json", inode=inode, size=3)
    assert originals.set_aside(tmp_path, seen(path), originals.DONE) == lies
    assert not path.exists()
    assert (tmp_path / "done/sub/a.json").read_bytes() == b"one"


def test_a_taken_name_gets_a_number_and_nothing_is_overwritten(tmp_path: Path) -> None:
    for text in (b"one", b"two", b"three"):
        originals.set_aside(tmp_path, seen(put(tmp_path, "a.json", text)), originals.DONE)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "done").iterdir()}
    assert kept == {"a.json": b"one", "a~2.json": b"two", "a~3.json": b"three"}


def test_a_new_version_that_came_after_reading_stays_to_be_taken(tmp_path: Path) -> None:
    path = put(tmp_path, "a.json", b"one")
    found = seen(path)
    put(tmp_path, "a.json", b"the next")
    assert originals.set_aside(tmp_path, found, originals.DONE) is None
    assert path.read_bytes() == b"the next"
    assert list((tmp_path / "done").iterdir()) == []


def test_an_original_that_is_gone_is_no_error(tmp_path: Path) -> None:
    path = put(tmp_path, "a.json")
    found = seen(path)
    path.unlink()
    assert originals.set_aside(tmp_path, found, originals.DONE) is None
    originals.reject(tmp_path, found, "why\n")
    assert not list((tmp_path / "rejected").glob("*"))


def test_a_rejected_file_has_its_reason_beside_it(tmp_path: Path) -> None:
    for name in ("r.json", "r.pdf", "sub/r.json", "r.json"):
        path = put(tmp_path, name)
        originals.reject(tmp_path, seen(path), f"{name} 无法读取\n")
    aside = tmp_path / "rejected"
    found = {p.relative_to(aside).as_posix(): p.read_text() for p in aside.rglob("*.txt")}
    assert found == {
        "r.reason.txt": "r.json 无法读取\n",
        "r~2.reason.txt": "r.pdf: r.pdf 无法读取\n",
        "sub/r.reason.txt": "sub/r.json 无法读取\n",
        "r~2~2.reason.txt": "r~2.json: r.json 无法读取\n",
    }
    assert scan(tmp_path).files == ()


# -- PDF


def _encrypted() -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(printed())))
    writer.encrypt("", "owner", algorithm="RC4-128")  # opens without asking, and is encrypted all the same
    buffer = BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def _without_pages() -> bytes:
    buffer = BytesIO()
    PdfWriter().write(buffer)
    return buffer.getvalue()


def test_a_whole_pdf_passes_also_with_a_few_bytes_around_it() -> None:
    pdf.check(printed())
    pdf.check(b"\xef\xbb\xbf" + printed() + b"\r\n")
    pdf.check(printed() + b"\0" * 3000)
    pdf.check(printed() + b"\r\n<!-- sent by the gateway -->")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "does not begin"),
        (b"PK\x03\x04 a Word file", "does not begin"),
        (b"\0" * 2000 + printed(), "does not begin"),
        (printed()[:-40], "cut off"),
        (printed()[: len(printed()) // 2], "cut off"),
        (printed() + b"\n12 0 obj\n<</Type /XRef /W [1 2 2]", "cut off"),
        (printed() + b"\n12 0 ob", "cut off"),
        (printed() + b"\nxref\n0 1\n", "cut off"),
        (printed() + b"\n12 0 obj\n<<" + b"\0" * 3000, "cut off"),
        (b"%PDF-1.4\n%%EOF\n", "does not open"),
        (b"%PDF-1.4\n" + os.urandom(200) + b"\nstartxref\n99999\n%%EOF\n", "does not open"),
        (_encrypted(), "encrypted"),
        (_without_pages(), "no page"),
        (b"%PDF-" + b" " * pdf.MAX_SIZE, "larger than 64 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_person_could_not_open_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidData, match=reason):
        pdf.check(data)


def text(data: bytes) -> str:
    return pdf.text(pdf.check(data))


def test_the_text_of_a_pdf_is_that_of_its_first_pages() -> None:
    assert text(printed("Zhang San  A 0001")).strip() == "Zhang San  A 0001"
    assert text(printed("")).strip() == ""
    assert text(printed("x", pages=9)).split() == ["x"] * 5
