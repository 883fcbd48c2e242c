from pathlib import Path

import pytest

from router.config.changes import compare, renewed, stamps
from router.config.file import parse
from router.config.sections import KEY_FILES, Config
from router.errors import ConfigurationError

HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""
SENDERS = 'senders = [{ ae_title = "PACS" }]\nallow_plain = true\n'


def config(text: str, base: Path = Path("/etc/router")) -> Config:
    return parse(HOSPITAL + text, base=base)


def cloud(name: str = "cloud", port: int = 104, more: str = "") -> str:
    return f'[[destination]]\nname = "{name}"\n{more}\n[destination.dicom]\nport = {port}\n'


def test_nothing_has_changed_in_the_same_configuration() -> None:
    found = compare(config(cloud()), config(cloud()))
    assert (found.taken, found.waiting, found.added) == ((), (), ())


def test_accounts_are_taken_up_at_once() -> None:
    keys = "".join(f'{name} = "k"\n' for name in ("api_key_file", *KEY_FILES["gm-envelope/1"]))
    http = f'[[destination]]\nname = "cloud"\n[destination.http]\n{keys}'
    before, after = (
        parse(HOSPITAL + f'name = "renmin"\n{http}{more}', base=Path("/etc/router"))
        for more in ("", '[[destination.account]]\nhospital = "renmin"\napp = "renmin-1"\n')
    )
    found = compare(before, after)
    assert (found.taken, found.waiting) == (("destination cloud.account",), ())
    assert found.config.accounts(found.config.destination[0]) == ("renmin",)


def test_what_can_be_taken_up_is_and_the_rest_stays_until_the_restart() -> None:
    running = config('[receive]\nport = 104\n[database]\nurl = "postgresql://a"\n[study]\nstable_after = "1 s"\n')
    wanted = config(
        '[receive]\nport = 105\nmax_associations = 7\n[database]\nurl = "postgresql://b"\n'
        '[study]\nstable_after = "2 s"\n[reports]\npdf_text_check = false\n'
    )
    found = compare(running, wanted)
    assert found.taken == ("receive.max_associations", "reports.pdf_text_check", "study.stable_after")
    assert found.waiting == ("receive.port", "database.url")
    assert (found.config.receive.port, found.config.receive.max_associations) == (104, 7)
    assert (found.config.database, found.config.study) == (running.database, wanted.study)


def test_what_waits_for_a_restart_is_named_each_time_until_then() -> None:
    running, wanted = config(""), config("[admin]\nport = 9\n")
    once = compare(running, wanted)
    assert compare(once.config, wanted).waiting == ("admin.port",)


def test_destinations_are_told_by_name_and_key() -> None:
    running = config(cloud() + cloud("old"))
    wanted = config(cloud(port=105, more='images_within = "5 h"') + cloud("new"))
    found = compare(running, wanted)
    assert found.taken == (
        "destination cloud.images_within", "destination cloud.dicom.port", "destination new (new)",
        "destination old (gone)",
    )  # fmt: skip
    assert found.added == ("new",)
    assert found.config.destination == wanted.destination


def test_a_listener_that_stays_beyond_loopback_keeps_its_senders() -> None:
    running = config(f'[receive]\nhost = "0.0.0.0"\n{SENDERS}')
    with pytest.raises(ConfigurationError, match="restart only") as refused:
        compare(running, config('[receive]\nhost = "127.0.0.1"\n'))
    assert "senders" in refused.value.faults[0]


def test_a_listener_that_moves_to_loopback_with_its_senders_waits_for_the_restart() -> None:
    running = config(f'[receive]\nhost = "0.0.0.0"\n{SENDERS}')
    assert compare(running, config(f'[receive]\nhost = "127.0.0.1"\n{SENDERS}')).waiting == ("receive.host",)


def test_a_certificate_written_anew_is_seen_and_one_that_is_named_anew_is_no_renewal(tmp_path: Path) -> None:
    for name in ("a.crt", "a.key", "ca.crt"):
        (tmp_path / name).write_text("1")
    named = '[receive]\ntls = { certificate = "a.crt", key = "a.key" }\n'
    destination = cloud(more="") + 'tls = { ca = "ca.crt" }\n'
    here = config(named + destination, tmp_path)
    before = stamps(here)
    assert renewed(before, stamps(here)) == ()
    (tmp_path / "a.crt").write_text("22")
    (tmp_path / "ca.crt").write_text("22")
    assert renewed(before, stamps(here)) == ("receive.tls", "destination cloud.dicom.tls")
    assert renewed(before, stamps(config(named + cloud("other"), tmp_path))) == ("receive.tls",)
