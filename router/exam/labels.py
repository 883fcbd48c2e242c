"""Labels of an exam JSON by which exams are grouped and put in order: department, modality, device, critical value."""

from collections.abc import Mapping
from dataclasses import dataclass

from router.exam.values import boolean, stripped

_LONGEST = 60  # characters of a label


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels of an exam, "" where its JSON does not give them. `department` is the one that did the exam (检查科室)."""

    department: str = ""
    modality: str = ""
    device: str = ""
    critical: bool = False


def labels_of(document: Mapping[str, object]) -> Labels:
    """The labels of a document as it is read, not filled."""
    order = _section(document, "Order")
    return Labels(
        department=_first(order, "ExecDepartmentName", "ExecDepartmentCode"),
        modality=_first(order, "ModalityCode"), device=_first(order, "DeviceAETitle", "DeviceModel"),
        critical=is_critical(document),
    )  # fmt: skip


def is_critical(document: Mapping[str, object]) -> bool:
    """Whether the report says a critical value (危急值)."""
    return boolean(_section(document, "Report").get("IsCritical")) is True


def _first(section: Mapping[str, object], *names: str) -> str:
    return next((text[:_LONGEST] for name in names if (text := stripped(section.get(name)))), "")


def _section(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    given = document.get(name)
    return given if isinstance(given, Mapping) else {}
