"""The alarm about the node's own TLS certificates, of every section that names one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.clock import FakeClock
from router.config.file import parse
from router.events import EventBus
from router.upkeep.certificates import CertificateWatch
from support.certificates import Authority
from support.intake_folder import CONFIG

LIFE = timedelta(days=100)
PLACES = ("[receive]", "[admin]", "[reports.hl7]", "[query]", "[audit] syslog", "DICOM to cloud", "HTTP to cloud")


def text(folder: Path) -> str:
    for place in range(len(PLACES)):
        Authority(folder, "ca", LIFE).issue(f"own{place}")
    tls = [f'tls = {{ certificate = "own{place}.crt", key = "own{place}.key" }}' for place in range(len(PLACES))]
    return f"""{CONFIG}[reports.hl7]
port = 0
{tls[2]}
[receive]
{tls[0]}
[admin]
{tls[1]}
[query]
ae_title = "PACS"
{tls[3]}
[audit.syslog]
host = "127.0.0.1"
{tls[4]}
[[destination]]
name = "cloud"
[destination.dicom]
{tls[5]}
[destination.http]
api_key_file = "k"
signing_key_file = "k"
platform_signing_key_file = "k"
platform_encryption_key_file = "k"
client_certificate_file = "own6.crt"
client_key_file = "own6.key"
"""


@pytest.mark.ends("certificate")
@pytest.mark.fires("certificate")
def test_each_tls_certificate_of_the_node_is_an_alarm_thirty_days_before_its_end_until_it_is_renewed(
    tmp_path: Path,
) -> None:
    clock = FakeClock(datetime.now(UTC) + LIFE - timedelta(days=31))
    bus = EventBus(lambda _: None)
    catalogue = open_catalogue("", tmp_path, bus)
    watch = CertificateWatch(parse(text(tmp_path), base=tmp_path), catalogue, bus, clock)

    def standing() -> dict[str, str]:
        watch.step()
        return {one.subject: one.destination for one in catalogue.alarms.standing() if one.alarm == Alarm.CERTIFICATE}

    assert standing() == {}
    clock.advance(2 * 86_400)
    assert standing() == {f"TLS of {place}": "cloud" if "cloud" in place else "" for place in PLACES}
    (tmp_path / "own0.crt").write_text("half a file")
    assert "TLS of [receive]" in standing(), "the former certificate stays in use"
    for place in range(1, len(PLACES)):
        Authority(tmp_path, "ca", LIFE * 2).issue(f"own{place}")
    assert standing().keys() == {"TLS of [receive]"}
    Authority(tmp_path, "ca", LIFE * 2).issue("own0")
    assert standing() == {}
    catalogue.engine.close_thread()
