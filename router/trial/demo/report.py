"""Documents of the demo's RIS for a study: the report as PDF, and the exam JSON of appendix A. People are invented."""

import datetime
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from router.config.sections import Hospital
from router.text.decoding import is_readable
from router.trial.demo.studies import DemoStudy

FINDINGS = "双肺纹理清晰，右肺上叶见一磨玻璃结节，直径约 6 mm，边界清。纵隔未见肿大淋巴结，双侧胸腔未见积液。"
IMPRESSION = "右肺上叶磨玻璃结节，建议年度随访。"
_FONT = "STSong-Light"
_CHARACTERS_A_LINE = 40
_DEPARTMENTS = {"CT": ("32.02", "CT诊断专业"), "MR": ("32.03", "磁共振成像诊断专业")}
_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def report_pdf(
    path: Path, *, hospital: str, patient_name: str, exam_id: str, accession_number: str, findings: str = FINDINGS,
    impression: str = IMPRESSION,
) -> None:  # fmt: skip
    """Write a report of one page (DB11 6.3) whose text names the patient, the exam and the accession number."""
    from reportlab.lib.pagesizes import A4  # of the extra `demo`; the first exam does without
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    lines = [
        f"姓名：{patient_name}", f"检查号：{accession_number}", f"检查记录：{exam_id}", "",
        "检查所见：", *_wrapped(findings), "", "印象：", *_wrapped(impression),
    ]  # fmt: skip
    page = Canvas(str(path), pagesize=A4, invariant=True)
    page.setFont(_FONT, 18)
    page.drawCentredString(A4[0] / 2, 780, f"{hospital} 影像诊断报告")
    text = page.beginText(60, 740)
    text.setFont(_FONT, 12, leading=20)
    text.textLines(lines)
    page.drawText(text)
    page.save()


def plain_pdf(lines: Sequence[str]) -> bytes:
    """A report of one page in ASCII, of a font that every reader has (PDF 1.4, ISO 32000-1 9.6.2.2)."""
    escaped = [re.sub(r"([\\()])", r"\\\1", line) for line in lines]
    shown = "".join(f"({line}) Tj T*\n" for line in escaped)
    content = f"BT /F1 12 Tf 20 TL 60 760 Td\n{shown}ET"
    fonts = "<< /Font << /F1 5 0 R >> >>"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources {fonts} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    written, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(written))
        written += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
    end += f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return (written + end).encode("ascii")


def _wrapped(text: str) -> list[str]:
    return [text[start : start + _CHARACTERS_A_LINE] for start in range(0, len(text), _CHARACTERS_A_LINE)]


def exam_json(
    study: DemoStudy, hospital: Hospital, *, exam_id: str, submitted: datetime.datetime,
    approved: datetime.datetime | None,
) -> dict[str, Any]:  # fmt: skip
    """The exam JSON, complete by appendix B when `approved` is given; a draft has another Status and no approval.

    Times are the hospital's local ones, written without zone as in the standard. Values that the study's headers lack
    are invented, the same for the same study.
    """
    document: dict[str, Any] = {"ExamId": exam_id}
    for name in ("USCI", "HospitalCode", "HospitalName", "HospitalBranchCode"):
        document[name] = getattr(hospital, name)
    document["Order"] = _order(study, "Reported" if approved else "Submitted", _studied(study, submitted))
    document["Visit"] = _visit(study)
    document["Patient"] = _patient(study, submitted)
    document["Report"] = _report(submitted, approved)
    document["Study"] = {
        "ImageCount": len(study.files),
        "StudyDate": _written(_studied(study, submitted)),
        "StudyDescription": study.description,
        "StudyInstanceUIDs": [study.uid],
    }
    return document


def accession_number(study: DemoStudy) -> str:
    """The study's accession number, or an invented one."""
    return study.accession_number or invented_accession_number(study)


def invented_accession_number(study: DemoStudy) -> str:
    """An invented accession number, the same for the same study."""
    return f"A{_number(study, 8)}"


def spoken_name(study: DemoStudy) -> str:
    """The patient's name as a RIS writes it: Chinese characters without separator, else the first group's words.

    A group without a certain reading is ignored: a RIS knows its patients from elsewhere.
    """
    groups = [group for group in study.patient.name.split("=") if is_readable(group)] or [""]
    chosen = next((group for group in groups if re.search(r"[一-鿿]", group)), groups[0])
    separator = "" if re.search(r"[一-鿿]", chosen) else " "
    return separator.join(part for part in re.split(r"[\^ ]+", chosen) if part) or "测试患者"


def _order(study: DemoStudy, status: str, studied: datetime.datetime) -> dict[str, Any]:
    code, name = _DEPARTMENTS.get(study.modality, ("32", "医学影像科"))
    registered = _written(studied - datetime.timedelta(minutes=20))
    return {
        "AccessionNumber": accession_number(study),
        "ApplyDepartmentName": "呼吸内科", "ApplyDepartmentCode": "0301",
        "ApplyDepartmentNameStd": "内科", "ApplyDepartmentCodeStd": "03",
        "ApplyDoctorName": "王申请", "ApplyDoctorCode": "110000000000001",
        "ApplyTime": registered, "CheckInTime": registered, "RegisterTime": registered,
        "DeviceAETitle": "CT01",
        "ExecDepartmentCode": "3201", "ExecDepartmentName": "放射科",
        "ExecDepartmentCodeStd": code, "ExecDepartmentNameStd": name,
        "HisOrderCode": f"H{_number(study, 10)}",
        "ModalityCode": study.modality or "OT",
        "Status": status,
        "Procedures": [{
            "CheckItemCode": "CT001", "CheckItemName": "胸部平扫", "BodyPartCode": "CHEST", "BodyPartName": "胸部",
            "CheckItemCodeStd": "210300001", "CheckItemNameStd": "胸部平扫",
            "BodyPartCodeStd": "0301", "BodyPartNameStd": "胸部",
        }],
    }  # fmt: skip


def _visit(study: DemoStudy) -> dict[str, Any]:
    return {
        "ClinicalNumber": f"M{_number(study, 8)}", "InpatientNumber": "", "PatientType": "1",
        "VisitSerialNumber": f"V{_number(study, 12)}", "ClinicalDiagnosis": "咳嗽待查",
    }  # fmt: skip


def _patient(study: DemoStudy, today: datetime.datetime) -> dict[str, Any]:
    birth = _date(study.patient.birth_date) or datetime.date(1970, 1, 1)
    sex = {"M": "1", "F": "2"}.get(study.patient.sex, "0")
    return {
        "AgeDisplay": f"{max(today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day)), 0)}岁",
        "DateOfBirth": birth.isoformat(), "Gender": sex, "IdNo": _identity_number(study, birth, sex), "IdNoType": "01",
        "Name": spoken_name(study), "PatientId": study.patient.patient_id or f"P{_number(study, 8)}",
        "Telephone": f"130{_number(study, 8)}",
    }  # fmt: skip


def _report(submitted: datetime.datetime, approved: datetime.datetime | None) -> dict[str, Any]:
    report: dict[str, Any] = {
        "SubmitDoctorName": "李报告", "SubmitDoctorCode": "D001", "SubmitTime": _written(submitted),
        "Findings": FINDINGS, "Impression": IMPRESSION, "IsCritical": False, "PositiveStatus": 1,
    }  # fmt: skip
    if approved:
        report |= {
            "ApproveDoctorCode": "D002", "ApproveDoctorName": "赵审核",
            "ApproveDoctorCertificateNo": "110000000000002", "ApproveTime": _written(approved),
        }  # fmt: skip
    return report


def _identity_number(study: DemoStudy, birth: datetime.date, sex: str) -> str:
    """An invented citizen identity number that agrees with birth date and sex (GB 11643-1999)."""
    order = 2 * int(_number(study, 2)) + (1 if sex == "1" else 0)
    digits = f"110105{birth:%Y%m%d}".replace(" ", "0") + f"{order:03}"
    total = sum(weight * int(digit) for weight, digit in zip(_IDENTITY_WEIGHTS, digits, strict=True))
    return digits + "10X98765432"[total % 11]


def _studied(study: DemoStudy, otherwise: datetime.datetime) -> datetime.datetime:
    date, time = _date(study.date), study.time[:6].ljust(6, "0")
    if date is None or not re.fullmatch(r"([01]\d|2[0-3])[0-5]\d[0-5]\d", time):
        return otherwise
    return datetime.datetime.combine(date, datetime.time(int(time[:2]), int(time[2:4]), int(time[4:])))


def _date(written: str) -> datetime.date | None:
    try:
        return datetime.date(int(written[:4]), int(written[4:6]), int(written[6:])) if len(written) == 8 else None
    except ValueError:
        return None


def _written(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _number(study: DemoStudy, digits: int) -> str:
    invented = random.Random(f"{study.uid}/{digits}")  # noqa: S311 - an invented number, the same each time
    return "".join(str(invented.randrange(10)) for _ in range(digits))
