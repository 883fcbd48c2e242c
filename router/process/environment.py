"""Environment of a child program: no passphrase, no password, no credential."""

from collections.abc import Mapping

_NAMES = frozenset({"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ", "TZDIR", "VIRTUAL_ENV"})
_BEGINNINGS = ("LC_", "PYTHON")


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables by which a program finds its libraries, its language and its time zone; nothing else."""
    return {name: value for name, value in environment.items() if name in _NAMES or name.startswith(_BEGINNINGS)}
