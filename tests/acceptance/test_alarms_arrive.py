"""Alarms of a node as a process: through kill -9 and a dead receiver, by a reload; and the heartbeat."""

import json
import shutil
from pathlib import Path

from support.alarm_receivers import TAKEN, Answer, hooked, status
from support.harness import Site, command_here

WEBHOOK = '\n[alarms.webhook]\nurl = "{}"\n'
HEARTBEAT = '\n[alarms.heartbeat]\nurl = "{}"\nevery = "200 ms"\n'


def _kinds(told: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(one["alarm"], one["state"]) for one in told]


def test_an_alarm_arrives_after_the_node_was_killed_while_its_receiver_was_down(tmp_path: Path) -> None:
    answers: list[Answer] = [status(503)]
    with hooked(judge=lambda _: answers[0]) as hook, hooked() as watcher:
        site = Site(tmp_path / "site", settings=WEBHOOK.format(hook.url) + HEARTBEAT.format(watcher.url))
        try:
            site.start()
            site.wait_until(lambda: watcher.asked > 1, "the heartbeat calls")
            shutil.move(site.drop_folder, tmp_path / "gone")
            site.wait_until(lambda: hook.asked > 0, "the alarm is tried")
            site.wait_until(lambda: "Alarms cannot be delivered: webhook since" in _status(site), "status says so")
            site.node.kill()
            answers[0] = TAKEN
            assert site.node.running
            site.wait_until(lambda: bool(hook.told), "the alarm arrives")
            shutil.move(tmp_path / "gone", site.drop_folder)
            site.wait_until(lambda: len(hook.told) == 2, "its end arrives")
            assert _kinds(hook.told) == [("drop-folder", "standing"), ("drop-folder", "cleared")]
            assert hook.told[0]["title"] == "[acceptance] alarm: drop-folder (drop folder)"
            found = json.loads(command_here("status", "--json", "--config", site.config_file).stdout)
            assert found["undelivered"] == []
        finally:
            site.stop()


def _status(site: Site) -> str:
    return command_here("status", "--config", site.config_file).stdout


def test_a_reload_takes_up_another_receiver_which_gets_what_waited(tmp_path: Path) -> None:
    with hooked(judge=lambda _: status(503)) as dead, hooked() as hook:
        site = Site(tmp_path / "site", settings=WEBHOOK.format(dead.url))
        try:
            site.start()
            text = site.config_file.read_text(encoding="utf-8")
            site.config_file.write_text("[node", encoding="utf-8")
            site.node.hang_up()
            site.wait_until(lambda: dead.asked > 0, "the alarm is tried")
            site.config_file.write_text(text.replace(dead.url, hook.url), encoding="utf-8")
            site.node.hang_up()
            site.wait_until(lambda: len(hook.told) == 2, "alarm and end arrive")
            assert _kinds(hook.told) == [("settings", "standing"), ("settings", "cleared")]
            taken = "taken up: alarms.webhook; wants a restart: nothing"
            site.wait_until(lambda: taken in site.log, "the node says that it took it up")
            site.config_file.write_text(text.replace(dead.url, "http://hospital.example/s3cret"), encoding="utf-8")
            site.node.hang_up()
            site.wait_until(lambda: len(hook.told) == 3, "a fault leaves the former way in use")
            assert "s3cret" not in site.log + json.dumps(hook.told)
        finally:
            site.stop()
