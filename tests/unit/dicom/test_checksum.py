"""The comparison of a data set with its checksum while its bytes pass."""

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import pytest
import xxhash

from router.dicom.dataset import checksum
from router.dicom.dataset.checksum import Comparison, compare, read, unreadable
from router.dicom.dataset.header import read_instance
from router.errors import IntegrityError, TransientError

from support.dicom_peers import data_set, made  # isort: skip

DATA = os.urandom(2**19 * 2 + 77)
SUMS: dict[str, Callable[[bytes], str]] = {
    "XXH3-128": lambda data: xxhash.xxh3_128(data).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(b"head" + DATA)
    return path


@pytest.mark.parametrize("of", SUMS.values(), ids=SUMS)
def test_what_is_as_it_came_passes(file: Path, of: Callable[[bytes], str]) -> None:
    with file.open("rb") as opened:
        compare(opened, 4, len(DATA), of(DATA))


@pytest.mark.parametrize("of", SUMS.values(), ids=SUMS)
@pytest.mark.parametrize("at", [0, 2**19 - 1, 2**19, len(DATA) - 1])
def test_one_bit_anywhere_is_found(file: Path, of: Callable[[bytes], str], at: int) -> None:
    changed = bytearray(DATA)
    changed[at] ^= 4
    file.write_bytes(b"head" + changed)
    with file.open("rb") as opened, pytest.raises(IntegrityError):
        compare(opened, 4, len(DATA), of(DATA))


def test_a_file_that_is_shorter_than_it_was_is_found(file: Path) -> None:
    with file.open("rb") as opened, pytest.raises(IntegrityError, match="shorter"):
        compare(opened, 4, len(DATA) + 1, SUMS["SHA-256"](DATA))


def test_where_nobody_knows_everything_passes() -> None:
    comparison = Comparison("")
    comparison.add(memoryview(b"anything"))
    comparison.close()


def test_a_read_that_comes_in_pieces_fills_every_part(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.preadv

    def stingy(handle: int, parts: Sequence[memoryview], offset: int) -> int:
        return real(handle, [next(part for part in parts if len(part))[:7]], offset)

    monkeypatch.setattr(os, "preadv", stingy)
    room = memoryview(bytearray(50))
    with file.open("rb") as opened:
        read(opened, [room[:20], room[20:23], room[23:]], 4)
    assert bytes(room) == DATA[:50]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, IntegrityError), (errno.ENOENT, IntegrityError), (errno.EMFILE, TransientError),
     (errno.ESTALE, TransientError)],
)  # fmt: skip
def test_what_the_machine_lacks_at_the_moment_is_no_damage(number: int, kind: type[Exception]) -> None:
    assert type(unreadable(OSError(number, "why"))) is kind


def test_the_checksum_is_of_the_data_set_alone_however_it_is_read(tmp_path: Path) -> None:
    path = made(tmp_path, 1)
    expected = xxhash.xxh3_128(data_set(path)).hexdigest()
    assert read_instance(BytesIO(path.read_bytes()))[1].checksum == expected
    with path.open("rb") as opened:
        assert read_instance(opened)[1].checksum == expected


def test_a_checksum_is_told_from_a_digest_by_its_length() -> None:
    assert len(checksum.new_checksum().hexdigest()) == 32
