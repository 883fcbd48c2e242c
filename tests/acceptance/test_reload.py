"""SIGHUP while a node works: destinations come, go and move, certificates are renewed; nothing is lost or doubled."""

import json
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.config.sections import Tls
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul.tls import client_context
from router.model import Channel
from router.policy.states import State
from router.storage.incoming import IncomingFolder
from support.certificates import Authority
from support.dicom_peers import free_port
from support.harness import Site, SlowCloud, command_here, make_exam, send_all

IMAGES, REPORT = (Channel.IMAGES,), (Channel.REPORT,)
SECOND = '\n[[destination]]\nname = "second"\n[destination.dicom]\nport = {}\n'


class Reloading:
    """A node that receives by TLS and sends images to a cloud of ours; `cloud` and `other` are two of these."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.tls = self.authority.issue("node")
        self.cloud, self.other = SlowCloud(), SlowCloud()
        self.site = Site(
            folder / "site", dicom_port=self.cloud.port, stable_after="300 ms", tls=self.tls,
            accept_empty=["Patient.IdNo"],
        )  # fmt: skip
        self.site.start()
        self.text = self.site.config_file.read_text(encoding="utf-8")

    def stop(self) -> None:
        self.site.stop()
        self.cloud.stop()
        self.other.stop()

    def reload(self, text: str) -> str:
        """Have the node read this; what it says that it did."""
        told = self.told()
        self.site.config_file.write_text(text, encoding="utf-8")
        self.site.node.hang_up()
        self.site.wait_until(lambda: len(self.told()) > len(told), "the node says what it made of it")
        return self.told()[-1]

    def told(self) -> list[str]:
        return [line for line in self.site.log.splitlines() if "configuration read again" in line]

    def certificate_shown(self) -> bytes:
        """What the node shows to a sender."""
        context = client_context(self.tls)
        plain = socket.create_connection(("127.0.0.1", self.site.port))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
            return secured.getpeercert(binary_form=True) or b""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reloading]:
    node = Reloading(tmp_path_factory.mktemp("reload"))
    try:
        yield node
    finally:
        node.stop()


def test_what_is_being_sent_is_finished_where_it_began_and_the_next_goes_to_the_new_address(node: Reloading) -> None:
    site, cloud, other = node.site, node.cloud, node.other
    first, second = make_exam(site, 1, instances=20), make_exam(site, 2, instances=5)
    cloud.pause = 0.05
    send_all(site.port, first.study.files, node.tls)
    site.report(first)
    site.wait_until(lambda: len(cloud.requests_of(first.study)) >= 2, "the first exam is being sent")
    told = node.reload(node.text.replace(f"port = {cloud.port}", f"port = {other.port}"))
    assert "taken up: destination cloud.dicom.port; wants a restart: nothing" in told
    assert site.is_in(State.SENDING, first.id, IMAGES)
    send_all(site.port, second.study.files, node.tls)
    site.report(second)
    site.wait_for(State.DELIVERED, second.id)
    site.wait_for(State.DELIVERED, first.id)
    cloud.pause = 0.0
    assert set(cloud.requests_of(first.study).values()) == {1}
    cloud.assert_has(first.study)
    assert set(other.requests_of(second.study).values()) == {1}
    other.assert_has(second.study)
    assert not other.requests_of(first.study)
    assert not cloud.requests_of(second.study)
    node.reload(node.text)


def test_a_new_destination_gets_what_comes_and_what_is_open_for_one_that_is_gone_is_kept_and_told(
    node: Reloading,
) -> None:
    site, other = node.site, node.other
    draft, later = make_exam(site, 3, instances=2), make_exam(site, 4, instances=2)
    send_all(site.port, draft.study.files, node.tls)
    site.drop(f"{draft.id}.json", draft.json(approved=False))
    site.drop(f"{draft.id}.pdf", draft.pdf(site.folder))
    site.wait_for(State.WAITING, draft.id)
    assert "destination second (new)" in node.reload(node.text + SECOND.format(other.port))
    send_all(site.port, later.study.files, node.tls)
    site.report(later)
    site.wait_until(lambda: len(other.requests_of(later.study)) == 2, "the new destination gets the exam")
    site.wait_until(lambda: _states(site, later.id) == {"cloud": "delivered", "second": "delivered"}, "all is there")

    node.reload(node.text + SECOND.format(free_port()))
    third = make_exam(site, 5, instances=2)
    send_all(site.port, third.study.files, node.tls)
    site.report(third)
    site.wait_until(lambda: _states(site, third.id) == {"cloud": "delivered", "second": "ready"}, "second is down")
    told = node.reload(node.text)
    assert "destination second (gone)" in told
    assert "open deliveries to destinations that are gone are kept and not sent" in told
    status = command_here("status", "--config", site.config_file)
    assert "second (not configured)" in status.stdout
    assert "destination second (gone)" in status.stdout

    node.reload(node.text + SECOND.format(other.port))
    site.wait_until(lambda: _states(site, third.id) == {"cloud": "delivered", "second": "delivered"}, "it is back")
    assert set(other.requests_of(third.study).values()) == {1}
    assert not other.requests_of(draft.study)
    node.reload(node.text)


def test_reports_go_to_the_new_address_once_and_what_was_down_is_asked_at_once(node: Reloading) -> None:
    site = node.site
    platform = f"http://127.0.0.1:{site.platform.ports['http']}"
    assert "destination cloud.http.url" in node.reload(node.text.replace(platform, f"http://127.0.0.1:{free_port()}"))
    exam = make_exam(site, 8, instances=1)
    send_all(site.port, exam.study.files, node.tls)
    site.report(exam)
    site.wait_until(lambda: "no report to cloud" in site.log, "the breaker opens")
    assert site.receipts(exam.id) == []
    node.reload(node.text)
    site.wait_for(State.DELIVERED, exam.id, seconds=5)
    assert len(site.receipts(exam.id)) == 1


def test_a_renewed_certificate_is_shown_to_senders_and_the_report_names_it(node: Reloading) -> None:
    before = node.certificate_shown()
    node.authority.issue("node")
    assert node.certificate_shown() == before
    assert "renewed certificates: receive.tls" in node.reload(node.text)
    after = node.certificate_shown()
    assert after == ssl.PEM_cert_to_DER_cert(_read(node.tls))
    assert after != before
    send_all(node.site.port, make_exam(node.site, 6, instances=1).study.files, node.tls)


def test_a_renewed_authority_of_a_destination_is_taken_up_and_its_breaker_asks_at_once(
    node: Reloading, tmp_path: Path
) -> None:
    site, ours, theirs = node.site, tmp_path / "ca.crt", Authority(tmp_path, "theirs")
    shutil.copy(node.authority.certificate, ours)
    sink, taken = IncomingFolder(tmp_path / "cloud", 0), list[Received | Refused]()
    cloud = StorageServer(sink, admission=Admission(), record=taken.append, tls=_of_server(theirs.issue("cloud")))
    text = (
        node.text
        + SECOND.replace("second", "strict").format(cloud.start("127.0.0.1", 0))
        + f'tls = {{ ca = "{ours}" }}\n'
    )
    try:
        node.reload(text)
        exam = make_exam(site, 7, instances=2)
        send_all(site.port, exam.study.files, node.tls)
        site.report(exam)
        site.wait_until(lambda: "no images to strict" in site.log, "the certificate is not trusted")
        shutil.copy(theirs.certificate, ours)
        told = node.reload(text)
        assert "taken up: no change; renewed certificates: destination strict.dicom.tls" in told
        site.wait_until(lambda: _states(site, exam.id).get("strict") == "delivered", "it is trusted now", seconds=5)
    finally:
        cloud.stop(1)
        node.reload(node.text)
    assert len([one for one in taken if isinstance(one, Received)]) == 2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('api_key_file = "keys/api.key"', 'api_key_file = "keys/none.key"', "none.key"),
        ('url = "http://127', 'url = "ftp://127', "destination[0].http.url"),
        ("accept_empty = [", 'accept_empty = ["Patient.Nothing", ', "Patient.Nothing"),
        ('certificate = "', 'certificate = "/none', "tls"),
    ],
)
def test_a_configuration_with_faults_changes_nothing_and_says_so_each_time(
    node: Reloading, before: str, after: str, said: str
) -> None:
    changed = node.text.replace('stable_after = "300 ms"', 'stable_after = "1 h"').replace(before, after)
    for _ in range(2):
        told = node.reload(changed)
        assert "it has faults and changes nothing" in told
        assert said in told
    assert "taken up: no change" in node.reload(node.text)


def test_the_report_is_in_the_audit_trail_and_in_status_until_the_node_is_started_anew(node: Reloading) -> None:
    node.reload(node.text.replace('rescan = "1 s"', 'rescan = "2 s"'))
    status = json.loads(command_here("status", "--json", "--config", node.site.config_file).stdout)
    [one] = status["configuration"]
    assert one["node"] == "acceptance"
    assert "taken up: no change; wants a restart: reports.rescan" in one["text"]
    trail = node.site.data / "audit" / "acceptance"
    node.site.wait_until(
        lambda: any("wants a restart: reports.rescan" in f.read_text("utf-8") for f in trail.glob("*.jsonl")), "audited"
    )
    assert node.site.node.stop() == 0
    assert node.site.node.running
    status = json.loads(command_here("status", "--json", "--config", node.site.config_file).stdout)
    assert status["configuration"] == []


def _states(site: Site, exam: str) -> dict[str, str]:
    lines = (line.delivery for line in site.lines(exam))
    return {one.destination: one.state for one in lines if one.channel == Channel.IMAGES}


def _of_server(tls: Tls) -> Tls:
    return tls.model_copy(update={"ca": None})


def _read(tls: Tls) -> str:
    assert tls.certificate is not None
    return tls.certificate.read_text()
