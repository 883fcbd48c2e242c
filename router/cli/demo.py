"""`demo`: the main job on real input, from nothing."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.live import Live
from rich.text import Text

from router.cli.opened import reading
from router.cli.speech import say, tongue
from router.cli.tables import console, left, local, show
from router.clock import SystemClock
from router.crypto.keys import new_folder
from router.errors import IntegrityError, RouterError, TransientError
from router.review.deliveries import Line, Review
from router.text.decoding import shown
from router.text.language import DEFAULT, N_, SOURCE, tongue_of
from router.trial.demo.check import Finding, check
from router.trial.demo.orders import ordered
from router.trial.demo.scenes import Scene, cast
from router.trial.demo.stage import Stage, set_up
from router.trial.demo.standing import delivered, expected, remainder
from router.trial.demo.story import Story
from router.trial.demo.studies import DemoStudy, derived_uid, make_ct_study, read_studies, shipped_studies

_TERMINATED = 128 + signal.SIGTERM
_MOST_FAULTS = 10
_BAR = 40  # characters
_SMALL = 10  # studies
_LOOK = N_("see `{command} --config {config}`, {log} and {platform_log}")
_CONSOLE = N_("the console: {address} (for as long as the node runs: `scripts/run --config {config}`)")
_CONSOLE_HERE = N_("the console: {address}; press Enter to end the node and the platform")
_COLUMNS = N_(("Exam", "ExamId", "Channel", "State", "Sent", "At", "Left", "What came in which order"))


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the folder with all that was sent and received; on a terminal the "
              "node and its console run until Enter.")  # fmt: skip
@click.option("--small", is_flag=True, help="A shorter show: a CT of 20 slices, and ten of the shipped studies.")
@click.option("--also", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="FOLDER",
              help="Send the DICOM files of this folder, too.")  # fmt: skip
@click.option("--verbose", is_flag=True, help="Show the ledger: each delivery, when and after what order of arrival.")
@click.pass_context
def command(context: click.Context, keep: bool, small: bool, also: Path | None, verbose: bool) -> None:
    """The main job on real input: studies by C-STORE, reports by the drop folder, all of it to a reference platform.

    One report names another patient, the platform and the node are killed and come back, and everything is delivered:
    each byte and each receipt is checked. Whole DICOM files are sent as they are; an image that names nobody gets an
    accession number first, as a worklist gives it. Exit status 0 only when all of that holds; otherwise the folder with
    the logs is kept.
    """
    language = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    context.obj = tongue_of(DEFAULT if language.startswith("zh") else SOURCE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    folder = Path(tempfile.mkdtemp(prefix="router-demo-"))
    kept = keep
    try:
        _run(folder, lambda: _studies(folder, also, small=small), kept=keep, verbose=verbose)
    except (RouterError, OSError):
        kept = True
        raise
    finally:
        if kept:
            text = tongue().say(N_("everything is kept in {folder}"), folder=folder)
            console().print(Text(text), soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _studies(folder: Path, also: Path | None, *, small: bool) -> list[DemoStudy]:
    name, accession = "Zhang^San=张^三", "A2026030200017"
    uid, slices = derived_uid("demo", "chest"), 20 if small else 300
    ct = make_ct_study(folder / "ct", slices, study_uid=uid, patient_id="P0001", name=name, accession=accession)
    shipped = shipped_studies(also)
    fewer = len(shipped_studies()) - _SMALL if small else 0
    return [ordered(study, folder / "ordered") for study in (*read_studies(ct), *shipped[fewer:])]


def _run(folder: Path, studies: Callable[[], list[DemoStudy]], *, kept: bool, verbose: bool) -> None:
    new_folder(folder / "keys")
    with _Screen() as screen, set_up(folder, tongue().language) as stage:
        screen.tell(N_("a node and the reference platform start on this machine"))
        scenes = cast(studies())
        screen.wanted = expected(scenes)
        stage.open(frozenset(scene.study.modality for scene in scenes) - {""})
        with reading(stage.config) as catalogue:
            review = Review(catalogue, SystemClock())
            _play(stage, scenes, review, screen)
            findings = check(stage, scenes)
            screen.findings(findings)
            if verbose:
                _ledger(review, stage, scenes)
            if kept:
                _stay(stage, screen)
    if any(finding.faults for finding in findings):
        raise IntegrityError("the demo found faults", hint=f"see run.log and platform.log in {folder}")
    screen.tell(N_("nothing is left running"))


def _play(stage: Stage, scenes: Sequence[Scene], review: Review, screen: "_Screen") -> None:
    """Play the story. Unless it ends well, print each failure with its reason and raise TransientError."""

    def listed() -> list[Line]:
        return review.listed([], None, None)

    story = Story(
        stage=stage, scenes=scenes, listed=listed, tell=screen.tell, watch=screen.watch if screen.is_terminal else None
    )
    whole = story.play()
    for instance, why in story.refused:
        screen.tell(N_("not taken by the node: instance {instance}: {why}").format(instance=instance, why=why))
    if whole and not story.refused:
        return
    left_here = remainder(listed(), scenes)
    for one in left_here[:_MOST_FAULTS]:
        text = N_("did not go: {name} {channel}: {why}")
        screen.tell(text.format(name=one.name, channel=one.channel, why=one.why))
    look = f"scripts/queue explain {left_here[0].name}" if left_here else "scripts/queue list"
    logs = {"log": stage.node.log, "platform_log": stage.cloud.log}
    screen.tell(_LOOK.format(command=look, config=stage.config_file, **logs))
    why = story.trouble or "the node did not take everything"
    raise TransientError(f"{len(left_here)} of {expected(scenes)} deliveries did not go", hint=why)


def _stay(stage: Stage, screen: "_Screen") -> None:
    """Print where to look; on a terminal keep the console running until Enter."""
    screen.tell(N_("the ledger: `scripts/queue list --config {config}`").format(config=stage.config_file))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        screen.tell(_CONSOLE.format(address=stage.console, config=stage.config_file))
        return
    screen.tell(_CONSOLE_HERE.format(address=stage.console))
    sys.stdin.readline()


def _ledger(review: Review, stage: Stage, scenes: Sequence[Scene]) -> None:
    orders, zone = {scene.exam_id: scene.order for scene in scenes}, stage.config.node.timezone
    rows = [
        (f"e{line.delivery.exam}", line.exam_id, say(line.delivery.channel.value), say(line.delivery.state.value),
         f"{line.sent}/{line.selected}", local(line.delivery.changed, zone), left(line.slack_seconds),
         say(orders[line.exam_id].value))
        for line in sorted(review.listed([], None, None), key=lambda one: (one.exam_id, one.delivery.channel))
    ]  # fmt: skip
    show(N_("Ledger"), _COLUMNS, rows)


class _Screen:
    """The story, line by line; on a terminal with a bar below it: deliveries of those `wanted`."""

    def __init__(self) -> None:
        self.wanted = 0
        self._began = time.monotonic()
        self._out = console()
        self._live = Live(console=self._out, transient=True, auto_refresh=False, redirect_stdout=False,
                          redirect_stderr=False) if self._out.is_terminal else None  # fmt: skip

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        """A line with the seconds that have passed."""
        self._print(f"{time.monotonic() - self._began:3.0f} s  ", line)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody may watch."""
        return self._live is not None

    def watch(self, lines: Sequence[Line]) -> None:
        """The queue as it is, on a terminal."""
        if self._live is None:
            return
        done = delivered(lines)
        bar = "=" * (_BAR * done // max(self.wanted, 1))
        self._live.update(Text(f"       [{bar:{_BAR}}] {done}/{self.wanted}", "dim"), refresh=True)

    def findings(self, found: Sequence[Finding]) -> None:
        """Each check, with what is wrong."""
        if self._live is not None:
            self._live.stop()
        for finding in found:
            self._print("FAULT  " if finding.faults else "   ok  ", finding.text)
            for fault in finding.faults[:_MOST_FAULTS]:
                self._print("           ", fault)

    def _print(self, mark: str, line: str) -> None:
        self._out.print(Text(shown(f"{mark}{tongue().told(line)}")), soft_wrap=True)
        sys.stdout.flush()
