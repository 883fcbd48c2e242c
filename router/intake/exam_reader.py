"""Reading of exam JSONs and HL7 messages by the RIS's mapping files and the code tables."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from router.config.file import Stamp, shipped, stamp_of
from router.config.folders import SOLE
from router.config.sections import EXCLUDE_FIELDS, Config, HospitalConfig
from router.errors import ConfigurationError
from router.exam import codes, hl7_paths, mapping, xml_document
from router.exam.codes import Table, Tables
from router.exam.fields import BY_PATH, TABLE_NAMES
from router.exam.key import ExamKey, institution_of, key_of
from router.exam.mapping import RisMapping
from router.exam.read import read
from router.exam.sayings import misnamed, sayings
from router.intake.document import branch_named
from router.intake.origin import name_of, origin_of
from router.matching.exam.destinations import SHORT
from router.matching.exam.institution import UNREGISTERED, hospital_of, hospital_of_facility
from router.reports.hl7 import hl7v2
from router.text.decoding import reading
from router.text.spelling import did_you_mean


def given_in(data: bytes) -> dict[str, object]:
    """The exam JSON or XML in `data` as the RIS wrote it; InvalidData when it is none."""
    return xml_document.read(data) if xml_document.is_xml(data) else read(data)


@dataclass(frozen=True, slots=True)
class Hl7Mapping:
    """The mapping of HL7 messages, and the fields of a message that it asks for."""

    rules: RisMapping
    sources: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A document as it is read, and the hospital that it is filed under.

    Of an HL7 message: the hospital that its sending facility names, None where it names none, and the PDF in it.
    """

    document: Mapping[str, object]
    hospital: str
    sender: str | None = None
    pdf: bytes | None = None


class ExamReader:
    """Loaded when it is made; `refresh` takes up what has changed on disk. Threads may read while one refreshes.

    It reads by the common files; `of` gives the reader of a hospital, which reads by those of its own.
    """

    tables: Tables
    mapping: RisMapping
    hl7: Hl7Mapping

    def __init__(self, config: Config) -> None:
        """ConfigurationError names every fault of every file, and every field of the exam that `config` misnames."""
        self._config = config if config.several else next(config.hospitals)
        self._stamps = self._looked()
        faults = _misnamed(self._config)
        try:
            self._load()
        except ConfigurationError as error:
            faults += error.faults
        one_alone = isinstance(self._config, HospitalConfig)
        self._registry = {} if one_alone else {one.own.name: one for one in config.hospitals}
        self._readers, faults_of_others = _readers(config, self._registry)
        if faults := list(dict.fromkeys([*faults, *faults_of_others])):
            raise ConfigurationError("the configuration of the exam JSON has faults:", faults=tuple(faults))

    def adopt(self, fresh: "ExamReader") -> None:
        """Use another configuration and its files from now on."""
        self._config, self._stamps = fresh._config, fresh._stamps
        self._registry, self._readers = fresh._registry, fresh._readers
        self.tables, self.mapping, self.hl7 = fresh.tables, fresh.mapping, fresh.hl7

    def of(self, hospital: str) -> "ExamReader":
        """The reader of this hospital's documents; one that is not registered has the common one."""
        return self._readers.get(hospital, self)

    @property
    def read_by(self) -> tuple[object, ...]:
        """All that documents are read by: it differs where one may be read otherwise than before."""
        own = (self.mapping, self.hl7.rules, self._config.reports.hl7_repeat)
        return own + tuple((name, reader.read_by) for name, reader in self._readers.items())

    # -- what comes

    def open(self, data: bytes, origin: str | None) -> Opened:
        """Read an exam JSON that came by the way of hospital `origin`, None: by a shared one; InvalidData: it is none.

        On a shared way the common mapping tells the hospital, whose own files then read the document.
        """
        reader = self if origin is None else self.of(origin)
        document = reader.read(data)
        hospital = self._filed_under(document, None, origin)
        if (own := self.of(hospital)) is not reader:
            document = own.read(data)
        return Opened(document=document, hospital=hospital)

    def open_message(self, data: bytes, origin: str | None) -> Opened:
        """Likewise an HL7 message, whose sending facility (MSH-4) may tell the hospital on a shared way."""
        reader = self if origin is None else self.of(origin)
        message = reader.message(data)
        document = reader.mapped(message)
        sender = hospital_of_facility(message.facility, self._config.hospital) if self._config.several else None
        hospital = self._filed_under(document, sender, origin)
        if (own := self.of(hospital)) is not reader:
            message = own.message(data)
            document = own.mapped(message)
        return Opened(document=document, hospital=hospital, sender=sender, pdf=message.pdf())

    def _filed_under(self, document: Mapping[str, object], sender: str | None, origin: str | None) -> str:
        """Nothing tells for certain whose a document is whose sender is another hospital than that of its way."""
        if not self._config.several:
            return self._config.hospital[0].name
        if origin is not None and sender not in (None, origin):
            return UNREGISTERED
        return hospital_of(institution_of(document), sender if origin is None else origin, self._config.hospital)

    def key_in(self, document: Mapping[str, object], hospital: str, stem: str) -> ExamKey:
        """The key of a document that comes under this name; InvalidData when there is no ExamId.

        Exams of no registered hospital are kept apart by what their JSON says of the institution.
        """
        own = self._config if isinstance(self._config, HospitalConfig) else self._registry.get(hospital)
        branch = "" if own is None else branch_named(own.own, name_of(stem, hospital))
        key = self.of(hospital).key(document, hospital, branch)
        apart = hospital == UNREGISTERED and any(key.institution)
        return replace(key, branch="/".join([*filter(None, key.institution), key.branch])) if apart else key

    def stored(self, data: bytes, stem: str, hospital: str = "") -> tuple[Mapping[str, object], ExamKey]:
        """A stored document and its key, by its name; `hospital`: where it is filed, "" where nobody wrote that down.

        InvalidData as `open`, and when there is no ExamId.
        """
        if hospital not in ("", UNREGISTERED):
            document: Mapping[str, object] = self.of(hospital).read(data)
        else:
            origin = origin_of(stem)[0] if self._config.several else SOLE
            opened = self.open_message(data, origin) if hl7v2.is_message(data) else self.open(data, origin)
            document, hospital = opened.document, opened.hospital
        return document, self.key_in(document, hospital, stem)

    # -- reading

    def read(self, data: bytes) -> dict[str, object]:
        """The exam JSON, XML or HL7 message in `data` in the standard's structure; InvalidData when it is none."""
        if hl7v2.is_message(data):
            return self.mapped(self.message(data))
        if xml_document.is_xml(data):
            return xml_document.standard(self.mapping.apply(xml_document.read(data)))
        document = read(data)
        return self.mapping.apply(document) if self._config.reports.mapping else document

    def origins(self, data: bytes) -> dict[str, str]:
        """By field, the line of the mapping file that gives it in this document; InvalidData when it is none."""
        if hl7v2.is_message(data):
            rules = self.hl7.rules
            return rules.origins(self.message(data).document([hl7_paths.parse(one) for one in self.hl7.sources]))
        return self.mapping.origins(given_in(data))

    def key(self, document: Mapping[str, object], hospital: str, default_branch: str) -> ExamKey:
        """The key of a document that `read` gave; InvalidData when there is no ExamId."""
        zone, sexes = self._config.node.timezone, self.tables["sex"]
        return key_of(document, zone=zone, hospital=hospital, default_branch=default_branch, sexes=sexes)

    def said(self, data: bytes, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Values of the exam JSON in `data` under the names, as the RIS writes them and as they are mapped."""
        given = {} if hl7v2.is_message(data) else given_in(data)
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
        changed, faults = False, list[str]()
        for reader in (self, *self._readers.values()):
            try:
                changed |= reader._renew()
            except ConfigurationError as error:
                faults += error.faults
        if faults:
            raise ConfigurationError("the files of the exam JSON have faults:", faults=tuple(faults))
        return changed

    def _renew(self) -> bool:
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


def _readers(
    common: Config, registry: Mapping[str, HospitalConfig]
) -> tuple[dict[str, ExamReader], list[str]]:  # fmt: skip
    """The readers of the hospitals that have files of their own, and the faults of all of them."""
    readers, faults = dict[str, ExamReader](), list[str]()
    for name, own in registry.items():
        found = _misnamed_of_share(own) if own.share != common.share else []
        try:
            if _read_by(own) != _read_by(common):
                readers[name] = ExamReader(own)
        except ConfigurationError as error:
            found = [*error.faults]
        faults += [f"hospital {name}: {fault}" for fault in found]
    return readers, faults


def _read_by(config: Config) -> tuple[object, ...]:
    """The keys of the configuration that say how documents are read."""
    reports = config.reports
    return config.codes, reports.mapping, reports.hl7_mapping, reports.hl7_repeat


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
    """Faults of the names that the configuration gives to fields of the exam."""
    faults = [
        f"destination {destination.name}: accept_empty: {path!r} is not a field of appendix B"
        + did_you_mean(path, BY_PATH)
        for destination in config.destination
        for path in destination.accept_empty
        if path not in BY_PATH
    ]
    faults += [
        f"destination {destination.name}: accept: {name!r}: {why}"
        for destination in config.destination
        for rule in destination.accept
        for name in rule.model_extra or {}
        if (why := _misnamed_of_rule(name))
    ]
    return faults + _misnamed_of_share(config)


def _misnamed_of_rule(name: str) -> str:
    """The reason why a rule of [[destination.accept]] cannot ask for the name; "" where it can."""
    if name in SHORT:
        return ""
    if name in ("hospital", "hospitals"):
        return "hospitals = [...] is a key of [[destination]] itself"
    near = did_you_mean(name, SHORT)
    return misnamed(name) or (near and f"not a field of appendix B{near} A key of the RIS is $.{name}")


def _misnamed_of_share(config: Config) -> list[str]:
    return [
        f"share.exclude {rule.name!r}: {name!r}: {why}"
        for rule in config.share.exclude
        for name in (rule.model_extra or {}).keys() - EXCLUDE_FIELDS
        if (why := misnamed(name))
    ]
