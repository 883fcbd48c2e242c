"""The account of the operating system under which a command runs, as the kernel knows it: no variable changes it."""

import os
import pwd
from pathlib import Path

_LOGIN = Path("/proc/self/loginuid")
_NOBODY = 2**32 - 1  # no login: started by systemd, or in a container


def account() -> str:
    """The account's name; behind sudo or su with that of who has logged in: `wang as root`."""
    here = os.geteuid()
    login = _login(here)
    return _name(here) if login == here else f"{_name(login)} as {_name(here)}"


def _login(here: int) -> int:
    """The account that has logged in; the present one where the kernel knows nobody."""
    try:
        number = int(_LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return here
    return here if number == _NOBODY else number


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
