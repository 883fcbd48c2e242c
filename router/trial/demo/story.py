"""The demo's story: studies and reports come, one patient is wrong, platform and node are killed, and all arrives."""

import time
from collections.abc import Callable, Sequence

from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Line
from router.storage.incoming import count_in
from router.text.language import N_
from router.trial.demo.pacs import Pacs
from router.trial.demo.scenes import Order, Scene, acts
from router.trial.demo.stage import Program, Stage
from router.trial.demo.standing import delivered, expected, held, patience

_LOOK_SECONDS = 0.2
_COME = N_(
    "{studies} studies of {images} images come by C-STORE, {reports} reports by the drop folder, in different orders"
)
_HELD = N_("a report names another patient than its images: e{exam} is held: {why}")
_PLATFORM_KILLED = N_("the platform is killed after {done} of {wanted} deliveries; studies and reports go on coming")
_PLATFORM_BACK = N_("the platform is back; deliveries that have waited for it: {waiting}")
_NODE_KILLED = N_("the node is killed (kill -9) while a CT comes: {acknowledged} of {images} images are acknowledged")
_NODE_BACK = N_("the node is back; the PACS has sent the rest: {images}")
_ALL = N_("all {deliveries} deliveries are confirmed by the platform")
_NOT_HELD = N_("the report with another patient's id is not held")
_STUCK = N_("nothing moves any more")
_ENDED = N_("the {program} process has ended by itself")

Tell = Callable[[str], None]
Watch = Callable[[Sequence[Line]], None]


class Story:
    """Plays the scenes; the first is the study during which the node is killed.

    `tell` gets a line for each step; `watch`, where there is one, the queue now and then. `trouble` says why the story
    ended early.
    """

    def __init__(
        self, stage: Stage, scenes: Sequence[Scene], listed: Callable[[], list[Line]], tell: Tell, watch: Watch | None
    ) -> None:
        self._stage = stage
        self._scenes = scenes
        self._listed = listed
        self._tell = tell
        self._watch = watch
        self._seen = 0.0
        self._pacs = Pacs(stage.node.ports["dicom"])
        self.trouble = ""

    @property
    def refused(self) -> list[tuple[str, str]]:
        """SOP instance UIDs that the node did not take, each with the reason."""
        return [(file.sop_instance, why) for file, why in self._pacs.refused]

    def play(self) -> bool:
        """Play the story; whether it came to its end: everything that should leave has left."""
        rest = self._scenes[1:]
        early, late = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        reports = sum(scene.order != Order.NO_REPORT for scene in rest)
        images = sum(len(scene.study.files) for scene in rest)
        self._tell(_COME.format(studies=len(rest), images=images, reports=reports))
        self._act(rest, first=True)
        self._act(early, first=False)
        if not (self._one_is_held() and self._platform_is_killed(late, max(expected(early) // 4, 1))):
            return False
        self._node_is_killed(self._scenes[0])
        wanted = expected(self._scenes)
        if not self._until(lambda lines: delivered(lines) >= wanted):
            return False
        self._tell(_ALL.format(deliveries=wanted))
        return True

    def _one_is_held(self) -> bool:
        if not self._until(lambda lines: len(held(lines, self._scenes)) == len(Channel), _NOT_HELD):
            return False
        line = held(self._listed(), self._scenes)[0]
        self._tell(_HELD.format(exam=line.delivery.exam, why=line.delivery.error))
        return True

    def _platform_is_killed(self, late: Sequence[Scene], after: int) -> bool:
        if not self._until(lambda lines: delivered(lines) >= after):
            return False
        self._stage.cloud.kill()
        self._tell(_PLATFORM_KILLED.format(done=delivered(self._listed()), wanted=expected(self._scenes)))
        self._act(late, first=False)
        noticed = self._until(lambda lines: _waiting(lines) > 0, running=(self._stage.node,))
        waiting = _waiting(self._listed())
        self._stage.start_platform()
        self._tell(_PLATFORM_BACK.format(waiting=waiting))
        return noticed

    def _node_is_killed(self, scene: Scene) -> None:
        study = scene.study
        rest = self._pacs.interrupted(study, len(study.files) // 2, self._stage.node.kill)
        acknowledged = len(study.files) - len(rest)
        self._tell(_NODE_KILLED.format(acknowledged=acknowledged, images=len(study.files)))
        self._stage.start_node()
        self._pacs.finish(rest)
        self._tell(_NODE_BACK.format(images=len(rest)))
        self._act([scene], first=False)

    def _act(self, scenes: Sequence[Scene], *, first: bool) -> None:
        for act in acts(scenes, self._stage.config, self._pacs.send, first=first):
            self._glance()
            act.do()

    def _glance(self) -> None:
        """Show the queue to the watcher, if there is one, at intervals."""
        if self._watch is not None and time.monotonic() - self._seen > _LOOK_SECONDS:
            self._watch(self._listed())
            self._seen = time.monotonic()

    def _until(
        self, wanted: Callable[[Sequence[Line]], bool], otherwise: str = _STUCK,
        running: Sequence[Program] | None = None,
    ) -> bool:  # fmt: skip
        """Wait; False, with `trouble`, as soon as nothing moves any more or a needed program has ended."""
        programs = (self._stage.node, self._stage.cloud) if running is None else running
        signs, changed = None, time.monotonic()
        while not wanted(lines := self._listed()):
            self._glance()
            if (latest := self._signs(lines)) != signs:
                signs, changed = latest, time.monotonic()
            ended = next((one.name for one in programs if not one.runs), "")
            if ended or time.monotonic() - changed > patience(lines, self._scenes):
                self.trouble = _ENDED.format(program=ended) if ended else otherwise
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _signs(self, lines: Sequence[Line]) -> object:
        """Values that change while something moves."""
        config = self._stage.config
        reports = sum(1 for path in config.reports.folder.iterdir() if path.is_file())
        moves = [(line.delivery.id, line.delivery.state, line.delivery.changed, line.sent) for line in lines]
        return reports, count_in(config.node.data / "incoming"), moves


def _waiting(lines: Sequence[Line]) -> int:
    return sum(line.delivery.state in (State.READY, State.SENDING, State.DEFERRED) for line in lines)
