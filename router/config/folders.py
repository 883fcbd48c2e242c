"""Drop folders and HL7 listeners of a configuration: those that hospitals share, and those that one has for itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from router.config.sections import Config, Hospital, HospitalConfig
from router.config.sources import Hl7Listener, Reports
from router.text.language import N_

_FOLDER_OF, _HL7_OF = N_(("drop folder of {hospital}", "HL7 of {hospital}"))
SOLE = ""
"""The hospital of a node that serves one alone, which needs no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropFolder:
    """A drop folder, and the keys by which its files are picked up.

    `hospital` is the one that has it for itself, SOLE where the node has no other, None where several share it.
    `without` are the drop folders inside it, which are looked at by themselves. `used`: somebody may write to it.
    """

    hospital: str | None
    path: Path
    settle: timedelta
    rescan: timedelta
    keeps: bool
    pattern: str
    without: frozenset[Path] = field(default=frozenset())
    used: bool = True

    @property
    def name(self) -> str:
        """Its name in alarms and as the name of its work."""
        return _FOLDER_OF.format(hospital=self.hospital) if self.hospital else "drop folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Port:
    """A listener for HL7 messages; `hospital` as of DropFolder."""

    hospital: str | None
    at: Hl7Listener

    @property
    def name(self) -> str:
        """Its name among the listeners."""
        return _HL7_OF.format(hospital=self.hospital) if self.hospital else "HL7"

    @property
    def section(self) -> str:
        """The table that configures it."""
        return f"[hospital.reports.hl7] of {self.hospital}" if self.hospital else "[reports.hl7]"


def drop_folders(config: Config) -> Sequence[DropFolder]:
    """Every drop folder, the common one first: it is there even where each hospital has one of its own."""
    if not config.several:
        return [_folder(next(config.hospitals), SOLE, (), used=True)]
    own = {one.name: reports for one in config.hospital if (reports := _own_folder(config, one)) is not None}
    paths = [reports.folder for reports in own.values()]
    used = len(own) < len(config.hospital) or "folder" in config.reports.model_fields_set
    return [
        _folder(config, None, paths, used=used),
        *(_folder(one, name, [*paths, config.reports.folder], used=True) for name, one in _of(config, own)),
    ]


def hl7_ports(config: Config) -> Sequence[Hl7Port]:
    """Every HL7 listener, the common one first."""
    if not config.several:
        sole = next(config.hospitals).reports.hl7
        return [] if sole is None else [Hl7Port(hospital=SOLE, at=sole)]
    common = config.reports.hl7
    found = [] if common is None else [Hl7Port(hospital=None, at=common)]
    for one in config.hospital:
        own = None if one.reports is None else one.reports.hl7
        if own is not None and not (common is not None and own.port and own.port == common.port):
            found.append(Hl7Port(hospital=one.name, at=own))
    return found


def _own_folder(config: Config, one: Hospital) -> Reports | None:
    own = one.reports
    named = own is not None and "folder" in own.model_fields_set
    return own if named and own is not None and own.folder != config.reports.folder else None


def _of(config: Config, names: Sequence[str] | dict[str, Reports]) -> Iterator[tuple[str, HospitalConfig]]:
    for name in names:
        if (one := config.for_hospital(name)) is not None:
            yield name, one


def _folder(config: Config, hospital: str | None, others: Sequence[Path], *, used: bool) -> DropFolder:
    reports = config.reports
    inside = frozenset(path for path in others if path != reports.folder and path.is_relative_to(reports.folder))
    return DropFolder(
        hospital=hospital, path=reports.folder, settle=reports.settle, rescan=reports.rescan,
        keeps=reports.on_pickup == "keep", pattern=reports.name_pattern or "", without=inside, used=used,
    )  # fmt: skip
