"""README's first exam, typed line by line as it stands; only the ports are others, and the study is quiet sooner."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from router.trial.demo.report import report_pdf
from router.trial.demo.studies import derived_uid, make_ct_study
from support.dicom_peers import free_port, listens, tool, wait_until

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text().split("## A first exam")[1].split("\n## ")[0]
STUDY = derived_uid("a newcomer's study")


class Terminal:
    """A shell whose lines are typed one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": str(folder)}
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def type(self, line: str) -> tuple[int, str]:
        """Exit status and output of a line."""
        assert self._shell.stdin
        assert self._shell.stdout
        print(f"{line}\nprintf '\\n%s %s\\n' ended: $?", file=self._shell.stdin, flush=True)
        output: list[str] = []
        for printed in self._shell.stdout:
            if printed.startswith("ended: "):
                return int(printed.split()[1]), "".join(output)
            output.append(printed)
        raise AssertionError(f"the shell ended: {''.join(output)}")

    def ok(self, line: str) -> str:
        status, output = self.type(line)
        assert status == 0, (line, output)
        return output

    def end(self) -> None:
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        for end in (self._shell.stdin, self._shell.stdout):
            assert end
            end.close()


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    for name in ("conf", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    opened = Terminal(folder)
    try:
        yield opened
    finally:
        opened.end()


def lines_typed() -> list[str]:
    """The lines of the section's block, without their comments."""
    return [re.split(r"\s+#", line)[0].strip() for line in SECTION.splitlines() if line.startswith("    ")]


def follow(there: Terminal, ports: dict[str, str]) -> None:
    """Type the lines; after each of them do what its comment asks of a person."""
    for line in lines_typed():
        typed = re.sub("|".join(ports), lambda found: ports[found[0]], line)
        if line.startswith("scripts/platform"):
            typed = typed.replace(
                " &", f" --dicom-port {ports['11113']} --http-port {ports['8443']} >platform.log 2>&1 &"
            )
        elif line.endswith("&"):
            (there.folder / "ready.log").touch()  # the shell makes it after it has answered
            typed = typed.replace(" &", " >ready.log &")
        output = there.ok(typed)
        if "conf/router.toml" in line:
            copied = there.folder / "router/conf/router.toml"
            text = re.sub("|".join(ports), lambda found: ports[found[0]], copied.read_text())
            copied.write_text(re.sub(r'(?m)^stable_after = "[^"]*"', 'stable_after = "2 s"', text))
        elif line.startswith("scripts/platform"):
            wait_until(lambda: listens(int(ports["8443"])), 60)
        elif line.startswith("scripts/run"):
            wait_until(lambda: "ready" in (there.folder / "ready.log").read_text(), 60)
        elif line.startswith("scripts/doctor"):
            assert not re.search(r"^\s*fail", output, re.MULTILINE), output
        elif line.startswith("cp conf/exam.json"):
            fill_in(there.folder / "e1.json")
        elif line.startswith("scripts/queue list"):
            wait_until(lambda: states(there) == {"held"}, 240)


def fill_in(exam: Path) -> None:
    approved = datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(minutes=1)
    values = {"StudyInstanceUIDs": f'["{STUDY}"]', "ApproveTime": f'"{approved:%Y-%m-%d %H:%M:%S}"'}
    text = exam.read_text()
    for key, value in values.items():
        text, count = re.subn(rf'(?s)("{key}": )(\[.*?\]|".*?")', rf"\g<1>{value}", text)
        assert count == 1, key
    exam.write_text(text)


def test_the_first_exam_of_the_readme_goes_as_it_is_written(tmp_path: Path) -> None:
    tool("dcmsend")
    made = make_ct_study(tmp_path / "made", 1, study_uid=STUDY, patient_id="P9", name="Li^Si=李^四", accession="A9")
    for number, path in enumerate(made):
        shutil.move(path, tmp_path / f"{number}.dcm")
    report_pdf(tmp_path / "e1.pdf", hospital="示范医院", patient_name="张三", exam_id="V20240506077_CT-CHEST-01",
               accession_number="20240506CT0123")  # fmt: skip
    ports = {each: str(free_port()) for each in ("11112", "11113", "8080", "8443")}
    with terminal(tmp_path) as there:
        follow(there, ports)
        compare, resolve = (re.search(rf"`(scripts/queue {word} [^`]*)`", SECTION) for word in ("compare", "resolve"))
        assert compare is not None
        assert resolve is not None
        assert "李" in there.ok(compare[1])
        there.ok(resolve[1] + " --yes")
        wait_until(lambda: states(there) == {"delivered"}, 120)
    assert list((tmp_path / "router/platform/exams").rglob("report.pdf"))


def states(there: Terminal) -> set[str]:
    return {each["state"] for each in json.loads(there.ok("scripts/queue list --json"))}
