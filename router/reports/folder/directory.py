"""Folders below the drop folder, reached by descriptors: no link is followed on the way, nothing is opened but folders.

Whoever may write there may swap any name at any time; a descriptor still means the folder that was opened. The drop
folder itself is the administrator's word and may be a link.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from errno import ENOTDIR, EXDEV
from pathlib import Path

DEEPEST = 64
"""Levels of folders that are looked at; no RIS nests its exports deeper."""
_TOP = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK
_BELOW = _TOP | os.O_NOFOLLOW


def opened(folder: Path) -> AbstractContextManager[int]:
    """The drop folder's own descriptor; OSError when it cannot be opened."""
    return _descriptor(folder, _TOP)


def inside(parent: int, name: str) -> AbstractContextManager[int]:
    """A folder in a folder; OSError when it is a link, no folder, or gone."""
    return _descriptor(name, _BELOW, parent)


@contextmanager
def _descriptor(folder: Path | str, flags: int, parent: int | None = None) -> Iterator[int]:
    handle = os.open(folder, flags, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def device(handle: int) -> int:
    """The device that an open folder lies on."""
    return os.fstat(handle).st_dev


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """The place of a file, with open descriptors.

    `home` is the topmost folder of the file's device, with the way from the drop folder to it (`lead`) and from it to
    the folder that holds the file (`below`): a branch's folder may be a mount of its own, and nothing is moved across.
    """

    parent: int
    home: int
    lead: tuple[str, ...]
    below: tuple[str, ...]


@contextmanager
def spot(top: int, parts: Sequence[str]) -> Iterator[Spot]:
    """The folder that `parts` lead to from the drop folder; OSError when one of them is a link, no folder, or gone."""
    with ExitStack() as stack:
        parent = home = top
        own, split = device(top), 0
        for number, name in enumerate(parts, 1):
            parent = stack.enter_context(inside(parent, name))
            if device(parent) != own:
                home, own, split = parent, device(parent), number
        yield Spot(parent=parent, home=home, lead=tuple(parts[:split]), below=tuple(parts[split:]))


@contextmanager
def aside(home: int, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """The folder `parts` below `home`, whose first is done or rejected; `make` makes what is missing.

    OSError when one is a link, no folder or gone, or when the first lies on another device than its home.
    """
    with ExitStack() as stack:
        at = home
        for name in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=at)
            try:
                at = stack.enter_context(inside(at, name))
            except FileNotFoundError:
                raise
            except OSError as error:
                text = f"a folder of done/ or rejected/ is a link, a file or closed: {error.strerror}"
                raise OSError(ENOTDIR, text) from error
            if device(at) != device(home):
                raise OSError(EXDEV, "done/ or rejected/ lies on another device than its folder")
        yield at
