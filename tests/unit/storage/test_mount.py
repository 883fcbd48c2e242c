"""What a folder lies on, from tables as Linux writes them."""

import os
from pathlib import Path

import pytest

from router.storage.mount import Mount, is_encrypted, mount_of, not_mounted


def table(folder: Path, name: str, *lines: str) -> Path:
    file = folder / name
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_deepest_mount_counts_and_blanks_are_read(tmp_path: Path) -> None:
    data = tmp_path / "the data"
    data.mkdir()
    mounts = table(
        tmp_path, "mounts", "/dev/a / ext4 rw 0 0", f"//nas/x {str(data).replace(' ', chr(92) + '040')} cifs rw 0 0"
    )
    assert mount_of(data / "studies", mounts) == Mount("//nas/x", data, "cifs")
    assert mount_of(tmp_path, mounts) == Mount("/dev/a", Path("/"), "ext4")


def test_what_fstab_has_and_is_not_there_is_told(tmp_path: Path) -> None:
    wanted = table(tmp_path, "fstab", "# a share", f"//nas/x {tmp_path} cifs ro 0 0", "UUID=1 none swap sw 0 0")
    here = table(tmp_path, "mounts", "/dev/a / ext4 rw 0 0")
    there = table(tmp_path, "mounts2", "/dev/a / ext4 rw 0 0", f"//nas/x {tmp_path} cifs ro 0 0")
    assert not_mounted(tmp_path / "drop", wanted, here) == Mount("//nas/x", tmp_path, "cifs")
    assert not_mounted(tmp_path / "drop", wanted, there) is None


@pytest.mark.parametrize(("uuids", "encrypted"), [
    ({"": "CRYPT-LUKS2-1"}, True), ({"": "LVM-1", "slaves/dm-0": "CRYPT-LUKS2-1"}, True), ({"": "LVM-1"}, False),
    ({}, False), ({"": "LVM-1", "slaves/dm-0": "CRYPT-LUKS2-1", "slaves/sda": "part"}, False),
])  # fmt: skip
def test_dm_crypt_is_found_below_lvm_and_must_be_below_every_part(
    tmp_path: Path, uuids: dict[str, str], encrypted: bool
) -> None:
    number = os.stat("/dev/null").st_rdev  # noqa: PTH116 # stands for a disk
    device = tmp_path / f"{os.major(number)}:{os.minor(number)}"
    device.mkdir()
    for place, uuid in uuids.items():
        (device / place / "dm").mkdir(parents=True)
        (device / place / "dm" / "uuid").write_text(uuid)
    assert is_encrypted(Mount("/dev/null", Path("/"), "ext4"), tmp_path) is encrypted


def test_of_a_share_nobody_can_tell(tmp_path: Path) -> None:
    assert is_encrypted(Mount("//nas/x", tmp_path, "cifs")) is None
