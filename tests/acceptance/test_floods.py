"""A peer that knocks and knocks at a real node: log and audit tell it by the minute, not by the knock."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from router.dicom.ul.pdu import PduType
from support.harness import Site
from support.raw_pdus import answer, association_request

KNOCKS = 150


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site").start()
    yield site
    site.stop()


def knock(port: int, address: str) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), 5, (address, 0))) as peer:
        peer.sendall(association_request(called="NOBODY"))
        assert answer(peer)[0] == PduType.ASSOCIATE_RJ


def log_in(port: int, address: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(address, 0))
    with closing(connection):
        form = urlencode({"who": "eve", "token": "guess"})
        connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        assert connection.getresponse().status == 403


@pytest.mark.parametrize(("door", "try_it"), [("dicom", knock), ("admin", log_in)])
def test_a_flood_is_counted_in_log_and_audit(site: Site, door: str, try_it: object) -> None:
    assert callable(try_it)
    for _ in range(KNOCKS):
        try_it(site.node.ports[door], "127.0.0.7")
    try_it(site.node.ports[door], "127.0.0.8")
    assert site.node.stop() == 0
    told = [line for line in site.log.splitlines() if "refused:" in line]
    trail = [line for file in (site.data / "audit").rglob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    audited = [json.loads(line) for line in trail if "127.0.0.7" in line or "127.0.0.8" in line]
    for lines in (told, audited):
        assert 3 <= len(lines) <= 5, "the first of each peer, and one line for each minute that this took"
    counts = [int(found[1]) for line in told if (found := re.search(r"(\d+) more within a minute", line))]
    assert 1 + sum(counts) == KNOCKS
