"""Several nodes on one PostgreSQL, which syncs every commit: what a claim costs, and what a delivery does."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
from measure import Run, Table, Timing, compare
from processes import ours
from second_node import second

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.events import EventBus
from router.model import Channel
from router.policy.states import State
from support.cluster import Cluster
from support.harness import make_exam, send_all
from support.postgres import DURABLE, Server, postgres_server

NODES = (1, 2, 4)
CLAIMS = 4000
EXAMS, INSTANCES = 24, 40


def claims(run: Run) -> Table:
    """4,000 deliveries claimed and settled, by 1, 2 and 4 nodes that do nothing else."""
    with _server() as server:
        cases = {_name(nodes): partial(_claiming, server, nodes, run.count(CLAIMS)) for nodes in NODES}
        return compare("A claim and its end, in all", cases, run, [[_name(1)]], unit="ms")


def deliveries(run: Run) -> Table:
    """24 exams of 40 instances of 20 KB, received by all nodes and sent to one platform, by 1, 2 and 4 nodes."""
    with _server() as server:
        exams = run.count(EXAMS)
        cases = {_name(nodes): partial(_delivering, server, nodes, exams, run.folder) for nodes in NODES}
        return compare("An instance, from its sender to the platform, in all", cases, run, [[_name(1)]], "ms")


SECTIONS = {"claims": claims, "deliveries": deliveries, "second": second}


def _name(nodes: int) -> str:
    return f"{nodes} node{'s' if nodes > 1 else ''}"


@contextmanager
def _server() -> Iterator[Server]:
    with postgres_server(DURABLE) as url, psycopg.connect(url, autocommit=True) as connection:
        yield Server(url, connection)


@contextmanager
def _claiming(server: Server, nodes: int, count: int) -> Iterator[Timing]:
    url = server.new_schema()
    _make_ready(url, count)
    with ExitStack() as stack:
        claimers = []
        for number in range(nodes):
            call = ours("claimer.py", url, f"node{number}")
            claimer = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            claimers.append(stack.enter_context(claimer))
            stack.callback(claimer.kill)
        yield partial(_claim_all, claimers, count)


def _claim_all(claimers: "list[subprocess.Popen[str]]", count: int) -> float:
    for claimer in claimers:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "ready\n"
    began = time.monotonic()
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    done = [int(claimer.stdout.readline()) for claimer in claimers if claimer.stdout is not None]
    assert sum(done) == count
    return (time.monotonic() - began) / count * 1000


def _make_ready(url: str, count: int) -> None:
    catalogue, now = open_catalogue(url, Path(), EventBus()), SystemClock().now()
    with closing(catalogue.engine.database), catalogue.exams.transaction():
        for number in range(count):
            exam = catalogue.exams.number_of("", "01", f"E{number}", now)
            catalogue.queue.make(exam, [("cloud", Channel.IMAGES)], now)
            (delivery,) = catalogue.queue.of_exam(exam)
            due = {"due": now + timedelta(seconds=number)}
            catalogue.queue.move(delivery, State.READY, now, "for the bench", changes=due)


@contextmanager
def _delivering(server: Server, nodes: int, count: int, folder: Path) -> Iterator[Timing]:
    cluster = Cluster(folder / f"{nodes}-{time.monotonic_ns()}", server.new_schema(), nodes, stable_after="200 ms")
    try:
        exams = [make_exam(cluster.site, number, INSTANCES) for number in range(count)]

        def deliver() -> float:
            began = time.monotonic()
            for number, exam in enumerate(exams):
                send_all(cluster.ports[number % nodes], exam.study.files)
                cluster.site.report(exam)
            cluster.site.wait_until(lambda: _all_delivered(cluster, 2 * count), "everything is delivered", 300)
            return (time.monotonic() - began) / (count * INSTANCES) * 1000

        yield deliver
    finally:
        cluster.stop()


def _all_delivered(cluster: Cluster, count: int) -> bool:
    return [line.delivery.state for line in cluster.site.lines()] == [State.DELIVERED] * count
