"""The demo's PACS: it sends studies to the node by C-STORE, and unacknowledged instances again."""

import threading
from collections.abc import Callable, Sequence

from router.config.sections import DicomDestination
from router.dicom.scu.client import Outgoing, StorageClient
from router.errors import TransientError
from router.trial.demo.studies import DemoFile, DemoStudy

_TRIES = 3


class Pacs:
    """Sends to the node's DICOM port. `refused` has the instances that the node did not take, each with the reason."""

    def __init__(self, port: int) -> None:
        self._client = StorageClient(
            DicomDestination(ae_title="ROUTER", calling_ae_title="PACS", host="127.0.0.1", port=port, associations=1)
        )
        self.refused: list[tuple[DemoFile, str]] = []

    def send(self, study: DemoStudy) -> None:
        """Send a study until each of its instances is acknowledged or refused."""
        self.finish(study.files)

    def finish(self, files: Sequence[DemoFile]) -> None:
        """Send these instances; repeat a few times those that were neither acknowledged nor refused."""
        rest, why = list(files), ""
        for _ in range(_TRIES):
            rest, why = self._sent(rest, lambda _: False)
            if not rest:
                return
        self.refused += [(file, why) for file in rest]

    def interrupted(self, study: DemoStudy, after: int, interrupt: Callable[[], None]) -> list[DemoFile]:
        """Send a study; after so many acknowledgements call `interrupt`, which ends the node; return unsent files."""
        ended = False

        def heard(acknowledged: int) -> bool:
            nonlocal ended
            if acknowledged >= after and not ended:
                ended = True
                interrupt()
            return ended

        return self._sent(list(study.files), heard)[0]

    def _sent(self, files: list[DemoFile], heard: Callable[[int], bool]) -> tuple[list[DemoFile], str]:
        """Instances neither acknowledged nor refused, with the reason; ends when `heard` says True at an answer."""
        left, why, ended = dict(enumerate(files)), "no answer", threading.Event()
        outgoing = [
            Outgoing(
                key=n, path=f.path, sop_class=f.sop_class, sop_instance=f.sop_instance,
                transfer_syntax=f.transfer_syntax,
            )
            for n, f in left.items()
        ]  # fmt: skip
        try:
            for result in self._client.send(outgoing, ended.is_set):
                if result.status == 0:
                    del left[result.key]
                    if heard(len(files) - len(left)):
                        ended.set()
                elif result.status is not None:
                    self.refused.append((left.pop(result.key), result.why))
                else:
                    why = result.why
        except TransientError as error:
            why = error.message
        return list(left.values()), why
