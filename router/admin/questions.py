"""The questions of the first run: in their order, each with a default that does no harm, each checked at once.

An answer is text. In a file of answers the same keys are TOML: `hospital.USCI` is `USCI` of `[hospital]`.
"""

import ipaddress
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router.admin.checks import destinations
from router.admin.checks.result import CheckResult, Verdict, attempt
from router.clock import SystemClock
from router.config.destinations import DicomDestination, HttpDestination
from router.config.section import Tls
from router.config.types import check_ae_title, is_loopback
from router.crypto.certificates import first_end
from router.crypto.keys import load_api_key, load_private, load_public, read_secret
from router.dicom.scu.client import StorageClient
from router.errors import RouterError
from router.exam.identifiers import usci_ok
from router.text.language import LANGUAGES, N_

Answers = Mapping[str, str]

KEY_FILES = ("api.key", "hospital-sign.pem", "platform-sign.pub.pem", "platform-encrypt.pub.pem")
PASSPHRASE = "passphrase"  # noqa: S105 the name of its file
YES, NO = "yes", "no"
_SPOKEN = {"y": YES, "n": NO, "是": YES, "否": NO, "yes": YES, "no": NO}
_LEAST_ROOM = 5 * 2**30  # [receive] min_free
_PEER = re.compile(r"(?P<ae>[^@]{1,16})@(?P<host>.+):(?P<port>[0-9]{1,5})")
_SENDER = re.compile(r"(?P<ae>[^=]{1,16})=(?P<address>[0-9A-Fa-f.:/]+)")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an answer is not taken; one that `may_stay` is about something that can be put right later."""

    text: str
    remedy: str = ""
    may_stay: bool = False


Check = Callable[[str, Answers], Iterator[Fault]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question; `is_asked` tells by the answers before it whether it is asked at all."""

    key: str
    text: str
    default: str
    check: Check
    is_asked: Callable[[Answers], bool] = lambda _: True

    def normal(self, answer: str) -> str:
        """The answer without spaces around it; yes and no also in Chinese or by their first letter."""
        bare = answer.strip()
        return _SPOKEN.get(bare.lower(), bare) if self.check is _yes_or_no else bare


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A DICOM peer, written `AE@HOST:PORT`."""

    ae_title: str
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> "Peer | None":
        """None when it is not written so."""
        found = _PEER.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 2**16 or _ae_title(found["ae"]):
            return None
        return cls(ae_title=found["ae"], host=found["host"].strip("[]"), port=int(found["port"]))


def _ae_title(text: str) -> str:
    try:
        check_ae_title(text)
    except ValueError:
        return N_("expected an AE title: 1 to 16 ASCII characters without backslash")
    return ""


# -- checks


def _any(_answer: str, _before: Answers) -> Iterator[Fault]:
    yield from ()


def _some(answer: str, _before: Answers) -> Iterator[Fault]:
    if not answer.strip():
        yield Fault(text=N_("it is empty"))


def _one_of(*words: str) -> Check:
    def check(answer: str, _before: Answers) -> Iterator[Fault]:
        if answer not in words:
            yield Fault(text=N_("expected one of {words}").format(words=", ".join(words)))

    return check


_yes_or_no = _one_of(YES, NO)


def _usci(answer: str, _before: Answers) -> Iterator[Fault]:
    if not usci_ok(answer):
        yield Fault(text=N_("not a unified social credit code: 18 characters, the last a check character (GB 32100)"))


def _folder(answer: str, _before: Answers) -> Iterator[Fault]:
    """Absolute; writable as far as it exists."""
    path = Path(answer).expanduser()
    if not path.is_absolute():
        yield Fault(text=N_("expected a path that begins with /"))
        return
    here = next(each for each in (path, *path.parents) if each.exists())
    if not here.is_dir():
        yield Fault(text=N_("{path} is not a folder").format(path=here))
    elif not os.access(here, os.W_OK | os.X_OK):
        yield Fault(text=N_("this account may not write to {path}").format(path=here))


def _data(answer: str, before: Answers) -> Iterator[Fault]:
    """A folder with room for images."""
    faults = list(_folder(answer, before))
    yield from faults
    if faults:
        return
    path = Path(answer).expanduser()
    here = next(each for each in (path, *path.parents) if each.exists())
    if (free := shutil.disk_usage(here).free) < _LEAST_ROOM:
        text = N_("only {free} GiB are free: below {least} GiB images are refused")
        yield Fault(text=text.format(free=f"{free / 2**30:.1f}", least=_LEAST_ROOM // 2**30), may_stay=True)


def _title(answer: str, _before: Answers) -> Iterator[Fault]:
    if why := _ae_title(answer):
        yield Fault(text=why)


def _host(answer: str, _before: Answers) -> Iterator[Fault]:
    """An address of this machine."""
    try:
        with socket.create_server((answer, 0), family=socket.AF_INET6 if ":" in answer else socket.AF_INET):
            pass
    except (OSError, UnicodeError):
        yield Fault(text=N_("{host} is no address of this machine").format(host=answer))


def _port(host: str) -> Check:
    def check(answer: str, before: Answers) -> Iterator[Fault]:
        if not answer.isascii() or not answer.isdigit() or not 0 < int(answer) < 2**16:
            yield Fault(text=N_("expected a number from 1 to 65535"))
            return
        address = before.get(host, "127.0.0.1")
        try:
            with socket.create_server((address, int(answer)), family=_family(address)):
                pass
        except PermissionError:
            yield Fault(text=N_("ports below 1024 are for root: the node's account may not listen there"))
        except OSError:
            yield Fault(text=N_("port {port} is taken by another program").format(port=answer), may_stay=True)

    return check


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def senders_in(answer: str) -> Sequence[str]:
    """The senders of an answer, each AE=ADDRESS."""
    return [each for each in re.split(r"[,;，；、\s]+", answer.strip()) if each]


def _senders(answer: str, before: Answers) -> Iterator[Fault]:
    found = senders_in(answer)
    for one in found:
        match = _SENDER.fullmatch(one)
        if match is None or _ae_title(match["ae"]) or not _is_network(match["address"]):
            yield Fault(
                text=N_("{sender}: expected AE=ADDRESS, as in PACS=10.1.2.3, CT01=10.1.2.0/24").format(sender=one)
            )
    if not found and not is_loopback(before.get("receive.host", "127.0.0.1")):
        yield Fault(text=N_("beyond loopback the senders must be named"))


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _certificate(answer: str, _before: Answers) -> Iterator[Fault]:
    yield from _found(lambda: first_end(Path(answer).expanduser()))


def _secret(answer: str, _before: Answers) -> Iterator[Fault]:
    yield from _found(lambda: read_secret(Path(answer).expanduser()))


def _authority(answer: str, before: Answers) -> Iterator[Fault]:
    if answer:
        yield from _certificate(answer, before)


def _found(look: Callable[[], Any]) -> Iterator[Fault]:
    try:
        look()
    except RouterError as error:
        yield Fault(text=error.message, remedy=error.hint)


def _pacs(answer: str, before: Answers) -> Iterator[Fault]:
    if answer:
        yield from _peer(answer, before, ca="")


def _cloud(answer: str, before: Answers) -> Iterator[Fault]:
    yield from _peer(answer, before, ca=before.get("destination.ca", ""))


def _peer(answer: str, before: Answers, ca: str) -> Iterator[Fault]:
    """AE@HOST:PORT, and C-ECHO to it."""
    peer = Peer.of(answer)
    if peer is None:
        yield Fault(text=N_("expected AE@HOST:PORT, as in PACS@10.1.2.3:104"))
        return
    calling = before.get("receive.ae_title", "ROUTER")

    def look() -> Iterator[CheckResult]:
        tls = Tls(ca=Path(ca).expanduser()) if ca else None
        one = DicomDestination(
            ae_title=peer.ae_title, host=peer.host, port=peer.port, calling_ae_title=calling, tls=tls,
            allow_plain=tls is None,
        )  # fmt: skip
        yield from destinations.echo(f"C-ECHO to {answer}", StorageClient, one)

    yield from _checked(answer, look)


def _checked(subject: str, look: Callable[[], Iterator[CheckResult]]) -> Iterator[Fault]:
    """Faults of a check of `doctor`; a peer that does not answer may be put right later."""
    try:
        found = list(attempt(subject, look))
    except ValueError:  # pydantic's: the node would refuse it, too
        yield Fault(text=N_("not an address that the node can use"))
        return
    for one in found:
        if one.verdict == Verdict.FAIL:
            yield Fault(text=one.text, remedy=one.remedy, may_stay=True)


def _url(answer: str, _before: Answers) -> Iterator[Fault]:
    if re.fullmatch(r"https?://[^\s/]+.*", answer) is None:
        yield Fault(text=N_("expected an address that begins with https:// or http://"))


def _keys(answer: str, before: Answers) -> Iterator[Fault]:
    """The folder with the keys that hospital and platform agreed on; with them a token from the platform."""
    folder = Path(answer).expanduser()
    if not answer:
        return
    faults = [fault for file in KEY_FILES for fault in _found(lambda file=file: _read(folder / file))]  # type: ignore[misc] # bound now
    yield from faults
    if not faults:
        yield from _checked(answer, lambda: _token(folder, before))


def _read(path: Path) -> object:
    if path.name.endswith(".pub.pem"):
        return load_public(path)
    if path.name == "api.key":
        return load_api_key(path)
    passphrase = path.with_name(PASSPHRASE)
    return load_private(path, read_secret(passphrase).splitlines()[0] if passphrase.exists() else None)


def _token(folder: Path, before: Answers) -> Iterator[CheckResult]:
    ca, url, passphrase = before.get("destination.ca", ""), before["destination.url"], folder / PASSPHRASE
    api, own, signing, encryption = (folder / name for name in KEY_FILES)
    http = HttpDestination(
        url=url, app=before["destination.app"], allow_plain=url.startswith("http:"), api_key_file=api,
        signing_key_file=own, platform_signing_key_file=signing, platform_encryption_key_file=encryption,
        signing_key_passphrase_file=passphrase if passphrase.exists() else None,
        ca_file=Path(ca).expanduser() if ca and url.startswith("https") else None,
    )  # fmt: skip
    name = before["destination.name"]
    yield from destinations.token(name, f"token of {name}", http, SystemClock())


def _name(answer: str, _before: Answers) -> Iterator[Fault]:
    if _NAME.fullmatch(answer) is None:
        yield Fault(text=N_("expected letters, digits, dots, dashes"))


# -- the questions


def has_cloud(before: Answers) -> bool:
    """Whether a real cloud is entered."""
    return before.get("destination.own") == YES


def _is_open(before: Answers) -> bool:
    return not is_loopback(before.get("receive.host", "127.0.0.1"))


def _is_encrypted(before: Answers) -> bool:
    return _is_open(before) and before.get("receive.plain") == NO


def questions(*, language: str, data: Path, reports: Path, with_service: bool) -> list[Question]:
    """All questions, with the defaults of this machine."""
    asked = [
        Question(key="language", text=N_("Language / 语言 (en, zh_CN)"),
                 default=language, check=_one_of(*LANGUAGES)),
        Question(key="hospital.USCI", text=N_("Unified social credit code (统一社会信用代码) of the hospital"),
                 default="121100004000000001", check=_usci),
        Question(key="hospital.HospitalCode", text=N_("Hospital code (医疗机构编码)"), default="H0001", check=_some),
        Question(key="hospital.HospitalName", text=N_("Hospital name (医疗机构名称)"), default="示范医院", check=_some),
        Question(key="hospital.HospitalBranchCode", text=N_("Branch code (医疗机构分院编码)"), default="01",
                 check=_some),
        Question(key="places.data", text=N_("Data folder, for years of images on a local disk"), default=str(data),
                 check=_data),
        Question(key="places.reports", text=N_("Drop folder, into which the RIS writes reports"), default=str(reports),
                 check=_folder),
        Question(key="receive.host", text=N_("Address at which PACS and modalities reach the node (127.0.0.1: this "
                 "machine only)"), default="127.0.0.1", check=_host),
        Question(key="receive.port", text=N_("DICOM port"), default="11112", check=_port("receive.host")),
        Question(key="receive.ae_title", text=N_("The node's AE title"), default="ROUTER", check=_title),
        Question(key="receive.senders", text=N_("Who may send: AE=ADDRESS, with commas"), default="", check=_senders,
                 is_asked=_is_open),
        Question(key="receive.plain", text=N_("Do they send without TLS (yes, no)"), default=NO, check=_yes_or_no,
                 is_asked=_is_open),
        Question(key="receive.certificate", text=N_("File of the node's TLS certificate (PEM)"), default="",
                 check=_certificate, is_asked=_is_encrypted),
        Question(key="receive.key", text=N_("File of its private key, readable by its owner only"), default="",
                 check=_secret, is_asked=_is_encrypted),
        Question(key="receive.pacs", text=N_("PACS to ask for missing images, AE@HOST:PORT (empty: none)"), default="",
                 check=_pacs),
        Question(key="destination.own", text=N_("Is the real imaging cloud to be entered now (yes, no: only a "
                 "reference platform on this machine, nothing leaves it)"), default=NO, check=_yes_or_no),
        Question(key="destination.name", text=N_("Short name of the cloud"), default="beijing", check=_name,
                 is_asked=has_cloud),
        Question(key="destination.ca", text=N_("File of the authorities that its TLS certificate may be of (empty: "
                 "plain DICOM; https by the system's)"), default="", check=_authority, is_asked=has_cloud),
        Question(key="destination.dicom", text=N_("Where images go, AE@HOST:PORT"), default="CLOUD@127.0.0.1:11113",
                 check=_cloud, is_asked=has_cloud),
        Question(key="destination.url", text=N_("Where reports go, https://..."), default="http://127.0.0.1:8443",
                 check=_url, is_asked=has_cloud),
        Question(key="destination.app", text=N_("The application name that the cloud gave you"), default="hospital-1",
                 check=_some, is_asked=has_cloud),
        Question(key="destination.keys", text=N_("Folder with {files} (empty: keys for trying out)").format(
                 files=", ".join(KEY_FILES)), default="", check=_keys, is_asked=has_cloud),
    ]  # fmt: skip
    if with_service:
        asked.append(
            Question(key="service.start", text=N_("Start the node as a service now (yes, no)"), default=YES,
                     check=_yes_or_no)
        )  # fmt: skip
    return asked
