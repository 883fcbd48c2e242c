"""The extra `decompress`, installed while a program that uses it runs."""

import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

import pydicom
import pytest

from router.dicom.dataset.decoders import look_again
from router.errors import ConfigurationError
from support.dicom_peers import SHIPPED

PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:3]
import hashlib, pydicom
from router.dicom.dataset.decoders import can_decompress, decodable, look_again
from router.errors import ConfigurationError

def usable():
    try:
        can_decompress()
    except ConfigurationError as error:
        return "no: " + error.hint
    return "yes"

print(usable(), flush=True)
look_again()
print(usable(), flush=True)
sys.stdin.readline()
look_again()
print(usable(), flush=True)
look_again()
for name in sys.argv[3:]:
    print(hashlib.sha256(pydicom.dcmread(name).pixel_array.tobytes()).hexdigest(), flush=True)
"""
EXTRA = ("numpy", "pylibjpeg", "libjpeg", "openjpeg", "rle", "_libjpeg", "_openjpeg", "_rle", "PIL", "pillow", "gdcm")
FILES = ("SC_rgb_jpeg_gdcm.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm",
         "JPEG2000.dcm")  # fmt: skip


def is_of_extra(name: str) -> bool:
    return name.casefold().startswith(tuple(each.casefold() for each in EXTRA))


def link(names: list[str], installed: Path, folder: Path) -> None:
    for name in names:
        (folder / name).symlink_to(installed / name)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_installed_later_is_found_when_it_is_looked_for_again(tmp_path: Path) -> None:
    pytest.importorskip("numpy"), pytest.importorskip("libjpeg"), pytest.importorskip("openjpeg")
    installed, folder = Path(sysconfig.get_paths()["purelib"]), tmp_path / "installed"
    folder.mkdir()
    names = [one.name for one in installed.iterdir() if not one.name.startswith(("__editable__", "__pycache__"))]
    link([name for name in names if not is_of_extra(name)], installed, folder)
    files = [str(SHIPPED / "test_files" / name) for name in FILES]
    own = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-S", "-c", PROGRAM, str(folder), own, *files],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None
        for _ in range(2):
            assert program.stdout.readline().startswith("no: pip install 'imaging-cloud-router[decompress]'")
        link([name for name in names if is_of_extra(name)], installed, folder)
        told, _ = program.communicate("\n", timeout=60)
    assert program.returncode == 0
    decoded = [hashlib.sha256(pydicom.dcmread(name).pixel_array.tobytes()).hexdigest() for name in files]
    assert told.splitlines() == ["yes", *decoded]


def test_a_decoder_that_cannot_be_loaded_is_a_fault_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise OSError("libjpeg.so.8: cannot open shared object file")

    monkeypatch.setattr("router.dicom.dataset.decoders.importlib.reload", broken)
    with pytest.raises(ConfigurationError, match=r"decoder.*OSError") as caught:
        look_again()
    assert "decompress" in caught.value.hint
