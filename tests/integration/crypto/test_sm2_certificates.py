"""SM2 certificates of OpenSSL: read strictly, chained to a CA, in key files and rings; requests that it accepts."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.admin.checks.host import certificates
from router.admin.checks.result import Verdict
from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.cli.keys import command
from router.clock import FakeClock
from router.config.file import parse as parse_config
from router.crypto import der, keys
from router.crypto.envelope import Message
from router.crypto.ring import load_ring
from router.crypto.sm2_certificates import Certificate, Use, Validity, name_of, parse, shown, verified
from router.errors import ConfigurationError, DestinationDown, InvalidData
from router.events import Event, EventBus, Kind
from router.forward.credentials import KeyFiles
from router.forward.profiles import load_profile
from router.upkeep.certificates import CertificateWatch
from support.sm2_authority import ENCRYPT, ID, SIGN, Sm2Authority, new_key, openssl

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ca")


@pytest.fixture(scope="module")
def root(folder: Path) -> Sm2Authority:
    return Sm2Authority(folder)


@pytest.fixture(scope="module")
def between(folder: Path, root: Sm2Authority) -> Sm2Authority:
    return Sm2Authority(folder, "between", root, ",pathlen:0")


@pytest.fixture(scope="module")
def leaf(root: Sm2Authority) -> Path:
    return root.issue("hospital")


@pytest.fixture(scope="module")
def encrypting(between: Sm2Authority) -> Path:
    return between.issue("platform-encrypt", ENCRYPT)


def read(path: Path) -> Certificate:
    return keys.certificates_in(path)[0]


def body(path: Path) -> bytes:
    return base64.b64decode("".join(path.read_text().splitlines()[1:-1]))


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    path.chmod(0o600)
    return path


def test_every_part_of_a_certificate_is_what_openssl_says(leaf: Path, folder: Path) -> None:
    found = read(leaf)
    assert shown(found.subject) == "C=CN, O=示例医院, CN=hospital"
    assert shown(found.issuer) == "C=CN, O=示例CA, CN=root"
    serial = openssl("x509", "-in", leaf, "-noout", "-serial").decode().strip().removeprefix("serial=")
    assert f"{found.serial:X}" == serial.lstrip("0")
    ends = openssl("x509", "-in", leaf, "-noout", "-enddate").decode().strip().removeprefix("notAfter=")
    assert found.validity.ends == datetime.strptime(ends, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert found.validity.ends - found.validity.begins == 365 * DAY
    assert found.key == keys.load_private(folder / "hospital.key").public == keys.load_public(leaf)
    assert (found.usages, found.is_ca, found.path) == (frozenset({"digitalSignature", "nonRepudiation"}), False, None)


def test_a_certificate_in_der_is_read_too(leaf: Path, tmp_path: Path) -> None:
    openssl("x509", "-in", leaf, "-outform", "DER", "-out", tmp_path / "a.cer")
    assert keys.certificates_in(tmp_path / "a.cer") == keys.certificates_in(leaf)
    assert keys.load_public(tmp_path / "a.cer") == keys.load_public(leaf)


def test_a_chain_leads_to_a_ca_of_the_file_directly_or_by_those_between(
    root: Sm2Authority, between: Sm2Authority, leaf: Path, encrypting: Path
) -> None:
    anchors, middle = keys.load_authorities(root.certificate), read(between.certificate)
    assert verified([read(leaf)], anchors, Use.SIGN) == read(leaf).validity
    chain = [read(encrypting), middle]
    assert verified(chain, anchors, Use.ENCRYPT).ends == read(encrypting).validity.ends
    assert verified([read(encrypting)], [middle], Use.ENCRYPT) == read(encrypting).validity
    with pytest.raises(InvalidData, match="its issuer is C=CN, O=示例CA, CN=between"):
        verified([read(encrypting)], anchors, Use.ENCRYPT)


def test_a_key_holds_no_longer_than_the_cas_above_it(root: Sm2Authority) -> None:
    long = read(root.issue("long", days=9999))
    anchors = keys.load_authorities(root.certificate)
    assert verified([long], anchors, Use.SIGN) == Validity(
        max(long.validity.begins, anchors[0].validity.begins), anchors[0].validity.ends
    )


def test_who_is_no_ca_signs_nothing(
    root: Sm2Authority, between: Sm2Authority, leaf: Path, folder: Path, tmp_path: Path
) -> None:
    anchors = keys.load_authorities(root.certificate)
    impostor = Sm2Authority(tmp_path, "root")
    with pytest.raises(InvalidData, match="no CA of the CA file has signed it"):
        verified([read(impostor.issue("hospital"))], anchors, Use.SIGN)
    # A leaf that signs another one, and a CA below one that allows none below.
    of_leaf = Sm2Authority.__new__(Sm2Authority)
    of_leaf.folder, of_leaf.name, of_leaf.key, of_leaf.certificate = tmp_path, "leaf", folder / "hospital.key", leaf
    with pytest.raises(InvalidData, match="no CA"):
        verified([read(of_leaf.issue("child")), read(leaf)], anchors, Use.SIGN)
    deeper = Sm2Authority(tmp_path, "deeper", between)
    chain = [read(deeper.issue("deep")), read(deeper.certificate), read(between.certificate)]
    with pytest.raises(InvalidData, match="no CA"):
        verified(chain, anchors, Use.SIGN)
    with pytest.raises(InvalidData, match="a CA's"):
        verified([read(between.certificate)], anchors, Use.SIGN)


def test_the_key_usage_must_allow_the_use(
    root: Sm2Authority, between: Sm2Authority, leaf: Path, encrypting: Path
) -> None:
    anchors = keys.load_authorities(root.certificate)
    with pytest.raises(InvalidData, match="key usage is digitalSignature, nonRepudiation"):
        verified([read(leaf)], anchors, Use.ENCRYPT)
    with pytest.raises(InvalidData, match="key usage"):
        verified([read(encrypting), read(between.certificate)], anchors, Use.SIGN)
    free = read(root.issue("any", ""))
    assert free.usages is None
    assert verified([free], anchors, Use.SIGN) == verified([free], anchors, Use.ENCRYPT)


def test_any_changed_octet_of_a_certificate_is_refused(leaf: Path, root: Sm2Authority) -> None:
    data, anchors = body(leaf), keys.load_authorities(root.certificate)
    believed = []
    for place in range(0, len(data), 3):
        changed = data[:place] + bytes((data[place] ^ 0x01,)) + data[place + 1 :]
        try:
            verified([parse(changed)], anchors, Use.SIGN)
        except InvalidData:
            continue
        believed.append(place)
    assert believed == []
    for end in range(0, len(data), 7):
        with pytest.raises(InvalidData):
            parse(data[:end])
    with pytest.raises(InvalidData):
        parse(data + b"\0")


def test_other_kinds_of_certificates_are_refused(root: Sm2Authority, tmp_path: Path) -> None:
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "k",
        "-subj", "/CN=p256", "-out", tmp_path / "p256.crt",
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"signed by the algorithm 1\.2\.840\.10045\.4\.3\.2"):
        keys.load_public(tmp_path / "p256.crt")
    odd = root.issue("odd", extensions=("1.2.3.4=critical,ASN1:UTF8String:x",))
    with pytest.raises(ConfigurationError, match="critical extension that is not understood"):
        keys.load_public(odd)
    plain = root.issue("plain", extensions=("1.2.3.4=ASN1:UTF8String:x", "subjectAltName=DNS:a.example"))
    assert keys.load_public(plain) == read(plain).key


def test_a_private_key_has_its_certificate_behind_it_and_no_other(
    leaf: Path, encrypting: Path, between: Sm2Authority, folder: Path, tmp_path: Path
) -> None:
    own = folder / "hospital.key"
    both = joined(tmp_path / "both.pem", own, leaf)
    assert keys.load_private(both).public == keys.load_private(own).public
    assert keys.certificates_in(both) == keys.certificates_in(leaf)
    assert keys.certificates_in(own) == ()
    chain = joined(tmp_path / "chain.crt", encrypting, between.certificate)
    assert keys.certificates_in(chain) == (read(encrypting), read(between.certificate))
    with pytest.raises(ConfigurationError, match="of another key"):
        keys.load_private(joined(tmp_path / "wrong.pem", own, encrypting))
    with pytest.raises(ConfigurationError, match="not one plain PEM block"):
        keys.load_private(joined(tmp_path / "two.pem", own, own))
    with pytest.raises(ConfigurationError, match="not a PKCS#8 private key"):
        keys.load_private(joined(tmp_path / "only.pem", leaf))
    locked = tmp_path / "locked.pem"
    openssl("pkcs8", "-topk8", "-in", own, "-out", locked, "-v2", "aes-256-cbc", "-passout", "pass:two words")
    assert keys.load_private(joined(tmp_path / "l.pem", locked, leaf), b"two words").public == read(leaf).key


def test_what_a_key_file_must_have_is_said(root: Sm2Authority, leaf: Path, encrypting: Path, folder: Path) -> None:
    anchors = keys.load_authorities(root.certificate)
    assert keys.certified(leaf, anchors, Use.SIGN, required=True) == read(leaf).validity
    assert keys.certified(folder / "hospital.key", anchors, Use.SIGN, required=False) is None
    for path, known, told in (
        (folder / "hospital.key", anchors, "has no certificate, and key_ca_file asks for one"),
        (leaf, (), "nothing says by which CA"),
        (encrypting, anchors, "certificate in .*: the certificate's key usage is"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            keys.certified(path, known, Use.SIGN, required=True)
    for path in (leaf, folder / "hospital.key"):
        with pytest.raises(ConfigurationError, match="something else than certificates of CAs"):
            keys.load_authorities(path)


def test_a_ring_uses_and_accepts_no_key_outside_of_its_certificates_time(
    root: Sm2Authority, leaf: Path, tmp_path: Path
) -> None:
    following = root.issue("hospital-next", days=700)
    (tmp_path / "ring.toml").write_text(
        f'[[key]]\nfile = "{leaf}"\nstate = "active"\n[[key]]\nfile = "{following}"\nstate = "next"\n'
        "since = 2020-01-01T00:00:00+08:00\n"
    )
    anchors = keys.load_authorities(root.certificate)

    def validity(path: Path) -> Validity | None:
        return keys.certified(path, anchors, Use.SIGN, required=True)

    ring = load_ring(tmp_path / "ring.toml", "signing key", keys.load_public, keys.key_id, validity)
    first, second = (keys.key_id(keys.load_public(path)) for path in (leaf, following))
    now = read(leaf).validity.ends
    assert ring.good(first, now) is not None
    assert ring.good(first, now + timedelta(seconds=1)) is None
    assert ring.active(now + DAY).id == second
    assert ring.good(second, now + 400 * DAY) is None
    assert ring.good(second, read(leaf).validity.begins - DAY) is None
    assert ring.ends() == read(following).validity.ends
    alone = load_ring(leaf, "signing key", keys.load_public, keys.key_id, validity)
    assert alone.ends() == now
    assert load_ring(leaf, "signing key", keys.load_public, keys.key_id).ends() is None


# -- requests


def test_openssl_accepts_a_request_and_its_certificate_fits_the_key(root: Sm2Authority, tmp_path: Path) -> None:
    own, made = new_key(tmp_path / "own.pem"), tmp_path / "own.csr"
    done = CliRunner().invoke(
        command, ["request", str(own), str(made), "--subject", "C=cn, O=示范医院\\, 放射科, CN=hospital-1, E=a@b.cn"]
    )
    assert (done.exit_code, done.output.strip()) == (0, keys.key_id(keys.load_private(own).public))
    assert openssl("req", "-in", made, "-verify", "-vfyopt", ID, "-noout") == b""
    subject = openssl("req", "-in", made, "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8").decode()
    assert subject.strip() == r"subject=emailAddress=a@b.cn,CN=hospital-1,O=示范医院\, 放射科,C=CN"
    public = openssl("req", "-in", made, "-noout", "-pubkey")
    assert public == openssl("pkey", "-in", own, "-pubout")
    certificate = tmp_path / "own.crt"
    root.certificate.with_name("v3.ext").write_text("basicConstraints=CA:FALSE")
    openssl(
        "x509", "-req", "-in", made, "-vfyopt", ID, "-CA", root.certificate, "-CAkey", root.key, "-CAcreateserial",
        "-sm3", "-sigopt", ID, "-days", "30", "-extfile", root.certificate.with_name("v3.ext"), "-out", certificate,
    )  # fmt: skip
    assert keys.load_private(joined(tmp_path / "both.pem", own, certificate)).public == read(certificate).key
    again = CliRunner().invoke(command, ["request", str(own), str(made), "--subject", "CN=x"])
    assert isinstance(again.exception, ConfigurationError)


@pytest.mark.parametrize("subject", ["", "x", "CN", "CN=", "C=CHN, CN=a", "O=only", "XY=1, CN=a"])
def test_a_wrong_name_is_told(subject: str) -> None:
    with pytest.raises(InvalidData):
        name_of(subject)


def test_a_name_is_shown_as_it_is_written() -> None:
    written = "C=CN, ST=北京, O=示范医院, OU=放射科, CN=hospital-1"
    assert shown(name_of(written)) == written
    assert name_of("s=北京, CN=a") == name_of("ST=北京,CN=a")


# -- the commands


def test_keys_show_prints_certificates(leaf: Path, folder: Path, tmp_path: Path) -> None:
    both = joined(tmp_path / "both.pem", folder / "hospital.key", leaf)
    for path in (leaf, both):
        done = CliRunner().invoke(command, ["show", str(path)])
        assert done.exit_code == 0
        assert keys.key_id(read(leaf).key) in done.output
        assert "O=示例医院, CN=hospital" in done.output
        assert "digitalSignature, nonRepudiation" in done.output
    [one] = json.loads(CliRunner().invoke(command, ["show", str(both), "--json"]).output)["certificates"]
    assert one["until"] == read(leaf).validity.ends.isoformat()
    assert one["key_id"] == keys.key_id(read(leaf).key)
    bare = json.loads(CliRunner().invoke(command, ["show", str(folder / "hospital.key"), "--json"]).output)
    assert "certificates" not in bare


# -- strict DER


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\x00", b"\x07", b"\x03\x01", b"\x00\x01\x00", b"\x01\x81", b"\x09\x80"]
)
def test_flags_are_read_strictly(content: bytes) -> None:
    if content in (b"\x00", b"\x00\x01\x00"):
        content += b"\x00"
    with pytest.raises(InvalidData):
        der.Reader(der.element(der.BIT_STRING, content)).flags()


def test_flags_are_numbered_from_the_first_bit() -> None:
    assert der.Reader(der.element(der.BIT_STRING, b"\x06\xc0")).flags() == {0, 1}
    assert der.Reader(der.element(der.BIT_STRING, b"\x07\x00\x80")).flags() == {8}
    assert der.Reader(der.element(der.BIT_STRING, b"\x00")).flags() == frozenset()
    with pytest.raises(InvalidData):
        der.Reader(der.element(der.BOOLEAN, b"\x01")).boolean()
    with pytest.raises(InvalidData):
        der.Reader(b"\x1f\x81\x01\x00").raw()


# -- in operation


class Platform:
    """A destination whose keys have certificates, in a folder of its own; `http` is its configuration."""

    def __init__(self, folder: Path, root: Sm2Authority) -> None:
        keys.new_folder(folder / "keys")
        self.folder, self.root = folder, root
        for name, usage in (("sign", SIGN), ("encrypt", ENCRYPT)):
            self.issue(name, usage)
        own = new_key(folder / "own.key")
        self.own = joined(folder / "own.pem", own, root.issue("own", key=own))
        self.config = parse_config(CONFIG.format(ca=root.certificate), base=folder)
        found = self.config.destination[0].http
        assert found is not None
        self.http = found

    def issue(self, name: str, usage: str, days: int = 365, of: Sm2Authority | None = None) -> None:
        (self.folder / f"{name}.crt").write_bytes(
            (of or self.root).issue(f"{name}-{days}", usage, days=days).read_bytes()
        )

    def ends(self, name: str) -> datetime:
        return read(self.folder / f"{name}.crt").validity.ends


CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[reports]
folder = "in"
[[destination]]
name = "beijing"
[destination.http]
api_key_file = "keys/api.key"
signing_key_file = "own.pem"
platform_signing_key_file = "sign.crt"
platform_encryption_key_file = "encrypt.crt"
key_ca_file = "{ca}"
"""


@pytest.fixture
def platform(tmp_path: Path, root: Sm2Authority) -> Platform:
    return Platform(tmp_path, root)


def message(at: datetime) -> Message:
    return Message(
        profile="gm-envelope/1", org="o", app="a", ts=int(at.timestamp() * 1000), nonce="n", idem="i", revision=1
    )


def test_a_message_is_made_with_certified_keys_while_their_certificates_hold(platform: Platform) -> None:
    profile, ends = load_profile(platform.http), platform.ends("encrypt")
    assert profile.pinned["signing"] == (keys.key_id(read(platform.folder / "sign.crt").key),)
    assert profile.exchange(message(ends - DAY))
    with pytest.raises(DestinationDown, match=r"no .* key is in force now"):
        profile.exchange(message(ends + DAY))


@pytest.mark.parametrize("setting", ["signing_key_file", "platform_signing_key_file", "platform_encryption_key_file"])
def test_a_key_with_a_certificate_of_somebody_else_or_for_another_use_is_refused(
    platform: Platform, setting: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    impostor = Sm2Authority(tmp_path_factory.mktemp("impostor"))
    usage = ENCRYPT if "encryption" in setting else SIGN
    for authority, of_usage, told in (
        (impostor, usage, "no CA of the CA file has signed it"),
        (platform.root, SIGN if usage == ENCRYPT else ENCRYPT, "key usage"),
    ):
        key = new_key(platform.folder / "k.key")
        file = joined(platform.folder / "k.pem", *([key] if setting == "signing_key_file" else []),
                      authority.issue("k", of_usage, key=key))  # fmt: skip
        with pytest.raises(ConfigurationError, match=told):
            load_profile(platform.http.model_copy(update={setting: file}))
    with pytest.raises(ConfigurationError, match="nothing says by which CA"):
        load_profile(platform.http.model_copy(update={"key_ca_file": None}))


def test_with_cas_the_platform_has_no_key_without_certificate_and_the_hospital_may_have_one(platform: Platform) -> None:
    folder = platform.folder / "keys"
    assert load_profile(platform.http.model_copy(update={"signing_key_file": folder / "hospital-sign.pem"}))
    for setting in ("platform_signing_key_file", "platform_encryption_key_file"):
        with pytest.raises(ConfigurationError, match="key_ca_file asks for one"):
            load_profile(platform.http.model_copy(update={setting: folder / "platform-sign.pub.pem"}))


def test_other_cas_apply_at_the_next_message(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> None:
    authorities, refused = platform.folder / "ca.pem", list[ConfigurationError]()
    authorities.write_bytes(platform.root.certificate.read_bytes())
    http = platform.http.model_copy(update={"key_ca_file": authorities})
    files = KeyFiles(http, platform.folder / "pins.json", lambda _: None, refused.append)
    assert files.current().profile
    authorities.write_bytes(Sm2Authority(tmp_path_factory.mktemp("other")).certificate.read_bytes())
    assert files.current().profile
    assert "no CA of the CA file has signed it" in str(*refused)


@pytest.mark.ends("certificate")
@pytest.mark.fires("certificate")
def test_the_end_of_a_certificate_is_an_alarm_thirty_days_before_until_it_is_renewed(platform: Platform) -> None:
    told: list[Event] = []
    bus, clock = EventBus(told.append), FakeClock(platform.ends("sign") - 30 * DAY)
    catalogue = open_catalogue("", platform.folder, bus)
    watch = CertificateWatch(platform.config, catalogue, bus, clock)

    def standing() -> set[str]:
        watch.step()
        return {one.subject for one in catalogue.alarms.standing()}

    platform.issue("encrypt", ENCRYPT, 400)
    joined(
        platform.own,
        platform.folder / "own.key",
        platform.root.issue("own2", key=platform.folder / "own.key", days=395),
    )
    assert standing() == set()
    clock.advance(2)
    assert standing() == {"platform signing key of beijing"}
    [alarm] = catalogue.alarms.standing()
    assert (alarm.destination, alarm.alarm) == ("beijing", Alarm.CERTIFICATE)
    assert f"{platform.ends('sign').astimezone(platform.config.node.timezone):%Y-%m-%d}" in alarm.text
    clock.advance(40 * 86400.0)
    assert len(standing()) == 3
    found = {one.text: one.verdict for one in certificates(platform.config, clock.now())}
    assert Verdict.FAIL in found.values()
    (platform.folder / "sign.crt").write_bytes(b"half a file")
    assert len(standing()) == 3, "the former keys stay in use"
    platform.issue("sign", SIGN, 900)
    assert standing() == {"platform encryption key of beijing", "signing key of beijing"}
    watch.reconfigure(platform.config.model_copy(update={"destination": ()}))
    assert standing() == set()
    assert [one.kind for one in told if one.alarm].count(Kind.ALARM) == 3
    catalogue.engine.close_thread()
