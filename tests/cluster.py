"""Several nodes as processes, on one database and one data folder."""

from collections.abc import Sequence
from pathlib import Path

from harness import OURS, Process, Site

LEASE = "1 s"


class Cluster:
    """The site's own node, whose name is `node1` and which `program` runs, and further ones. `stop` leaves nothing
    running."""

    def __init__(
        self, folder: Path, url: str, count: int, stable_after: str = "500 ms", program: Sequence[str] = OURS
    ) -> None:
        settings = f'\n[database]\nurl = "{url}"\n'
        self.site = Site(folder, stable_after=stable_after, settings=settings, program=program)
        self.site.configure()
        text = self.site.config_file.read_text(encoding="utf-8")
        self.site.config_file.write_text(_named(text, 1), encoding="utf-8")
        self.further: list[Process] = []
        try:
            assert self.site.node.running
            for number in range(2, count + 1):
                config = folder / f"node{number}.toml"
                config.write_text(_named(text, number), encoding="utf-8")
                self.further.append(Process(folder / f"node{number}.log", "run", "--config", config))
        except BaseException:
            self.stop()
            raise

    @property
    def ports(self) -> list[int]:
        """Where each node takes C-STORE."""
        return [self.site.port, *(node.ports["dicom"] for node in self.further)]

    def waiting(self, number: int) -> int:
        """How many instances a node has acknowledged, as files, and not catalogued."""
        return len(list((self.site.data / "incoming" / f"node{number}").rglob("*.dcm")))

    def stop(self) -> None:
        self.site.stop()
        for node in self.further:
            if node.running:
                node.kill()


def _named(text: str, number: int) -> str:
    return text.replace('name = "acceptance"', f'name = "node{number}"\nlease = "{LEASE}"')
