"""The console's picture in the README: `python tests/screenshot.py` renews router/docs/images/console.png.

The demo's studies and reports come to a node with the reference platform. Then the platform is killed while exams are
under way, so that the page shows exams that went, one that is held, a breaker that is open and exams that wait for it.
It takes half a minute; Chromium is needed, and a font with Chinese characters.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.crypto.keys import new_folder
from router.events import EventBus
from router.policy.states import State
from router.review.deliveries import Line, Review
from router.trial.demo.orders import ordered
from router.trial.demo.pacs import Pacs
from router.trial.demo.scenes import Scene, acts, cast
from router.trial.demo.stage import Stage, set_up
from router.trial.demo.standing import delivered, expected, held
from router.trial.demo.studies import shipped_studies

PICTURE = Path(__file__).parents[1] / "router" / "docs" / "images" / "console.png"
STUDIES = 14
LONGEST_WAIT = 240  # seconds
WIDTH, HEIGHT = 1100, 770  # pixels
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Exit status 0, or the reason on stderr."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium on the PATH")
    with tempfile.TemporaryDirectory(prefix="screenshot-") as name:
        folder = Path(name)
        new_folder(folder / "keys")
        with set_up(folder, "en") as stage:
            scenes = cast([ordered(study, folder / "ordered") for study in shipped_studies()[:STUDIES]])
            stage.open(frozenset(scene.study.modality for scene in scenes) - {""})
            _until_there_is_something_to_see(stage, scenes)
            _photograph(browser, stage.console, folder)


def _until_there_is_something_to_see(stage: Stage, scenes: Sequence[Scene]) -> None:
    catalogue = open_catalogue("", stage.config.node.data, EventBus())
    review = Review(catalogue, SystemClock())
    pacs = Pacs(stage.node.ports["dicom"])
    early, late = scenes[: STUDIES // 2], scenes[STUDIES // 2 :]

    def listed() -> list[Line]:
        return review.listed([], None, None)

    def come(some: Sequence[Scene], *, first: bool) -> None:
        for act in acts(some, stage.config, pacs.send, first=first):
            act.do()

    try:
        come(scenes, first=True)
        come(early, first=False)
        _wait(lambda: delivered(listed()) >= expected(early) and bool(held(listed(), scenes)), "the first exams go")
        stage.cloud.kill()
        come(late, first=False)
        _wait(lambda: sum(line.delivery.state == State.READY for line in listed()) >= 4, "the others wait")
    finally:
        catalogue.engine.close_thread()


def _wait(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"not within {LONGEST_WAIT} s: {what}")
        time.sleep(0.2)


def _photograph(browser: str, address: str, folder: Path) -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
         f"--window-size={WIDTH},{HEIGHT}", f"--user-data-dir={folder / 'profile'}", f"--screenshot={PICTURE}",
         address],
        check=True, timeout=120, capture_output=True, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip


if __name__ == "__main__":
    main()
