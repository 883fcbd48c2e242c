"""Offers of each source for the fields of an exam JSON, by their paths. Pure; `fill` decides which are used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from router.config.sections import Department, Device, Hospital
from router.exam.values import datetime_text, stripped
from router.model import NO_DEVICE

# In a hybrid study these name the exam; the CT or MR beside them is secondary.
_LEADING = ("PT", "NM")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """Facts of DICOM about one joined study.

    `study_date` is DA and TM joined, or yyyy-MM-dd HH:mm:ss; a day without a time is no source. `modality` may name
    several, separated by backslashes (0008,0061). `sending_ae` is the AE title that called.
    """

    uid: str
    accession_number: str = ""
    study_date: str = ""
    description: str = ""
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    station_name: str = ""
    serial_number: str = ""
    sending_ae: str = ""


def earliest_first(studies: Sequence[StudyFacts], zone: ZoneInfo) -> list[StudyFacts]:
    """The studies by date, whatever their order of arrival; those without a date last."""
    return sorted(studies, key=lambda study: (datetime_text(study.study_date, zone) or "9999", study.uid))


def hospital_offers(hospital: Hospital, branch: str) -> Mapping[str, object]:
    """The hospital's constants."""
    return {
        "USCI": hospital.USCI,
        "HospitalCode": hospital.HospitalCode,
        "HospitalName": hospital.HospitalName,
        "HospitalBranchCode": branch or hospital.HospitalBranchCode,
    }


def study_offers(studies: Sequence[StudyFacts], zone: ZoneInfo) -> tuple[Mapping[str, object], list[str]]:
    """Offers of the joined studies, each by the first study that has it, and the paths on which they differ."""
    imaging = [study for study in studies if not study.modality or image_modality(study.modality)]
    said: list[tuple[str, Sequence[StudyFacts], Callable[[StudyFacts], str]]] = [
        ("Order.AccessionNumber", studies, lambda study: study.accession_number),
        ("Order.DeviceName", imaging, lambda study: study.station_name),
        ("Order.DeviceManufacturer", imaging, lambda study: study.manufacturer),
        ("Order.DeviceModel", imaging, lambda study: study.model),
        ("Order.ModalityCode", imaging, lambda study: image_modality(study.modality)),
        ("Study.StudyDescription", studies, lambda study: study.description),
    ]
    offers: dict[str, object] = {}
    differ = []
    for path, those, tell in said:
        values = list(dict.fromkeys(value for value in (stripped(tell(study)) for study in those) if value))
        offers[path] = values[0] if values else ""
        differ += [path] if len(values) > 1 else []
    dates = (datetime_text(study.study_date, zone) for study in studies)
    offers["Study.StudyDate"] = next((day for day in dates if day), "")
    return offers, differ


def image_modality(modality: str) -> str:
    """The modality that made the images, out of one or several; "" when none did."""
    found = [m for m in map(stripped, modality.split("\\")) if m and m not in NO_DEVICE and not m.startswith("RT")]
    return min(found, key=lambda m: m not in _LEADING, default="")


def device_offers(studies: Sequence[StudyFacts], devices: Sequence[Device]) -> tuple[Mapping[str, object], str]:
    """Offers of the first configured device, by serial number before station name, and the department it names."""
    imaging = [study for study in studies if not study.modality or image_modality(study.modality)]
    for study in imaging:
        serial, station = stripped(study.serial_number), stripped(study.station_name)
        by_serial = (one for one in devices if one.serial_number and one.serial_number == serial)
        named = (one for one in devices if one.station_name and one.station_name == station)
        by_station = (one for one in named if not (one.serial_number and serial))  # they differ where both are known
        if (device := next(by_serial, None) or next(by_station, None)) is not None:
            return {f"Order.{key}": getattr(device, key) for key in _DEVICE_KEYS}, device.department
    return {}, ""


_DEVICE_KEYS = ("DeviceAETitle", "DeviceCode", "DeviceName", "DeviceManufacturer", "DeviceModel", "ExamRoom")


def sender_offers(studies: Sequence[StudyFacts], modality_aes: frozenset[str]) -> Mapping[str, object]:
    """Offer of the calling AE title where a modality called; a PACS's says nothing about the device."""
    calling = (stripped(study.sending_ae) for study in studies if not study.modality or image_modality(study.modality))
    return {"Order.DeviceAETitle": next((ae for ae in calling if ae in modality_aes), "")}


def department_offers(
    departments: Sequence[Department], given: Mapping[str, object], of_device: str, branch: str
) -> Mapping[str, object]:
    """Offers that complete a department named by code or name; the executing one also by device or modality."""
    offers: dict[str, object] = {}
    for role in ("Apply", "Exec"):
        path = f"Order.{role}Department"
        code, name = stripped(given.get(path + "Code")), stripped(given.get(path + "Name"))
        here = [one for one in departments if not one.branch or one.branch == branch]
        fit: list[Department] = []
        if code or name:
            fit = [one for one in here if (one.code == code if code and one.code else one.name == name)]
        elif role == "Exec":
            modality = stripped(given.get("Order.ModalityCode"))
            fit = [one for one in here if of_device and one.name == of_device]
            fit += [one for one in here if modality and modality in one.modalities]
        if fit:
            found = fit[0]
            values = {"Code": found.code, "Name": found.name, "CodeStd": found.code_std, "NameStd": found.name_std}
            offers |= {path + end: value for end, value in values.items()}
    return offers
