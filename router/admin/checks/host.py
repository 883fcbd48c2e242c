"""Checks of the node's own machine: folders, disk, keys, certificates."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from router.admin.checks.result import CheckResult, Verdict, attempt, good
from router.config.certificates import own_certificates
from router.config.folders import DropFolder, hl7_ports
from router.config.sections import Config, Destination, HttpDestination
from router.crypto.certificates import first_end
from router.crypto.keys import key_id, load_private, load_public, read_secret
from router.forward.certified import endings
from router.forward.credentials import load_credentials
from router.forward.passphrase import signing_key_passphrase
from router.forward.profiles import Profile
from router.policy.account import keys_of, profile_of
from router.storage.mount import is_encrypted, mount_of, not_mounted
from router.storage.pins import Pins, pin_arguments, strange

_RENEW_WITHIN = timedelta(days=30)
_ROOM = 1.5  # x min_free: below it retention begins to make room


def data_folder(config: Config) -> Iterator[CheckResult]:
    """Its mode, its free space, its disk."""
    data, subject = config.node.data, "data folder"
    here = next(each for each in (data, *data.parents) if each.is_dir())
    if not os.access(here, os.R_OK | os.W_OK | os.X_OK):
        text, remedy = f"this account may not read and write {here}", "run doctor as the node's account, or chown it"
        yield CheckResult(subject, Verdict.FAIL, text, remedy)
    elif data.exists() and data.stat().st_mode & 0o007:
        yield CheckResult(subject, Verdict.WARN, f"{data} is open to everybody on this machine", f"chmod 750 {data}")
    else:
        yield good(subject, f"{data} can be written" if data.exists() else f"{data} is made at the first start")
    yield _room(here, config.receive.min_free)
    yield _encryption(here)


def _room(folder: Path, least: int) -> CheckResult:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free, min_free is {least / 2**30:.1f} GiB"
    remedy = "make room, give the volume more, or shorten [retention]"
    if free <= least:
        return CheckResult("disk", Verdict.FAIL, f"{text}: images are refused", remedy)
    return CheckResult("disk", Verdict.WARN, text, remedy) if free < _ROOM * least else good("disk", text)


def _encryption(folder: Path) -> CheckResult:
    mount = mount_of(folder)
    found = None if mount is None else is_encrypted(mount)
    where = "" if mount is None else f" ({mount.source}, {mount.kind})"
    if found:
        return good("encryption", f"the data folder's volume is encrypted{where}")
    text = "the volume is not encrypted"
    if found is None:
        text = "cannot tell whether the data folder's volume is encrypted"
    remedy = "patient data lies in it: put [node] data on a LUKS volume, or see that the storage behind encrypts"
    return CheckResult("encryption", Verdict.WARN, text + where, remedy)


def drop_folder(at: DropFolder) -> Iterator[CheckResult]:
    """Whether it exists, is mounted, and can be read and, with `move`, written."""
    folder, subject = at.path, at.name
    if absent := not_mounted(folder):
        text = f"{absent.folder} is in fstab and not mounted"
        yield CheckResult(subject, Verdict.FAIL, text, f"mount {absent.folder}")
    if not folder.is_dir():
        yield CheckResult(subject, Verdict.WARN, f"{folder} is not there; the node makes it", "see [reports] folder")
        return
    needed = os.R_OK | os.X_OK | (0 if at.keeps else os.W_OK)
    if not os.access(folder, needed):
        text = f"this account may not {'read and write' if needed & os.W_OK else 'read'} {folder}"
        remedy = 'see its rights, or set [reports] on_pickup = "keep" for a read-only share'
        yield CheckResult(subject, Verdict.FAIL, text, remedy)
        return
    mount = mount_of(folder)
    yield good(subject, f"{folder} can be used" + (f" ({mount.kind} on {mount.folder})" if mount else ""))


def keys(config: Config, destination: Destination, http: HttpDestination, account: str = "") -> Iterator[CheckResult]:
    """The account's key files exist, with their modes, belong together and are those that were pinned."""
    subject = keys_of(destination.name, account)
    found = load_credentials(http)
    if http.signing_key_file is not None and http.signing_key_file.suffix != ".toml":
        own = key_id(load_private(http.signing_key_file, signing_key_passphrase(http)).public)
        yield from _pair(subject, http.signing_key_file, own)
    ids = found.profile.pinned
    if found.profile.digest:
        yield from _outside(profile_of(destination.name, account), found.profile)
    if destination.withdraws_after is not None and not found.profile.outline.withdraw:
        yield _never_withdraws(profile_of(destination.name, account), found.profile.name)
    shown = "; ".join(f"platform {purpose} {', '.join(each)}" for purpose, each in ids.items())
    pinned = Pins(config.node.data).of(destination.name, account)
    if pinned is not None and (unknown := strange(ids, pinned)):
        text = f"not the keys that were pinned: {', '.join(unknown)}"
        name = pin_arguments(destination.name, account)
        remedy = f"ask the platform for its key ids; if they are these: keys pin {name}"
        yield CheckResult(subject, Verdict.FAIL, text, remedy)
        return
    when = "pinned" if pinned else "pinned at the first start: compare the ids with the platform's operator before"
    yield good(subject, f"profile {http.profile}; {shown} ({when})" if shown else f"profile {http.profile}")


def _outside(subject: str, profile: Profile) -> Iterator[CheckResult]:
    """A profile of a file: what it is, and that it uses what is weak."""
    yield good(subject, f"{profile.name}, {profile.files[0]}, SHA-256 {profile.digest}")
    if why := profile.outline.allow_weak:
        text = f"{profile.name} uses weak cryptography (ECB or MD5): allow_weak = {why!r}"
        yield CheckResult(subject, Verdict.WARN, text, "ask the platform for SM4-GCM or SM4-CBC, and for SM3")


def _never_withdraws(subject: str, name: str) -> CheckResult:
    text = f"withdraw_after is set, and {name} has no call to withdraw: no exam is taken back"
    remedy = 'write that call into the profile; or set withdraw_after = "off", and tell the platform yourself'
    return CheckResult(subject, Verdict.WARN, text, remedy)


def _pair(subject: str, private: Path, own: str) -> Iterator[CheckResult]:
    """`keys new` lays the public key beside the private one; the platform gets that file."""
    public = private.with_name(f"{private.stem}.pub.pem")
    if public.exists() and (other := key_id(load_public(public))) != own:
        text = f"{public.name} (id {other}) is not the public key of {private.name} (id {own})"
        yield CheckResult(subject, Verdict.FAIL, text, "give the platform the public key of the private one in use")
    else:
        yield good(subject, f"own signing key {own}" + (", its public key beside it" if public.exists() else ""))


def certificates(config: Config, now: datetime) -> Iterator[CheckResult]:
    """Every configured certificate is readable and not about to expire; its key is private."""
    for name, file, key in _certificates(config):
        yield from attempt(name, lambda name=name, file=file, key=key: _certificate(name, file, key, now))  # type: ignore[misc] # bound now
    for destination in config.destination:
        for one in endings(destination.http) if destination.http is not None else ():
            file, end = one.file, one.ends
            if end is not None:
                name = f"certificate of the {one.purpose} of {destination.name}"
                yield _of_key(name, f"{file} ends {end:%Y-%m-%d}", end, now)


def _certificate(name: str, file: Path, key: Path | None, now: datetime) -> Iterator[CheckResult]:
    if key is not None:
        read_secret(key)
    end = first_end(file)
    text = f"{file} ends {end:%Y-%m-%d}"
    if end <= now:
        yield CheckResult(name, Verdict.FAIL, text, "renew it under the same name, then reload the node")
    elif end - now < _RENEW_WITHIN:
        yield CheckResult(name, Verdict.WARN, text, "renew it soon under the same name, then reload the node")
    else:
        yield good(name, text)


def _of_key(name: str, text: str, ends: datetime, now: datetime) -> CheckResult:
    if ends <= now:
        return CheckResult(name, Verdict.FAIL, text, "renew it: a changed key file applies at once")
    if ends - now < _RENEW_WITHIN:
        return CheckResult(name, Verdict.WARN, text, "renew it soon: a changed key file applies at once")
    return good(name, text)


def _certificates(config: Config) -> Iterator[tuple[str, Path, Path | None]]:
    for own in own_certificates(config):
        yield f"TLS certificate of {own.place}", own.file, own.key
    places = [("[receive]", config.receive.tls), *((port.section, port.at.tls) for port in hl7_ports(config))]
    places += [(f"DICOM to {d.name}", d.dicom.tls) for d in config.destination if d.dicom]
    for name, tls in places:
        if tls is not None and tls.ca is not None:
            yield f"TLS authorities of {name}", tls.ca, None
    for destination in config.destination:
        if destination.http is not None and destination.http.ca_file is not None:
            yield f"ca_file of {destination.name}", destination.http.ca_file, None
