"""The bundle: installed without a network, tried with a first exam, and as a Debian package."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from importlib.metadata import version as version_of
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from router.admin import bundle, debian, installation

CHECKOUT = Path(__file__).parents[3]
TAG = installation.tag(sys.executable)
# A network namespace of its own has loopback only, which is down at first: SIOCSIFFLAGS, netdevice(7).
ALONE = """import fcntl, os, socket, struct, sys
flags = struct.pack("16sh14s", b"lo", 0x41, b"")
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, flags)
assert open("/proc/net/route").read().count(chr(10)) == 1, "there is a route"
os.execvp(sys.argv[1], sys.argv[1:])"""


def needed(texts: Iterable[str], found: dict[str, Distribution]) -> dict[str, Distribution]:
    """The installed packages that these requirements mean, by name, with all that they need."""
    for requirement in map(Requirement, texts):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and name not in found:
            found[name] = distribution(name)
            needed(found[name].requires or [], found)
    return found


def wheel_again(one: Distribution, folder: Path) -> None:
    """Pack what is installed as the wheel that it came from, since tests have no package index."""
    tags = re.findall(r"^Tag: (\S+)$", one.read_text("WHEEL") or "", re.MULTILINE)
    kinds = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*(tag.split("-") for tag in tags), strict=True))
    name = re.sub(r"[-_.]+", "_", one.metadata["Name"])
    inside = [path for path in one.files or [] if ".." not in path.parts and "__pycache__" not in path.parts]
    skipped = ("INSTALLER", "REQUESTED", "direct_url.json")
    with zipfile.ZipFile(folder / f"{name}-{one.version}-{kinds}.whl", "w") as packed:
        for path in inside:
            if path.name == "RECORD":
                record = [f"{each},," for each in inside if each.name not in skipped]
                packed.writestr(str(path), "\n".join([*record, ""]))
            elif path.name not in skipped:
                packed.write(Path(str(path.locate())), str(path))


def fetched(_python: str, folder: Path) -> None:
    every = needed(bundle.requirements(CHECKOUT), {})
    for one in (*every.values(), distribution("pip")):
        wheel_again(one, folder)


@pytest.fixture(scope="module")
def staged() -> Iterator[Path]:
    if Version(version_of("setuptools")) < Version("70.1"):
        pytest.skip("setuptools 70.1 or newer is not installed beside the tests: it builds the wheel")
    with bundle.staged(CHECKOUT, [TAG], fetched) as folder:
        yield folder


def alone() -> list[str]:
    """The start of a command without any network; skips where this account may have none."""
    for unshare in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        call = [*unshare, sys.executable, "-c", ALONE]
        if shutil.which("unshare") and not subprocess.run([*call, "true"], check=False, capture_output=True).returncode:
            return call
    pytest.skip("a network namespace cannot be made here: that the bundle needs no network is not tested")


def run(*call: object) -> str:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    done = subprocess.run([str(each) for each in call], check=False, capture_output=True, text=True, timeout=550,
                          env=quiet | {"LC_ALL": "C.UTF-8", "PYTHON": sys.executable})  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_without_any_network_the_bundle_installs_and_a_first_exam_arrives(staged: Path, tmp_path: Path) -> None:
    network = alone()
    home, answers = tmp_path / "home", tmp_path / "answers.toml"
    answers.write_text(
        f'keep_silent = "yes"\n[hospital]\nHospitalName = "示范医院东院"\n'
        f'[places]\ndata = "{home}/data"\nreports = "{home}/in"\n',
        encoding="utf-8",
    )
    told = run(*network, staged / "setup", "--folder", home, "--answers", answers)
    assert told.count("   ok  ") == 2, told
    assert 'HospitalName = "示范医院东院"' in (home / "conf/router.toml").read_text(encoding="utf-8")
    assert sorted(path.name for path in home.iterdir()) == ["bin", "conf", "data", "in", "program"]
    assert "[default: " in run(home / "bin/imaging-cloud-router", "install", "--help")
    removed = run(home / "bin/imaging-cloud-router", "install", "--remove")
    assert f"removed {home}/program" in removed
    assert (home / "conf/router.toml").exists()


def test_a_file_that_was_changed_on_the_way_is_refused(staged: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(staged, copy)
    with (copy / "conf/router.toml").open("a") as opened:
        opened.write("# more")
    done = subprocess.run(
        [copy / "install", "--folder", tmp_path / "home"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, "conf/router.toml" in done.stdout + done.stderr) == (2, True)
    assert not (tmp_path / "home").exists()


def test_a_bundle_for_another_python_says_which(staged: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(staged, copy)
    (copy / f"constraints-{TAG}.txt").rename(copy / "constraints-cp399.txt")
    sums = (copy / "SHA256SUMS").read_text().replace(f"constraints-{TAG}", "constraints-cp399")
    (copy / "SHA256SUMS").write_text(sums)
    done = subprocess.run([copy / "install", "--help"], check=False, capture_output=True, text=True)
    assert (done.returncode, "constraints-cp399.txt" in done.stderr) == (2, True)


def test_the_same_content_makes_the_same_bytes_whoever_packs_it(tmp_path: Path) -> None:
    packed = []
    for name, when, mode in (("a", 1_000_000_000, 0o600), ("b", 2_000_000_000, 0o664)):
        folder = tmp_path / name / "router"
        (folder / "docs").mkdir(parents=True)
        for file in ("z", "docs/x"):
            (folder / file).write_text("text")
            (folder / file).chmod(mode)
            os.utime(folder / file, (when, when))
        packed.append(bundle.packed(folder, tmp_path / name / "to" / "b.tar.gz"))
    assert packed[0].read_bytes() == packed[1].read_bytes()
    subprocess.run(["sha256sum", "--check", "--quiet", "b.tar.gz.sha256"], check=True, cwd=packed[0].parent)
    with tarfile.open(packed[0]) as tar:
        assert tar.getnames() == ["router", "router/docs", "router/docs/x", "router/z"]


def test_every_package_has_its_hash_and_conf_docs_and_licence_travel_along(staged: Path) -> None:
    pins = [line for line in (staged / f"constraints-{TAG}.txt").read_text().splitlines() if line[:1] != "#"]
    assert len(pins) > 10
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==\S+ --hash=sha256:[0-9a-f]{64}", line)] == []
    assert not [line for line in pins if line.startswith(("pip==", "imaging-cloud-router=="))]
    names = ("LICENSE", "README.md", "docs/operations.md", "conf/router.toml", "conf/container/Containerfile")
    assert [name for name in names if not (staged / name).is_file()] == []
    assert not (staged / "conf" / "keys").exists()


def test_a_debian_package_is_installed_and_removed(staged: Path, tmp_path: Path) -> None:
    for program in ("dpkg", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the Debian package is not tested")
    made = debian.package(staged, tmp_path, [TAG])
    assert f"python3.{TAG[3:]}" in run("dpkg-deb", "--field", made, "Depends")
    if os.geteuid() != 0:
        pytest.skip("not root: the Debian package is built, and not installed")
    root = tmp_path / "root"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    dpkg = ["dpkg", f"--root={root}", "--force-depends", "--force-script-chrootless", "--log=/dev/null"]
    run(*dpkg, "--install", made)
    place = root / "usr/lib/imaging-cloud-router"
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=True, cwd=place)
    assert os.access(place / "install", os.X_OK)
    run(*dpkg, "--purge", "imaging-cloud-router")
    assert not place.exists()
