"""GET /health and `status`, each asked of a node that is well, that is hurt, and that is not there."""

import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from router.storage.lock import lock
from support.certificates import Authority
from support.cluster import Cluster
from support.harness import Site, command, command_here, make_exam, send_all
from support.postgres import Server, postgres_server

FAST = 3.0  # seconds on a machine that is busy with other tests; whoever waits for the database takes longer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("health"), workers=2)
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """A site of its own, for what does not end well."""
    found = Site(tmp_path / "site")
    try:
        yield found.start()
    finally:
        found.stop()


@pytest.fixture(scope="module")
def asleep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose node was stopped, for what is put right again."""
    found = Site(tmp_path_factory.mktemp("asleep"))
    try:
        assert found.start().node.stop() == 0
        yield found
    finally:
        found.stop()


def health(site: Site, path: str = "/health") -> tuple[int, dict[str, Any]]:
    began = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", site.node.ports["admin"], timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
    assert time.monotonic() - began < FAST
    return found


def degraded(site: Site) -> list[str]:
    return [one["what"] for one in health(site)[1]["degraded"]]


def strict(site: Site) -> int:
    return health(site, "/health?strict=1")[0]


def told(site: Site, *options: str) -> tuple[int, list[str]]:
    answer = command_here("status", *options, "--config", site.config_file)
    assert answer.stderr == ""
    return answer.returncode, answer.stdout.splitlines()


def as_json(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command_here("status", "--json", "--config", site.config_file).stdout)
    return found


def wait_until_well(site: Site, seconds: float = 20) -> None:
    site.wait_until(lambda: health(site)[0] == 200 and not degraded(site), "the node is well", seconds)


def workers_of(site: Site) -> list[int]:
    """The process ids of the receive workers."""
    folder = os.fsencode(site.data / "incoming")
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if folder in _bytes_of(path)]


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def running_file(site: Site) -> Path:
    return site.data / "running" / "acceptance.json"


# -- well


def test_a_node_that_is_well_says_so_with_its_real_ports(site: Site) -> None:
    wait_until_well(site)
    status, found = health(site)
    assert (status, strict(site)) == (200, 200)
    assert (found["ok"], found["receiving"], found["node"], found["degraded"]) == (True, True, "acceptance", [])
    code, lines = told(site)
    assert (code, lines[0]) == (0, "Node acceptance runs and receives")
    ports = site.node.ports
    assert f"DICOM 127.0.0.1:{ports['dicom']} listens, admin 127.0.0.1:{ports['admin']} listens" in lines[1]
    document = as_json(site)
    assert (document["running"], document["receiving"], document["degraded"], document["notes"]) == (True, True, [], [])
    assert [one["port"] for one in document["listeners"]] == [ports["dicom"], ports["admin"]]
    assert document["node"]["pid"] == site.node.number


def test_the_file_that_it_leaves_is_its_owners_and_has_no_secret(site: Site) -> None:
    assert site.node.running
    assert running_file(site).stat().st_mode & 0o077 == 0
    assert set(json.loads(running_file(site).read_bytes())) == {
        "node", "host", "pid", "started", "listeners", "scheme", "configuration", "digest",
    }  # fmt: skip


def test_doctor_says_that_it_runs_and_receives(site: Site) -> None:
    wait_until_well(site)
    found = json.loads(command_here("doctor", "--json", "--config", site.config_file).stdout)
    assert [(one["verdict"], one["text"]) for one in found if one["subject"] == "node"] == [
        ("ok", "acceptance runs and receives")
    ]


# -- hurt


@contextmanager
def halted(*numbers: int) -> Iterator[None]:
    for number in numbers:
        with suppress(ProcessLookupError):  # a server's that has nothing more to do
            os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        for number in numbers:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGCONT)


def test_without_a_worker_that_answers_no_image_can_be_taken(site: Site) -> None:
    wait_until_well(site)
    with halted(*workers_of(site)):
        site.wait_until(lambda: health(site)[0] == 503, "nobody takes images", 15)
        assert health(site)[1]["receiving"] is False
        code, lines = told(site)
        assert (code, lines[0]) == (1, "Node acceptance runs and does NOT receive: no receive worker answers")
        document = as_json(site)
        assert (document["running"], document["receiving"]) == (True, False)
        failed = command_here("doctor", "--json", "--config", site.config_file)
        assert [one["verdict"] for one in json.loads(failed.stdout) if one["subject"] == "node"] == ["fail"]
    wait_until_well(site)
    assert told(site)[0] == 0


def test_with_one_worker_of_two_images_are_taken_by_the_other_and_the_node_is_degraded(site: Site) -> None:
    wait_until_well(site)
    exam = make_exam(site, 1, instances=1, side=10)
    with halted(workers_of(site)[0]):
        site.wait_until(lambda: degraded(site) == ["workers"], "one worker stands still", 15)
        assert (health(site)[0], strict(site)) == (200, 503)
        for _ in range(4):
            send_all(site.port, exam.study.files)
        code, lines = told(site)
        assert (code, lines[0]) == (0, "Node acceptance runs and receives")
        assert "Degraded: 1 of 2 receive workers do not answer" in lines
    wait_until_well(site)
    assert strict(site) == 200


def test_an_audit_that_cannot_be_written_degrades_the_node_until_it_can(site: Site) -> None:
    wait_until_well(site)
    trail = site.data / "audit" / "acceptance"
    trail.rename(trail.with_name("away"))
    trail.touch()
    try:
        site.wait_until(lambda: degraded(site) == ["audit"], "the audit cannot be written")
        assert (health(site)[0], strict(site)) == (200, 503)
        # The part that writes and the one that looks each have their words; either may be first.
        lines = [line for line in told(site)[1] if line.startswith("Degraded: ")]
        assert any(line.endswith("trail cannot be written") or "the audit trail cannot be" in line for line in lines)
    finally:
        trail.unlink()
        trail.with_name("away").rename(trail)
    wait_until_well(site, 75)


def test_a_drop_folder_that_is_gone_degrades_the_node_until_it_is_back(site: Site) -> None:
    wait_until_well(site)
    site.drop_folder.rename(site.folder / "unmounted")
    try:
        site.wait_until(lambda: degraded(site) == ["drop-folder"], "the drop folder is gone")
        assert (health(site)[0], strict(site)) == (200, 503)
    finally:
        (site.folder / "unmounted").rename(site.drop_folder)
    wait_until_well(site)


def test_a_database_that_vanished_degrades_the_node_and_is_a_line_of_status(site: Site) -> None:
    wait_until_well(site)
    database = site.data / "router.db"
    site.wait_until(lambda: bool(list((site.data / "backup").glob("*.db"))), "the file is watched", 40)
    database.rename(site.folder / "router.db")
    try:
        site.wait_until(lambda: "database" in degraded(site), "the database is gone")
        assert (health(site)[0], strict(site)) == (200, 503)
        code, lines = told(site)
        assert (code, lines[0]) == (0, "Node acceptance runs and receives")
        assert "Degraded: the database's file has vanished" in lines
        assert any(line.startswith("the database is missing") for line in lines)
        assert told(site, "--attention")[0] == 1
        document = as_json(site)
        assert (document["running"], document["receiving"], document["alarms"]) == (True, True, None)
        assert not database.exists()
    finally:
        (site.folder / "router.db").rename(database)
    wait_until_well(site, 60)


def test_a_locked_database_holds_up_neither_health_nor_status(site: Site) -> None:
    wait_until_well(site)
    with closing(sqlite3.connect(site.data / "router.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = [threading.Thread(target=_ask, args=(site, "/metrics")) for _ in range(16)]
        for thread in asking:
            thread.start()
        assert health(site)[0] == 200
        code, lines = told(site)
        assert (code, lines[0]) == (0, "Node acceptance runs and receives")
        assert any(line.startswith("Alarms") for line in lines)
        site.wait_until(lambda: "work" in degraded(site), "the work stands still", 45)
        assert (health(site)[0], strict(site)) == (200, 503)
        for thread in asking:
            thread.join(60)
        other.execute("ROLLBACK")
    wait_until_well(site, 60)


def _ask(site: Site, path: str) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", site.node.ports["admin"], timeout=60)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def test_a_database_server_that_hangs_holds_up_nothing_that_needs_no_database(tmp_path: Path) -> None:
    with postgres_server({"fsync": "off", "listen_addresses": ""}) as url:
        site = Site(tmp_path / "site", settings=f'\n[database]\nurl = "{url}"\n')
        try:
            site.start()
            wait_until_well(site)
            folder = Path(url.partition("host=")[2].partition("&")[0]) / "data"
            with halted(*_processes(folder)), ThreadPoolExecutor() as pool:
                asking = [threading.Thread(target=_ask, args=(site, "/metrics")) for _ in range(16)]
                for thread in asking:
                    thread.start()
                time.sleep(0.5)
                for _ in range(5):
                    assert health(site)[0] == 200
                send_all(site.port, make_exam(site, 1, instances=2, side=10).study.files)
                examined = pool.submit(command, "doctor", "--json", "--config", site.config_file)
                code, lines = told(site)
                assert (code, lines[0]) == (0, "Node acceptance runs and receives")
                assert "the database does not answer within 5 s" in lines
                assert any("listens" in line for line in lines)
                assert any(line.startswith("Disk: ") for line in lines)
                assert any(line.endswith(" in incoming/") for line in lines)
                failed, page = examined.result(40), _ask(site, "/metrics")
                assert "router_database_answers 0.0" in page
                assert "router_instances_durable_total 2.0" in page
                assert ("database", "fail") in {(f["subject"], f["verdict"]) for f in json.loads(failed.stdout)}
            for thread in asking:
                thread.join(60)
            wait_until_well(site, 60)
            assert "router_database_answers 1.0" in _ask(site, "/metrics")
            with halted(*_processes(folder)):
                assert site.node.stop(30) == 0
            assert "its database does not hear of it" in site.log
        finally:
            site.stop()


def _processes(data: Path) -> list[int]:
    """The server's."""
    main = int((data / "postmaster.pid").read_text().splitlines()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return [main, *map(int, children)]


def test_below_min_free_no_image_can_be_taken(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", min_free="1000000 GiB")
    try:
        site.start()
        status, found = health(site)
        assert (status, found["receiving"], degraded(site)[0]) == (503, False, "disk")
        code, lines = told(site)
        assert code == 1
        assert lines[0].startswith("Node acceptance runs and does NOT receive: below min_free")
        assert as_json(site)["disk"]["receiving"] is False
    finally:
        site.stop()


def test_an_incoming_folder_that_takes_nothing_is_seen(small: Site) -> None:
    folder = small.data / "incoming" / "acceptance" / "1"
    folder.rename(small.folder / "away")
    small.wait_until(lambda: health(small)[0] == 503, "nothing can be written")
    assert degraded(small) == ["incoming"]
    (small.folder / "away").rename(folder)
    small.wait_until(lambda: health(small)[0] == 200, "it can be written")


def test_a_node_that_stops_takes_no_images_and_says_so_to_its_end(small: Site) -> None:
    port, node = small.node.ports["admin"], small.node
    with halted(*workers_of(small)):
        node.ask_to_stop()
        end = time.monotonic() + 10
        while True:
            began = time.monotonic()
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/health")
                answer = connection.getresponse()
                found = answer.status, [one["what"] for one in json.loads(answer.read())["degraded"]]
            assert time.monotonic() - began < FAST
            if found[0] == 503:
                break
            assert time.monotonic() < end
        assert "node" in found[1]
        code, lines = told(small)
        assert (code, "does NOT receive: the node is stopping" in lines[0]) == (1, True)
    node.ended(35)


# -- not there


def test_after_a_clean_stop_and_after_a_crash_status_tells_what_the_data_folder_tells(small: Site) -> None:
    assert small.node.stop() == 0
    assert not running_file(small).exists()
    code, lines = told(small)
    assert (code, lines[0]) == (1, "Node acceptance does not run")
    assert f"What follows is what the data folder {small.data} tells, not the node" in lines
    assert any(line.startswith("Alarms") for line in lines), "the database is read all the same"
    document = as_json(small)
    assert (document["running"], document["receiving"], document["node"]["presence"]) == (False, False, "stopped")
    warned = command_here("doctor", "--json", "--config", small.config_file)
    assert [one["verdict"] for one in json.loads(warned.stdout) if one["subject"] == "node"] == ["warn"]

    small.node.kill()
    assert running_file(small).exists()
    code, lines = told(small)
    assert (code, lines[0]) == (1, "Node acceptance does not run: it ended without being stopped")
    assert small.node.running
    assert told(small)[0] == 0


def test_a_file_of_a_life_that_is_over_does_not_make_another_program_the_node(small: Site) -> None:
    small.node.kill()
    stale = json.loads(running_file(small).read_bytes())

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"node": "acceptance", "receiving": True, "ok": True, "pid": 1, "started": "x"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        next(one for one in stale["listeners"] if one["name"] == "admin")["port"] = server.server_address[1]
        running_file(small).write_text(json.dumps(stale), encoding="utf-8")
        assert told(small)[0] == 1
        server.shutdown()


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"[", b"null", b'{"node": 5, "listeners": 3}', bytes(range(256))])
def test_a_file_that_does_not_read_is_as_none(site: Site, rubbish: bytes) -> None:
    wait_until_well(site)
    good = running_file(site).read_bytes()
    running_file(site).write_bytes(rubbish)
    try:
        assert told(site)[1][0] == "Node acceptance runs and does NOT receive: it does not listen yet"
    finally:
        running_file(site).write_bytes(good)
    assert told(site)[0] == 0


def test_a_node_that_hangs_runs_and_does_not_receive(site: Site) -> None:
    wait_until_well(site)
    with halted(site.node.number):
        code, lines = told(site)
        assert (code, lines[0]) == (1, "Node acceptance runs and does NOT receive: it does not answer")
        assert as_json(site)["node"]["presence"] == "silent"


def test_a_process_that_holds_the_lock_and_does_not_listen_yet_starts(asleep: Site) -> None:
    handle = lock(asleep.data / "incoming" / "acceptance", "acceptance")
    try:
        code, lines = told(asleep)
    finally:
        os.close(handle)
    assert (code, lines[0]) == (1, "Node acceptance runs and does NOT receive: it does not listen yet")


def test_where_no_node_has_ever_run_nothing_is_made(tmp_path: Path, site: Site) -> None:
    file = tmp_path / "router.toml"
    shutil.copy(site.config_file, file)
    (tmp_path / "keys").symlink_to(site.folder / "keys")
    answer = command_here("status", "--config", file)
    assert (answer.returncode, answer.stderr) == (1, "")
    assert "Node acceptance does not run" in answer.stdout
    assert "the database is missing" in answer.stdout
    assert not (tmp_path / "node").exists()


def test_a_database_that_is_none_is_a_line(asleep: Site) -> None:
    database = asleep.data / "router.db"
    database.rename(asleep.folder / "router.db")
    database.write_bytes(b"this is no database" * 1000)
    try:
        code, lines = told(asleep)
    finally:
        (asleep.folder / "router.db").rename(database)
    assert (code, any("the database is damaged" in line for line in lines)) == (1, True)


def test_a_database_that_others_lock_for_good_is_a_line(asleep: Site) -> None:
    with closing(sqlite3.connect(asleep.data / "router.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE schema SET version = version")
        began = time.monotonic()
        answer = command("status", "--config", asleep.config_file)
        assert time.monotonic() - began < 15
        other.execute("ROLLBACK")
    assert (answer.returncode, answer.stderr) == (1, "")
    assert "the database does not answer within 5 s" in answer.stdout


# -- the configuration file


@pytest.mark.parametrize(
    "faulty",
    [
        pytest.param(lambda text: text + '\n[receive2]\nx = "1"\n', id="unknown table"),
        pytest.param(lambda text: text.replace("[receive]", "[receive]\nsenders = 7"), id="wrong value"),
        pytest.param(lambda text: text.replace('[reports]\nfolder = "drop"', '[reports\nfolder = "drop'), id="no TOML"),
        pytest.param(lambda text: text.replace("USCI", "USCJ"), id="hospital"),
        pytest.param(lambda text: text.replace('name = "cloud"', ""), id="destination without a name"),
        pytest.param(lambda text: text.encode("utf-8").replace("示范".encode(), "示范".encode("gbk")), id="no UTF-8"),
    ],
)
def test_a_faulty_file_is_a_line_and_the_node_is_found(site: Site, faulty: Any) -> None:
    wait_until_well(site)
    good = site.config_file.read_bytes()
    bad = faulty(good.decode("utf-8"))
    site.config_file.write_bytes(bad if isinstance(bad, bytes) else bad.encode("utf-8"))
    try:
        code, lines = told(site)
        assert command_here("queue", "list", "--config", site.config_file).returncode == 2
    finally:
        site.config_file.write_bytes(good)
    assert (code, lines[0]) == (0, "Node acceptance runs and receives")
    assert any(line.startswith("The configuration has faults; the node goes on") for line in lines)
    assert any(line.startswith("Alarms") for line in lines)


def test_a_changed_file_is_a_line_until_the_node_has_read_it(site: Site) -> None:
    wait_until_well(site)
    good = site.config_file.read_text(encoding="utf-8")
    site.config_file.write_text(good + "# changed\n", encoding="utf-8")
    try:
        code, lines = told(site)
        assert code == 0
        assert any("was changed since the node read it: `systemctl reload" in line for line in lines)
        site.node.hang_up()
        site.wait_until(lambda: as_json(site)["notes"] == [], "it is read")
    finally:
        site.config_file.write_text(good, encoding="utf-8")
    site.node.hang_up()
    site.wait_until(lambda: as_json(site)["notes"] == [], "it is as it was")


def test_a_node_is_found_under_its_former_name_and_port(site: Site) -> None:
    wait_until_well(site)
    good = site.config_file.read_text(encoding="utf-8")
    text = good.replace('name = "acceptance"', 'name = "renamed"').replace("[admin]\nport = 0", "[admin]\nport = 1")
    site.config_file.write_text(text, encoding="utf-8")
    try:
        assert told(site)[1][0] == "Node acceptance runs and receives"
    finally:
        site.config_file.write_text(good, encoding="utf-8")


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    assert command_here("status", "--config", tmp_path / "none.toml").returncode == 2


# -- watching, TLS, several nodes


def test_watching_goes_on_through_a_restart_of_the_node(small: Site) -> None:
    log = small.folder / "watch.log"
    with log.open("wb") as out:
        call = [sys.executable, "-m", "router.cli", "status", "--watch", "--config", str(small.config_file)]
        former = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has what it starts in the background ignore it
        watching = subprocess.Popen(call, stdout=out, stderr=out)
        signal.signal(signal.SIGINT, former)
    try:
        small.wait_until(lambda: "runs and receives" in log.read_text("utf-8"), "it is seen")
        small.node.kill()
        small.wait_until(lambda: "does not run" in log.read_text("utf-8"), "its end is seen")
        seen = len(log.read_text("utf-8"))
        assert small.node.running
        small.wait_until(lambda: "runs and receives" in log.read_text("utf-8")[seen:], "it is seen again")
        assert watching.poll() is None
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
        assert "Traceback" not in log.read_text("utf-8")
    finally:
        watching.kill()
        watching.wait()


def test_the_node_is_found_behind_tls_that_asks_for_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = authority.issue("node")
    table = f'\n[admin.tls]\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"\nca = "{authority.certificate}"\n'
    site = Site(tmp_path / "site", settings=table)
    try:
        site.start()
        assert told(site)[1][0] == "Node acceptance runs and receives"
    finally:
        site.stop()


def test_of_several_nodes_its_own_decides_and_the_others_are_shown(server: Server, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, server.new_schema(), 2)
    try:
        site = cluster.site
        second = tmp_path / "node2.toml"
        assert site.node.stop() == 0
        # The other node tries its lock once, to see what it left.
        site.wait_until(lambda: told(site)[1][0] == "Node node1 does not run", "it does not run")
        code, lines = told(site)
        assert code == 1
        assert any(line.startswith("Nodes: node2") for line in lines)
        other = command_here("status", "--config", second)
        assert (other.returncode, other.stdout.splitlines()[0]) == (0, "Node node2 runs and receives")
    finally:
        cluster.stop()
