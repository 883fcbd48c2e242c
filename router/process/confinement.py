"""The confinement of a program that reads foreign files: it reads the libraries that it runs on, and changes nothing.

Linux only. What the kernel does not have is left out: Landlock came with 5.13 (landlock(7)), its parts later.
"""

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import router

_SET_DUMPABLE, _SET_NO_NEW_PRIVS = 4, 38  # prctl(2)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture but alpha
_ASK_VERSION, _PATH_BENEATH = 1, 1
_READ = 1 << 2 | 1 << 3  # files and folders; no program is executed
_FILES = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights on files a version knows; later ones 16
_MOST_DESCRIPTORS = 64
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")


def confine(memory: int, libraries: Path) -> None:
    """Take from this process, for good, what reading does not need; it may have `memory` bytes.

    `libraries` is the folder in which the packages are that it reads with.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_DESCRIPTORS, _MOST_DESCRIPTORS))
    system = ctypes.CDLL(None)
    system.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    system.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Folders in which Python looks for modules. Of a checkout the package only: its data folder may lie beside it.
    own = Path(router.__file__).parent
    folders = {Path(entry) for entry in sys.path if entry} | {Path(sys.base_prefix, "lib"), libraries}
    _restrict(system, {own, *map(Path, _SYSTEM_LIBRARIES)} | (folders - ({own.parent} - {libraries})))


def version() -> int:
    """Of the kernel's Landlock; 0 where it has none."""
    found: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(found, 0)


def _restrict(system: ctypes.CDLL, readable: Iterable[Path]) -> None:
    """Nothing but reading there; no TCP, no signals and no abstract sockets beyond this process."""
    if not (known := version()):
        return
    rights = struct.pack("=QQQ", (1 << _FILES.get(known, 16)) - 1, 0b11, 0b11)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = system.syscall(_CREATE_RULESET, rights, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return
    for folder in readable:
        with suppress(OSError):
            handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            system.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", _READ, handle), 0)
            os.close(handle)
    system.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
