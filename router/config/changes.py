"""Configuration changes: which apply at once, which need a restart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from router.config.file import Stamp, stamp_of
from router.config.folders import hl7_ports
from router.config.sections import Config, Receive, Reports, Tls
from router.errors import ConfigurationError

_LIVE_SECTIONS = (
    "device", "department", "codes", "share", "identity", "series", "study", "destination", "daily", "alarms",
)  # fmt: skip
_LIVE_KEYS: Mapping[str, tuple[str, ...]] = {
    "receive": ("senders", "max_associations", "max_associations_per_sender", "tls"),
    "reports": (
        "mapping", "hl7_mapping", "hl7_repeat", "approved_only", "pdf_text_check", "pair_within", "clock_tolerance",
    ),
}  # fmt: skip
_NO_REPORTS = Reports.model_construct(**{name: field.default for name, field in Reports.model_fields.items()})
Stamps = Mapping[str, tuple[Stamp | None, ...]]


@dataclass(frozen=True, slots=True)
class Changes:
    """The configuration that applies after a change, and the keys that changed, like `destination cloud.dicom.port`.

    `taken` keys apply at once, `waiting` ones at the restart. A destination that was added or removed is marked
    (new) or (gone); `added` has the names of the new ones.
    """

    config: Config
    taken: tuple[str, ...]
    waiting: tuple[str, ...]
    added: tuple[str, ...]


def compare(running: Config, wanted: Config) -> Changes:
    """Compare two configurations; ConfigurationError where the keys that apply at once contradict those that wait."""
    parts: dict[str, Any] = {section: getattr(wanted, section) for section in _LIVE_SECTIONS}
    if running.several and wanted.several:
        parts["hospital"] = wanted.hospital
    for section, keys in _LIVE_KEYS.items():
        former, new = getattr(running, section), getattr(wanted, section)
        parts[section] = former.model_copy(update={key: getattr(new, key) for key in keys})
    config = running.model_copy(update=parts)
    # Refuse to take senders or TLS from a listener whose address waits for the restart.
    if found := _fault_of(config):
        raise ConfigurationError("[receive] can be taken up by a restart only:", faults=(f"receive: {found}",))
    added = tuple(one.name for one in config.destination if running.destination_named(one.name) is None)
    return Changes(config, tuple(_differences(running, config)), tuple(_differences(config, wanted)), added)


def _fault_of(config: Config) -> str:
    """Why the images' listener cannot be as it is put together; "" where it can."""
    receive = config.receive
    try:
        Receive.model_validate({name: getattr(receive, name) for name in Receive.model_fields})
    except ValidationError as error:
        return "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
    return receive.fault_of(config.senders)


def stamps(config: Config) -> Stamps:
    """Stamps of the files of each certificate and profile, by the key of the configuration that names them."""
    return {key: tuple(map(stamp_of, files)) for key, files in _tls_files(config)}


def renewed(before: Stamps, after: Stamps) -> tuple[str, ...]:
    """The keys whose files have changed since; a key that was added or removed is no renewal."""
    return tuple(key for key, found in after.items() if before.get(key, found) != found)


def _differences(before: Config, after: Config) -> Iterator[str]:
    for key in _between(before, after):
        if key == "destination":
            yield from _of_destinations(before, after)
        elif key == "hospital":
            yield from _of_hospitals(before, after)
        else:
            yield key


def _of_hospitals(before: Config, after: Config) -> Iterator[str]:
    former, now = ({one.name: one for one in config.hospital} for config in (before, after))
    for name, new in now.items():
        called = f"hospital {name}".rstrip()
        if (old := former.get(name)) is None:
            yield f"{called} (new)"
        else:
            yield from (f"{called}.{key}" for key in _between(old, new))
    yield from (f"hospital {name}".rstrip() + " (gone)" for name in former if name not in now)


def _of_destinations(before: Config, after: Config) -> Iterator[str]:
    for new in after.destination:
        old = before.destination_named(new.name)
        if old is None:
            yield f"destination {new.name} (new)"
        else:
            yield from (f"destination {new.name}.{key}" for key in _between(old, new))
    yield from (f"destination {d.name} (gone)" for d in before.destination if after.destination_named(d.name) is None)


def _between(old: BaseModel, new: BaseModel) -> Iterator[str]:
    """The keys that differ; of a table below, its own keys."""
    for key in _keys(old, new):
        ours, theirs = getattr(old, key), getattr(new, key)
        if isinstance(ours, Reports | None) and isinstance(theirs, Reports | None):
            yield from (f"{key}.{inner}" for inner in _keys(ours or _NO_REPORTS, theirs or _NO_REPORTS))
        elif isinstance(ours, BaseModel) and isinstance(theirs, BaseModel):
            yield from (f"{key}.{inner}" for inner in _keys(ours, theirs))
        else:
            yield key


def _keys(old: BaseModel, new: BaseModel) -> list[str]:
    return [key.rstrip("_") for key in type(old).model_fields if getattr(old, key) != getattr(new, key)]


def _tls_files(config: Config) -> Iterator[tuple[str, tuple[Path, ...]]]:
    listeners = {"receive.tls": config.receive.tls, "admin.tls": config.admin.tls, "reports.hl7.tls": None}
    for port in hl7_ports(config):
        listeners[f"hospital {port.hospital}.reports.hl7.tls" if port.hospital else "reports.hl7.tls"] = port.at.tls
    for key, tls in listeners.items():
        yield key, _of_tls(tls)
    for one in config.destination:
        yield f"destination {one.name}.dicom.tls", _of_tls(None if one.dicom is None else one.dicom.tls)
        http = one.http
        files = (http.ca_file, http.client_certificate_file, http.client_key_file) if http else ()
        yield f"destination {one.name}.http", tuple(file for file in files if file is not None)
        profile = http.profile_file if http else None
        yield f"destination {one.name}.http profile", (profile,) if profile else ()


def _of_tls(tls: Tls | None) -> tuple[Path, ...]:
    return () if tls is None else tuple(file for file in (tls.certificate, tls.key, tls.ca) if file is not None)
