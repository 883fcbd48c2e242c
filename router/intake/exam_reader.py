"""Reading of exam JSONs and HL7 messages by the RIS's mapping files and the code tables."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from router.config.file import Stamp, shipped, stamp_of
from router.config.sections import EXCLUDE_FIELDS, Config, HospitalConfig
from router.errors import ConfigurationError
from router.exam import codes, hl7_paths, mapping
from router.exam.codes import Table, Tables
from router.exam.fields import BY_PATH, TABLE_NAMES
from router.exam.key import ExamKey, key_of
from router.exam.mapping import RisMapping
from router.exam.read import read
from router.exam.sayings import misnamed, sayings
from router.reports.hl7 import hl7v2
from router.text.decoding import reading
from router.text.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class Hl7Mapping:
    """The mapping of HL7 messages, and the fields of a message that it asks for."""

    rules: RisMapping
    sources: frozenset[str]


class ExamReader:
    """Loaded when it is made; `refresh` takes up what has changed on disk. Threads may read while one refreshes."""

    tables: Tables
    mapping: RisMapping
    hl7: Hl7Mapping

    def __init__(self, config: Config) -> None:
        """ConfigurationError names every fault of every file, and every field of the exam that `config` misnames."""
        self._config = config
        several = not isinstance(config, HospitalConfig) and config.several
        self._readers = {one.own.name: ExamReader(one) for one in config.hospitals} if several else {}
        self._stamps = self._looked()
        faults = _misnamed(config)
        try:
            self._load()
        except ConfigurationError as error:
            faults += error.faults
        if faults:
            raise ConfigurationError("the configuration of the exam JSON has faults:", faults=tuple(faults))

    def adopt(self, fresh: "ExamReader") -> None:
        """Use another configuration and its files from now on."""
        self._config, self._stamps = fresh._config, fresh._stamps
        self._readers = fresh._readers
        self.tables, self.mapping, self.hl7 = fresh.tables, fresh.mapping, fresh.hl7

    def of(self, hospital: str) -> "ExamReader":
        """The reader of this hospital's documents; one that is not registered has the common one."""
        return self._readers.get(hospital, self)

    def read(self, data: bytes) -> dict[str, object]:
        """The exam JSON or HL7 message in `data` in the standard's structure; InvalidData when it is none."""
        if hl7v2.is_message(data):
            return self.mapped(self.message(data))
        document = read(data)
        return self.mapping.apply(document) if self._config.reports.mapping else document

    def key(self, document: Mapping[str, object], hospital: str, default_branch: str) -> ExamKey:
        """The key of a document that `read` gave; InvalidData when there is no ExamId."""
        zone, sexes = self._config.node.timezone, self.tables["sex"]
        return key_of(document, zone=zone, hospital=hospital, default_branch=default_branch, sexes=sexes)

    def said(self, data: bytes, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Values of the exam JSON in `data` under the names, as the RIS writes them and as they are mapped."""
        given = {} if hl7v2.is_message(data) else read(data)
        document = self.read(data)
        return {name: sayings(name, document, given, self.tables) for name in names}

    def message(self, data: bytes) -> hl7v2.Message:
        """The HL7 message in `data`, opened as [reports] hl7_repeat says; InvalidData when it is none."""
        return hl7v2.Message(data, self._config.reports.hl7_repeat)

    def mapped(self, message: hl7v2.Message) -> dict[str, object]:
        """The HL7 message in the standard's structure; with a preliminary result it approves nothing."""
        hl7 = self.hl7
        document = hl7.rules.apply(message.document([hl7_paths.parse(source) for source in hl7.sources]))
        order = document.get("Order")
        if isinstance(order, dict) and order.get("Status") == "Reported" and not message.is_final:
            order["Status"] = "Submitted"
        return {key: value for key, value in document.items() if key not in hl7.sources}

    def refresh(self) -> bool:
        """Load changed code tables and mapping files; whether any. ConfigurationError, once: the former ones stay."""
        stamps = self._looked()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        self._load()
        return True

    def file(self, name: str) -> Path:
        """The hospital's own table, else the shipped one."""
        own = self._config.codes.folder
        file = f"{name}.csv"
        return own / file if own is not None and (own / file).exists() else shipped("codes") / file

    def _load(self) -> None:
        tables: dict[str, Table] = {}
        faults: list[str] = []
        for name in TABLE_NAMES:
            path = self.file(name)
            try:
                complete = name in self._config.codes.complete
                tables[name] = codes.parse(_text(path), name, complete=complete)
            except ConfigurationError as error:
                faults += [f"{path}: {fault}" for fault in error.faults or (str(error),)]
        of_json = _mapping(self._config.reports.mapping, faults)
        of_hl7 = _mapping(self._hl7_file(), faults, of_hl7=True)
        if faults:
            raise ConfigurationError("the files of the exam JSON have faults:", faults=tuple(faults))
        self.tables = tables
        self.mapping = of_json
        sources = frozenset(str(source[0]) for rule in of_hl7.rules for source in rule.sources)
        self.hl7 = Hl7Mapping(of_hl7, sources)

    def _hl7_file(self) -> Path:
        return self._config.reports.hl7_mapping or shipped("hl7_mapping.toml")

    def _looked(self) -> list[Stamp | None]:
        files = [self.file(name) for name in TABLE_NAMES]
        mappings = (self._config.reports.mapping, self._hl7_file())
        return [stamp_of(path) for path in (*files, *mappings) if path is not None]


def _text(path: Path) -> str:
    """UTF-8 with or without BOM, or GB18030, as spreadsheet programs in China write CSV."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from error
    text = reading(data)
    if text is None:
        raise ConfigurationError("is neither UTF-8 nor GB18030 for certain", hint="save it as UTF-8")
    return text.removeprefix("\ufeff")


def _mapping(path: Path | None, faults: list[str], *, of_hl7: bool = False) -> RisMapping:
    """The mapping file's content; its faults are added to `faults`."""
    if path is None:
        return RisMapping()
    try:
        return mapping.parse(tomllib.loads(_text(path)), source=str(path), of_hl7=of_hl7)
    except tomllib.TOMLDecodeError as error:
        faults.append(f"{path}: is not TOML: {error}")
    except ConfigurationError as error:
        faults += [f"{path}: {fault}" for fault in error.faults or (str(error),)]
    return RisMapping()


def _misnamed(config: Config) -> list[str]:
    faults = [
        f"destination {destination.name}: accept_empty: {path!r} is not a field of appendix B"
        + did_you_mean(path, BY_PATH)
        for destination in config.destination
        for path in destination.accept_empty
        if path not in BY_PATH
    ]
    return faults + [
        f"share.exclude {rule.name!r}: {name!r}: {why}"
        for rule in config.share.exclude
        for name in (rule.model_extra or {}).keys() - EXCLUDE_FIELDS
        if (why := misnamed(name))
    ]
