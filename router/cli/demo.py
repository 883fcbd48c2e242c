"""`demo`: the main job on real input, from nothing."""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from router.catalogue import open_catalogue
from router.cli.tables import console, left, local, show
from router.clock import SystemClock
from router.config import DicomDestination
from router.crypto.keys import new_folder
from router.demo.check import Finding, check
from router.demo.scenes import LEAVES, Act, Scene, cast, play
from router.demo.stage import Stage, set_up
from router.demo.studies import (
    DemoStudy,
    data_beside_checkout,
    derived_uid,
    make_ct_study,
    read_studies,
    shipped_studies,
)
from router.dicom.client import Outgoing, StorageClient
from router.errors import IntegrityError, TransientError
from router.events import Journal
from router.flow.review import Line, Review
from router.model import Channel
from router.states import State

_LONGEST_WAIT_SECONDS = 90
_TOLD_EVERY_SECONDS = 5.0


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the folder with all that was sent and received.")
@click.option("--small", is_flag=True, help="A shorter show: a CT of 20 slices, and ten of the shipped studies.")
def command(keep: bool, small: bool) -> None:
    """The main job on real input: studies by C-STORE, reports by the drop folder, all of it to a reference platform."""
    if keep:
        _run(Path(tempfile.mkdtemp(prefix="router-demo-")), kept=True, small=small)
        return
    with tempfile.TemporaryDirectory(prefix="router-demo-") as folder:
        _run(Path(folder), kept=False, small=small)


def _run(folder: Path, *, kept: bool, small: bool) -> None:
    began = time.monotonic()
    screen = Console(stderr=True)
    screen.print("Preparing keys and studies ...")
    new_folder(folder / "keys")
    scenes = cast(_studies(folder, small=small))
    modalities = frozenset(scene.study.modality for scene in scenes) - {""}
    with set_up(folder, modalities) as stage:
        catalogue = open_catalogue("", stage.config.node.data, Journal())
        review = Review(catalogue, SystemClock())
        try:
            acts = play(scenes, stage.config, _pacs(stage))
            _watch(acts, scenes, review, screen)
            findings = check(stage, scenes)
            _ledger(review, stage, scenes)
        finally:
            catalogue.engine.close_thread()
    _tell(findings, time.monotonic() - began, folder if kept else None)
    if any(finding.faults for finding in findings):
        raise IntegrityError("the demo found faults", hint="run it with --keep and see run.log and platform.log")


def _studies(folder: Path, *, small: bool) -> list[DemoStudy]:
    name, accession = "Zhang^San=张^三", "A2026030200017"
    uid, slices = derived_uid("demo", "chest"), 20 if small else 300
    ct = make_ct_study(folder / "ct", slices, study_uid=uid, patient_id="P0001", name=name, accession=accession)
    shipped = shipped_studies()[-10:] if small else shipped_studies(data_beside_checkout())
    return [*read_studies(ct), *shipped]


def _pacs(stage: Stage) -> "_Pacs":
    destination = DicomDestination(ae_title="ROUTER", calling_ae_title="PACS", host="127.0.0.1", port=stage.node_port)
    return _Pacs(StorageClient(destination))


class _Pacs:
    def __init__(self, client: StorageClient) -> None:
        self._client = client

    def __call__(self, study: DemoStudy) -> None:
        outgoing = [
            Outgoing(n, file.path, file.sop_class, file.sop_instance, file.transfer_syntax)
            for n, file in enumerate(study.files)
        ]
        refused = [result for result in self._client.send(outgoing, lambda: False) if result.status != 0]
        if refused:
            raise IntegrityError(f"the node did not take {len(refused)} instance(s): {refused[0].why}")


# -- while it runs


def _watch(acts: Sequence[Act], scenes: Sequence[Scene], review: Review, screen: Console) -> None:
    """Play every act, then wait until all that is to leave has left; the screen shows the queue all the while."""
    expected = 2 * sum(scene.order in LEAVES for scene in scenes)
    told = time.monotonic()
    with Live(console=screen, transient=True, auto_refresh=False) as live:
        for n, act in enumerate(acts, 1):
            if screen.is_terminal:
                live.update(_screen(review, f"{n}/{len(acts)}  {act.text}", expected), refresh=True)
            elif time.monotonic() - told > _TOLD_EVERY_SECONDS or n in (1, len(acts)):
                told = time.monotonic()
                screen.print(f"{n}/{len(acts)}  {act.text}", highlight=False)
            act.do()
        until = time.monotonic() + _LONGEST_WAIT_SECONDS
        while (done := _delivered(review)) < expected:
            if time.monotonic() > until:
                raise TransientError(f"only {done} of {expected} deliveries are through", hint="run it with --keep")
            if screen.is_terminal:
                live.update(_screen(review, "waiting for the last deliveries", expected), refresh=True)
            elif time.monotonic() - told > _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                screen.print(f"{done} of {expected} deliveries confirmed", highlight=False)
            time.sleep(0.3)


def _delivered(review: Review) -> int:
    return sum(line.delivery.state == State.DELIVERED for line in review.listed([], None, None))


def _screen(review: Review, text: str, expected: int) -> Table:
    lines = review.listed([], None, None)
    counts = Counter((line.delivery.channel, line.delivery.state) for line in lines)
    table = Table(title=text, title_justify="left", box=None)
    table.add_column("")
    for state in State:
        if any(counts[channel, state] for channel in Channel):
            table.add_column(state.value, justify="right")
    for channel in Channel:
        cells = [str(counts[channel, s]) for s in State if any(counts[c, s] for c in Channel)]
        table.add_row(channel.value, *cells)
    done = sum(line.delivery.state == State.DELIVERED for line in lines)
    width = 40 * done // max(expected, 1)
    table.caption = f"[{'=' * width}{' ' * (40 - width)}] {done}/{expected} deliveries confirmed"
    return table


# -- afterwards


def _ledger(review: Review, stage: Stage, scenes: Sequence[Scene]) -> None:
    orders = {scene.exam_id: scene.order for scene in scenes}
    lines = review.listed([], None, None)
    zone = stage.config.node.timezone
    rows = [
        (line.exam_id, line.delivery.channel.value, line.delivery.state.value, f"{line.sent}/{line.selected}",
         local(line.delivery.changed, zone), left(line.slack_seconds), orders[line.exam_id].value)
        for line in sorted(lines, key=lambda one: (one.exam_id, one.delivery.channel))
    ]  # fmt: skip
    columns = ("Exam 检查", "Channel", "State", "Sent", "At", "Left", "What came in which order")
    show("Ledger", columns, rows)
    _show_held(lines)


def _show_held(lines: Sequence[Line]) -> None:
    for line in lines:
        if line.delivery.state == State.HELD:
            click.echo(f"held: {line.exam_id} {line.delivery.channel}: {line.delivery.error}")


def _tell(findings: Sequence[Finding], seconds: float, folder: Path | None) -> None:
    out = console()
    out.print("\n[bold]What happened[/bold]")
    for finding in findings:
        mark = "[red]FAULT[/red]" if finding.faults else "[green]ok[/green]   "
        out.print(f"  {mark} {finding.count:5d}  {finding.text}")
        for fault in finding.faults[:10]:
            out.print(f"           {fault}", markup=False)
    out.print(f"  in {seconds:.0f} s; nothing is left running")
    if folder is not None:
        out.print(f"  everything is in {folder}")
    sys.stdout.flush()
