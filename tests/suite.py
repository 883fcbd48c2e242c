"""`scripts/test`: installs what the tests need besides Python, then runs all of them or those named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOG = ROOT / ".venv" / "set-up.log"
POLICY = Path("/usr/sbin/policy-rc.d")
AXE, AXE_HOME = "axe-core@4.14.1", ROOT / ".venv" / "axe"  # by which the browser test checks WCAG AA
HELP = "Usage: scripts/test [PYTEST ARGUMENTS]\n\nInstall what the tests need, then run all or those named.\n"
# Debian package: a program of it, where that may be besides PATH, what cannot be tested without it.
PACKAGES: Mapping[str, tuple[str, str, str]] = {
    "dcmtk": ("storescu", "", "tests against DCMTK as a peer"),
    "orthanc": ("Orthanc", "usr/sbin/Orthanc", "tests against Orthanc as a peer"),
    "openssl": ("openssl", "", "tests with OpenSSL as the witness of our cryptography"),
    "fuse3": ("fusermount3", "", "tests of power cuts, on a disk that records each write"),
    "xfsprogs": ("mkfs.xfs", "usr/sbin/mkfs.xfs", "tests of power cuts on XFS"),
    "haproxy": ("haproxy", "usr/sbin/haproxy", "tests of several nodes behind a load balancer"),
    "chromium": ("chromium", "", "tests of the console in a browser"),
    "postgresql": ("postgres", "usr/lib/postgresql/*/bin/postgres", "tests of the queue on PostgreSQL"),
}


def main(arguments: list[str]) -> None:
    """Hand over to pytest."""
    if arguments[:1] in (["--help"], ["-h"]):
        sys.stdout.write(HELP)
        return
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        install(missing())
    for package in missing():
        say(f"will be skipped: {PACKAGES[package][2]}. Missing: as root, apt-get install {package}")
    if not has_axe() and not install_axe():
        say("will be skipped: whether the console is accessible by WCAG AA. Missing: npm, or its registry")
    os.chdir(ROOT)
    # Four processes on two processors: nearly half of the time is waiting.
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-n", "5", "--dist", "loadfile", *arguments])


def say(text: str) -> None:
    """One line for the person at the terminal; stdout is pytest's."""
    sys.stderr.write(f"{text}\n")


def missing() -> list[str]:
    """Packages of which the program is not there."""

    def found(program: str, beside: str) -> bool:
        return shutil.which(program) is not None or (beside != "" and any(Path("/").glob(beside)))

    return [package for package, (program, beside, _) in PACKAGES.items() if not found(program, beside)]


def install(packages: list[str]) -> None:
    """Install without questions. The package lists are fetched only when apt-get does not know a package."""
    say(f"installing Debian packages: {' '.join(packages)}")
    arguments = ("install", "-y", "--no-install-recommends", *packages)
    with no_services(POLICY):
        if not apt_get(*arguments) and not (apt_get("update") and apt_get(*arguments)):
            say(f"apt-get could not install them; its log: {LOG}")


def apt_get(*arguments: str) -> bool:
    """True when it succeeds; what it prints goes to the log."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with LOG.open("ab") as log:
        done = subprocess.run(["apt-get", *arguments], check=False, env=quiet, stdin=subprocess.DEVNULL, stdout=log,
                              stderr=log)  # fmt: skip
    return done.returncode == 0


def has_axe() -> bool:
    """Whether axe-core is there."""
    return (AXE_HOME / "node_modules" / "axe-core" / "axe.min.js").exists()


def install_axe() -> bool:
    """Install it without scripts of its own; true when it is there."""
    if shutil.which("npm") is None:
        return False
    say(f"installing {AXE}")
    arguments = ("install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(AXE_HOME), AXE)
    with LOG.open("ab") as log:
        subprocess.run(["npm", *arguments], check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return has_axe()


@contextmanager
def no_services(policy: Path) -> Iterator[None]:
    """Keep Debian from starting the services of a package while it is installed: the tests start their own.

    Left behind by a kill, the policy removes itself the first time that it is asked.
    """
    if policy.exists() or not os.access(policy.parent, os.W_OK):
        yield
        return
    policy.write_text(f'#!/bin/sh\nkill -0 {os.getpid()} 2>/dev/null && exit 101\nrm -f "$0"\n', encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
