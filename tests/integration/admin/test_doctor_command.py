"""`doctor`: every line right on a sound installation, and each fault found with what to do."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.admin.checks import destinations, host
from router.admin.checks.result import CheckResult, Verdict
from router.catalogue import open_catalogue
from router.clock import FakeClock, SystemClock
from router.config.file import load
from router.config.folders import drop_folders
from router.config.sections import Config, Query
from router.crypto.keys import new_folder
from router.events import EventBus
from support.alarm_receivers import hooked, status
from support.certificates import Authority
from support.dcmtk_pacs import pacs
from support.dicom_peers import free_port
from support.harness import Site, command_here


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("doctor"))
    try:
        site.configure()
        yield site
    finally:
        site.stop()


@pytest.fixture
def config(site: Site) -> Config:
    return load(site.config_file)


def worst(found: list[dict[str, str]], subject: str) -> str:
    verdicts = [Verdict(one["verdict"]) for one in found if one["subject"] == subject]
    return max(verdicts, key=list(Verdict).index)


def test_on_a_sound_installation_nothing_fails(site: Site) -> None:
    answer = command_here("doctor", "--json", "--config", site.config_file)
    found = json.loads(answer.stdout)
    assert (answer.returncode, [one for one in found if one["verdict"] == "fail"]) == (0, [])
    told = {one["subject"] for one in found if one["verdict"] == "ok"}
    assert {"configuration", "cryptography", "data folder", "disk", "drop folder", "database", "keys of cloud",
            "C-ECHO to cloud", "token of cloud", "clock"} <= told  # fmt: skip


def test_piped_each_line_begins_with_its_verdict(site: Site) -> None:
    lines = command_here("doctor", "--config", site.config_file).stdout.splitlines()
    assert {line[:4].strip() for line in lines} <= {"ok", "warn", "fail", ""}
    assert "ok    C-ECHO to cloud" in "\n".join(lines)


def test_a_key_that_others_may_read_fails_with_the_command_that_mends_it(site: Site) -> None:
    key = site.folder / "keys" / "hospital-sign.pem"
    key.chmod(0o644)
    try:
        answer = command_here("doctor", "--json", "--config", site.config_file)
    finally:
        key.chmod(0o600)
    failed = [one for one in json.loads(answer.stdout) if one["verdict"] == "fail"]
    assert answer.returncode == 1
    assert {"keys of cloud", "token of cloud"} == {one["subject"] for one in failed}
    assert all(f"chmod 600 {key}" == one["remedy"] for one in failed)


def test_it_makes_the_token_which_the_service_could_not_and_refuses_one_that_others_may_read(
    site: Site, tmp_path: Path
) -> None:
    token, config = tmp_path / "console", site.config_file.with_name("with-token.toml")
    text = site.config_file.read_text(encoding="utf-8")
    config.write_text(text.replace("[admin]\n", f'[admin]\ntoken_file = "{token}"\n'), encoding="utf-8")
    for mode, verdict in ((0o600, Verdict.OK), (0o600, Verdict.OK), (0o644, Verdict.FAIL)):
        if token.exists():
            token.chmod(mode)
        answer = command_here("doctor", "--json", "--config", config)
        assert worst(json.loads(answer.stdout), "console") == verdict, answer.stdout
    assert len(token.read_text(encoding="ascii").strip()) > 30


def test_a_destination_that_does_not_answer_fails_on_both_channels(site: Site) -> None:
    config_file = site.folder / "elsewhere.toml"
    text = site.config_file.read_text(encoding="utf-8")
    for port in site.platform.ports.values():
        text = text.replace(str(port), str(free_port()))
    config_file.write_text(text, encoding="utf-8")
    answer = command_here("doctor", "--json", "--config", config_file)
    found = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert (worst(found, "C-ECHO to cloud"), worst(found, "token of cloud")) == ("fail", "fail")


@pytest.mark.parametrize(("apart", "verdict"), [(0, Verdict.OK), (100, Verdict.WARN)])
def test_the_clock_is_compared_with_the_platform_s(config: Config, apart: int, verdict: Verdict) -> None:
    clock = FakeClock(SystemClock().now() + timedelta(seconds=apart))
    found = {one.subject: one.verdict for one in destinations.destination(config, config.destination[0], clock)}
    assert found["clock"] == verdict


def test_a_public_key_of_another_private_one_fails(site: Site, config: Config, tmp_path: Path) -> None:
    new_folder(tmp_path / "other")
    public = site.folder / "keys" / "hospital-sign.pub.pem"
    before = public.read_bytes()
    public.write_bytes((tmp_path / "other" / public.name).read_bytes())
    http = config.destination[0].http
    assert http is not None
    try:
        found = list(host.keys(config, config.destination[0], http))
    finally:
        public.write_bytes(before)
    assert [one.verdict for one in found if "is not the public key of" in one.text] == [Verdict.FAIL]


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [(timedelta(0), Verdict.WARN), (timedelta(hours=2), Verdict.FAIL), (-timedelta(days=60), Verdict.OK)],
)
def test_a_certificate_near_its_end_is_told_of(
    config: Config, tmp_path: Path, ahead: timedelta, verdict: Verdict
) -> None:
    tls = Authority(tmp_path, life=timedelta(hours=1)).issue("node")
    given = config.model_copy(update={"receive": config.receive.model_copy(update={"tls": tls})})
    found = list(host.certificates(given, datetime.now(UTC) + ahead))
    assert [one.subject for one in found] == ["TLS certificate of [receive]", "TLS authorities of [receive]"]
    assert {one.verdict for one in found} == {verdict}


def test_a_drop_folder_that_is_not_there_is_no_failure_and_says_so(config: Config, tmp_path: Path) -> None:
    reports = config.reports.model_copy(update={"folder": tmp_path / "none"})
    found = list(host.drop_folder(drop_folders(config.model_copy(update={"reports": reports}))[0]))
    assert found == [CheckResult("drop folder", Verdict.WARN, f"{tmp_path / 'none'} is not there; the node makes it",
                             "see [reports] folder")]  # fmt: skip


def test_too_little_room_is_a_failure(config: Config) -> None:
    receive = config.receive.model_copy(update={"min_free": 2**60})
    found = {one.subject: one.verdict for one in host.data_folder(config.model_copy(update={"receive": receive}))}
    assert found["disk"] == Verdict.FAIL


def _with_alarms(site: Site, text: str) -> Path:
    file = site.folder / "alarms.toml"
    file.write_text(site.config_file.read_text(encoding="utf-8") + text, encoding="utf-8")
    return file


def test_a_test_alarm_goes_by_every_way_and_each_says_whether_it_was_taken(site: Site, tmp_path: Path) -> None:
    program, out = tmp_path / "sms", tmp_path / "out"
    program.write_text(f"#!/bin/sh\ncat > {out}\n")
    program.chmod(0o700)
    with hooked(status(503)) as hook, hooked() as chat:
        target = f"json://127.0.0.1:{chat.port}/s3cret"
        file = _with_alarms(
            site, f'\n[alarms]\nprogram = ["{program}"]\ntargets = ["{target}"]\n[alarms.webhook]\nurl = "{hook.url}"\n'
        )
        answer = command_here("doctor", "--alarm", "--json", "--config", file)
        answer_by_then = command_here("doctor", "--alarm", "--config", file)
    found = {one["subject"]: one["verdict"] for one in json.loads(answer.stdout)}
    assert answer.returncode == 1
    assert found == {
        "test alarm to webhook": "fail", "test alarm to program": "ok", "test alarm to target 1 (json)": "ok"
    }  # fmt: skip
    assert answer_by_then.returncode == 0, "the webhook has recovered"
    assert json.loads(out.read_text(encoding="utf-8"))["title"] == "[acceptance] test of the alarms"
    assert chat.told[0]["title"] == "[acceptance] test of the alarms"
    assert "s3cret" not in answer.stdout + answer.stderr


def test_the_heartbeat_is_tried_with_the_ways_and_says_whether_it_was_taken(site: Site) -> None:
    with hooked(status(404)) as watcher, hooked() as hook:
        file = _with_alarms(
            site, f'\n[alarms]\nheartbeat = {{ url = "{watcher.url}" }}\n[alarms.webhook]\nurl = "{hook.url}"\n'
        )
        answers = [command_here("doctor", "--alarm", "--json", "--config", file) for _ in range(2)]
    first, second = ({one["subject"]: one for one in json.loads(answer.stdout)} for answer in answers)
    assert [answer.returncode for answer in answers] == [1, 0]
    assert [one["test alarm to webhook"]["verdict"] for one in (first, second)] == ["ok", "ok"]
    assert (first["heartbeat"]["verdict"], first["heartbeat"]["text"]) == ("fail", "it answers 404")
    assert "[alarms.heartbeat]" in first["heartbeat"]["remedy"]
    assert second["heartbeat"]["verdict"] == "ok"
    assert watcher.asked == 2, "one call each time"


def test_a_heartbeat_is_no_way_on_which_people_are_told(site: Site) -> None:
    with hooked() as watcher:
        file = _with_alarms(site, f'\n[alarms]\nheartbeat = {{ url = "{watcher.url}" }}\n')
        answer = command_here("doctor", "--alarm", "--json", "--config", file)
    found = {one["subject"]: one["verdict"] for one in json.loads(answer.stdout)}
    assert (answer.returncode, found) == (1, {"alarms out": "fail", "heartbeat": "ok"})


def test_a_test_alarm_without_any_way_fails(site: Site) -> None:
    answer = command_here("doctor", "--alarm", "--config", site.config_file)
    assert answer.returncode == 1
    assert "nobody is told" in answer.stdout


def test_it_says_which_ways_there_are_and_on_which_alarms_do_not_arrive(site: Site) -> None:
    with hooked() as hook:
        file = _with_alarms(site, f'\n[alarms.webhook]\nurl = "{hook.url}"\n')
        config = load(file)
        config.node.data.mkdir(parents=True, exist_ok=True)
        catalogue = open_catalogue("", config.node.data, EventBus())
        catalogue.notifications.note_down("webhook", "it answers 503", datetime.now(UTC))
        found = json.loads(command_here("doctor", "--json", "--config", file).stdout)
        catalogue.notifications.retain([])
        catalogue.engine.close_thread()
    told = [(one["verdict"], one["text"]) for one in found if one["subject"] == "alarms out"]
    assert told[0] == ("ok", "webhook")
    assert told[1][0] == "warn"
    assert "it answers 503" in told[1][1]
    assert hook.asked == 0


def test_a_program_that_others_may_change_fails(site: Site, tmp_path: Path) -> None:
    program = tmp_path / "sms"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    file = _with_alarms(site, f'\n[alarms]\nprogram = ["{program}"]\n')
    found = json.loads(command_here("doctor", "--json", "--config", file).stdout)
    assert worst(found, "alarms out") == "fail"


def test_the_pacs_is_asked_by_c_echo(tmp_path: Path) -> None:
    query = Query.model_validate({"ae_title": "PACS", "port": free_port()})
    [found] = destinations.pacs(query, "ROUTER")
    assert (found.subject, found.verdict) == ("C-ECHO to the PACS of [query]", Verdict.FAIL)
    with pacs(tmp_path, free_port()) as port:
        [found] = destinations.pacs(query.model_copy(update={"port": port}), "ROUTER")
        assert found.verdict is Verdict.OK
        [found] = destinations.pacs(query.model_copy(update={"port": port, "ae_title": "OTHER"}), "ROUTER")
    assert found.verdict is Verdict.FAIL
    assert found.remedy == "the PACS does not answer to this ae_title: correct it in [query]"


def test_doctor_has_a_line_on_the_pacs_where_one_is_configured(site: Site) -> None:
    config_file = site.folder / "asking.toml"
    text = f'{site.config_file.read_text(encoding="utf-8")}\n[query]\nae_title = "PACS"\nport = {free_port()}\n'
    config_file.write_text(text, encoding="utf-8")
    found = json.loads(command_here("doctor", "--json", "--config", config_file).stdout)
    assert worst(found, destinations.PACS) == "fail"
