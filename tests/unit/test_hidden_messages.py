"""What nobody caught is told by kind and place: its message may hold a value out of somebody's data."""

import subprocess
import sys

import pytest

PROGRAM = """
import logging, threading
from router.errors import hide_messages
logging.basicConfig(format="%(message)s")
{hide}
def read(): int("PAT7183")
{call}
"""
IN_A_THREAD = "thread = threading.Thread(target=read); thread.start(); thread.join()"


def said(hide: str, call: str) -> str:
    program = PROGRAM.format(hide=hide, call=call)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("call", ["read()", IN_A_THREAD])
def test_an_exception_that_nobody_caught_tells_no_value(call: str) -> None:
    told = said("hide_messages()", call)
    assert told.startswith("a defect that nobody caught: ValueError at ")
    assert "<string>:" in told
    assert "PAT7183" not in told
    assert "PAT7183" in said("", call), "Python by itself tells it"
