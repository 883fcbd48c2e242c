"""Rules as data, what each shipped rule decides, and what a destination gets."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from router.config import shipped
from router.errors import ConfigurationError
from router.model import SeriesClass, SeriesFacts
from router.series.classify import NO_RULE, classify
from router.series.rules import Rule, load, parse
from router.series.select import Choice, Classified, select

DATA = Path(__file__).parents[3] / "shared" / "data"
CT, MR, SC = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
KOS, ENHANCED_SR, RDSR = (f"1.2.840.10008.5.1.4.1.1.88.{n}" for n in (59, 22, 67))
THIN, KEY, SCOUT, DOSE = SeriesClass.THIN, SeriesClass.KEY, SeriesClass.SCOUT, SeriesClass.DOSE
IMAGE, OTHER = SeriesClass.IMAGE, SeriesClass.OTHER


@pytest.fixture(scope="module")
def rules() -> tuple[Rule, ...]:
    return load(shipped("series_rules.toml"))


def one(field: str, **condition: object) -> tuple[Rule, ...]:
    return parse({"rule": [{"name": "r", "class": "thin", field: condition}]}, source="test")


def holds(facts: SeriesFacts, field: str, **condition: object) -> bool:
    return classify(facts, one(field, **condition))[0] is THIN


def values(image_type: str) -> tuple[str, ...]:
    return tuple(image_type.split("\\"))


def test_text_conditions_ignore_case() -> None:
    facts = SeriesFacts(modality="CT", series_description="Head SCOUT 定位像")
    assert holds(facts, "modality", equals="ct")
    assert holds(facts, "modality", one_of=["MR", "ct"])
    assert holds(facts, "series_description", contains="scout")
    assert holds(facts, "series_description", matches="^head.*定位")
    assert not holds(facts, "series_description", equals="scout")
    assert not holds(facts, "series_description", matches="^scout")
    assert not holds(facts, "modality", one_of=["MR", "C"])


def test_image_type_is_asked_by_value_or_as_a_whole() -> None:
    facts = SeriesFacts(image_type=values(r"ORIGINAL\PRIMARY\LOCALIZER"))
    assert holds(facts, "image_type", contains="localizer")
    assert not holds(facts, "image_type", contains="LOCAL")
    assert holds(facts, "image_type", matches=r"PRIMARY\\LOCAL")
    assert holds(facts, "image_type", equals=r"original\primary\localizer")


def test_numbers_have_ranges_with_both_ends() -> None:
    for thickness, inside in ((0.5, True), (1.25, True), (1.26, False), (0.4, False)):
        assert holds(SeriesFacts(slice_thickness=thickness), "slice_thickness", min=0.5, max=1.25) is inside
    assert not holds(SeriesFacts(), "slice_thickness", max=1.25)
    assert holds(SeriesFacts(series_number=999), "series_number", one_of=[999, 10999])
    assert holds(SeriesFacts(series_number=999), "series_number", equals=999)


def test_presence_can_be_asked_both_ways() -> None:
    assert holds(SeriesFacts(kernel="B30f"), "kernel", present=True)
    assert holds(SeriesFacts(), "kernel", present=False)
    assert not holds(SeriesFacts(), "image_type", present=True)
    assert not holds(SeriesFacts(slice_thickness=0.0), "slice_thickness", present=False)


def test_the_first_rule_that_holds_decides() -> None:
    two = [
        {"name": "a", "class": "scout", "modality": {"equals": "CT"}, "kernel": {"present": True}},
        {"name": "b", "class": "thin", "modality": {"equals": "CT"}},
        {"name": "c", "class": "key", "modality": {"equals": "CT"}},
    ]
    both = parse({"rule": two}, source="test")
    assert classify(SeriesFacts(modality="CT", kernel="B"), both) == (SCOUT, "a")
    assert classify(SeriesFacts(modality="CT"), both) == (THIN, "b")
    assert classify(SeriesFacts(modality="MR"), both) == (OTHER, NO_RULE)


def test_every_fault_is_reported_with_line_rule_and_key(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        """\
[[rule]]
name = "good"
class = "thin"
modality = { equals = "CT" }

[[rule]]
name = "bad"
class = "thick"
modalty = { equals = "CT" }
modality = { like = "CT", matches = "(" }
slice_thickness = { max = "thin" }
kernel = "B"

[[rule]]
name = "good"
class = "key"
""",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    text = str(caught.value)
    for fault in (
        "rule 'bad' (line 6): class = 'thick'",
        "modalty: unknown field",
        "modality.like = 'CT': unknown condition",
        "modality.matches = '(': expected a regular expression",
        "slice_thickness.max = 'thin': expected a number",
        "kernel = 'B': expected a condition",
        "rule 'good' (line 14): no condition",
        "rule 'good' (line 14): name: another rule has it",
    ):
        assert fault in text
    assert len(caught.value.faults) == 8


@pytest.mark.parametrize(
    ("field", "condition"),
    [
        ("slice_thickness", {"contains": "1"}),
        ("modality", {"min": 1}),
        ("modality", {"equals": 1}),
        ("modality", {"one_of": "CT"}),
        ("modality", {"one_of": []}),
        ("modality", {"matches": 1}),
        ("series_number", {"equals": True}),
        ("kernel", {"present": "yes"}),
        ("kernel", {}),
    ],
)
def test_a_condition_must_fit_its_field(field: str, condition: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=field):
        parse({"rule": [{"name": "r", "class": "thin", field: condition}]}, source="test")


@pytest.mark.parametrize("text", ["[[rules]]\n", "rule = 1\n", "not toml", '[[rule]]\nclass = "thin"\n'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        load(path)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("facts", "series_class", "rule"),
    [
        (SeriesFacts("KO", KOS, concept_name="113000|DCM|Of Interest"), KEY, "key object by title"),
        (SeriesFacts("KO", KOS, concept_name="113013|DCM|Best In Set"), KEY, "key object by title"),
        (SeriesFacts("KO", KOS, concept_name="113001|DCM|Rejected"), OTHER, "documents and derived objects"),
        (SeriesFacts("KO", KOS, concept_name="113010|DCM|Quality Issue"), OTHER, "documents and derived objects"),
        (SeriesFacts("KO", KOS, concept_name="113030|DCM|Manifest"), OTHER, "documents and derived objects"),
        (SeriesFacts("SR", RDSR, series_description="Dose Report"), DOSE, "radiation dose SR"),
        (SeriesFacts("SR", ENHANCED_SR, concept_name="x|99|Dose Record"), DOSE, "SR titled as a dose report"),
        (
            SeriesFacts("SR", ENHANCED_SR, concept_name="A-10|99SMS_CTMR|Phoenix ZIP Acquisition Report"),
            OTHER,
            "documents and derived objects",
        ),
        (SeriesFacts("PR", "1.2.3"), OTHER, "modality of documents and derived objects"),
        (SeriesFacts("RTDOSE", "1.2.840.10008.5.1.4.1.1.481.2"), OTHER, "documents and derived objects"),
        (SeriesFacts("CT", SC, image_type=values(r"DERIVED\SECONDARY\DOSE_INFO")), DOSE, "ImageType DOSE_INFO"),
        (
            SeriesFacts("CT", SC, image_type=values(r"DERIVED\SECONDARY\SCREEN SAVE"), series_number=999),
            DOSE,
            "GE screen save 999",
        ),
        (
            SeriesFacts("CT", SC, image_type=values(r"DERIVED\SECONDARY\SCREEN SAVE"), series_number=99),
            IMAGE,
            "derived CT",
        ),
        (
            SeriesFacts("CT", SC, image_type=values(r"DERIVED\SECONDARY\OTHER\CT_SOM5 PROT")),
            DOSE,
            "Siemens patient protocol",
        ),
        (SeriesFacts("CT", SC, series_description="剂量报告"), DOSE, "described as a dose page"),
        (SeriesFacts("CT", CT, series_description="iDose (4) 1.0", slice_thickness=1.0), THIN, "thin CT"),
        (
            SeriesFacts("CT", CT, image_type=values(r"ORIGINAL\PRIMARY\LOCALIZER"), slice_thickness=0.625),
            SCOUT,
            "ImageType LOCALIZER",
        ),
        (SeriesFacts("CT", SC, image_type=values(r"DERIVED\SECONDARY\REF_SURVIEW")), SCOUT, "ImageType REF_SURVIEW"),
        (SeriesFacts("CT", CT, scan_options="SCOUT MODE"), SCOUT, "ScanOptions of a localizer"),
        (SeriesFacts("CT", CT, series_description="2.0", kernel="FL03"), SCOUT, "Toshiba scanogram filter"),
        (SeriesFacts("CT", CT, series_description="Topogram  0.6  Xx"), SCOUT, "described as a localizer"),
        (SeriesFacts("CT", CT, series_description="胸部定位像"), SCOUT, "described as a localizer"),
        (SeriesFacts("CT", CT, series_description="AP  0.6  T20s"), SCOUT, "Siemens topogram kernel"),
        (SeriesFacts("MR", MR, series_description="AX LOC"), SCOUT, "MR described as loc"),
        (SeriesFacts("MR", MR, series_description="T1-AXIAL-LOCATOR"), IMAGE, "image SOP class"),
        (SeriesFacts("MR", MR, series_description="VELOCITY"), IMAGE, "image SOP class"),
        (SeriesFacts("CT", SC, series_description="Key Images"), KEY, "described as key images"),
        (
            SeriesFacts("CT", CT, image_type=values(r"DERIVED\PRIMARY\AXIAL\MPR"), slice_thickness=1.0),
            IMAGE,
            "derived CT",
        ),
        (SeriesFacts("CT", CT, image_type=values(r"DERIVED\PRIMARY\TOMO"), slice_thickness=1.0), IMAGE, "derived CT"),
        (SeriesFacts("CT", CT, slice_thickness=1.25), THIN, "thin CT"),
        (SeriesFacts("CT", CT + ".1", slice_thickness=0.5), THIN, "thin CT"),
        (SeriesFacts("CT", CT, slice_thickness=5.0), IMAGE, "image SOP class"),
        (SeriesFacts("MR", MR, slice_thickness=1.0), IMAGE, "image SOP class"),
        (SeriesFacts("DX", "1.2.840.10008.5.1.4.1.1.1.1"), IMAGE, "image SOP class"),
        (SeriesFacts("OT", "1.3.12.2.1107.5.9.1", image_rows=512), IMAGE, "has pixels"),
        (SeriesFacts("OT", "1.3.12.2.1107.5.9.1"), OTHER, NO_RULE),
    ],
)
def test_a_shipped_rule_decides(
    rules: tuple[Rule, ...], facts: SeriesFacts, series_class: SeriesClass, rule: str
) -> None:
    assert classify(facts, rules) == (series_class, rule)


def instances(*rows: tuple[str, SeriesClass, float | None, str]) -> list[Classified]:
    return [Classified(key, *row) for key, row in enumerate(rows)]


def chosen(choices: tuple[Choice, ...]) -> dict[int, bool]:
    return {choice.key: choice.selected for choice in choices}


def test_classes_wanted_go_at_once_and_others_stay_with_a_reason() -> None:
    study = instances(("1", THIN, 1.0, "CT"), ("2", SCOUT, None, "CT"), ("3", OTHER, None, "PR"))
    choices = select(study, frozenset({THIN, IMAGE}), complete=False)
    assert chosen(choices) == {0: True, 1: False, 2: False}
    assert [choice.rule for choice in choices] == [
        "class thin",
        "class scout is not wanted",
        "class other is not wanted",
    ]


def test_images_wait_for_the_complete_study_where_thin_slices_may_still_come() -> None:
    study = instances(("1", IMAGE, 5.0, "CT"), ("2", SCOUT, None, "CT"))
    wanted = frozenset({THIN, SCOUT})
    assert chosen(select(study, wanted, complete=False)) == {1: True}
    assert chosen(select(study, wanted, complete=True)) == {0: True, 1: True}


def test_thick_slices_stay_where_thin_ones_go() -> None:
    study = instances(("1", THIN, 1.0, "CT"), ("2", IMAGE, 5.0, "CT"))
    for complete in (False, True):
        assert chosen(select(study, frozenset({THIN}), complete=complete)) == {0: True, 1: False}


def test_without_thin_slices_the_thinnest_series_of_each_modality_goes() -> None:
    study = instances(
        ("1", IMAGE, 5.0, "CT"),
        ("2", IMAGE, 3.0, "CT"),
        ("3", IMAGE, 3.0, "CT"),
        ("4", IMAGE, 6.0, "MR"),
        ("5", IMAGE, None, "CT"),
    )
    choices = select(study, frozenset({THIN}), complete=True)
    assert chosen(choices) == {0: False, 1: True, 2: True, 3: True, 4: False}
    assert "thinnest series (3 mm)" in next(choice.rule for choice in choices if choice.key == 1)


def test_a_modality_without_slices_goes_whole() -> None:
    study = instances(("1", IMAGE, None, "DX"), ("2", IMAGE, None, "DX"), ("3", THIN, 1.0, "CT"))
    assert chosen(select(study, frozenset({THIN}), complete=True)) == {0: True, 1: True, 2: True}


def test_a_destination_that_wants_no_slices_gets_none() -> None:
    study = instances(("1", IMAGE, 5.0, "CT"), ("2", KEY, None, "KO"))
    assert chosen(select(study, frozenset({KEY}), complete=False)) == {0: False, 1: True}


def number(text: str) -> float | None:
    return float(text) if text else None


def whole(text: str) -> int | None:
    return int(float(text)) if text else None


def row_facts(row: dict[str, str]) -> SeriesFacts:
    texts = ("modality", "sop_class_uid", "manufacturer", "manufacturer_model", "series_description",
             "study_description", "protocol_name", "body_part", "scan_options", "kernel", "concept_name")  # fmt: skip
    wholes = ("series_number", "number_of_frames", "image_rows")
    return SeriesFacts(
        **{name: row[name] for name in texts},  # type: ignore[arg-type]  # columns have the names of the fields
        **{name: whole(row[name]) for name in wholes},  # type: ignore[arg-type]  # as above
        image_type=values(row["image_type"]) if row["image_type"] else (),
        slice_thickness=number(row["slice_thickness"] or row["fg_slice_thickness"]),
    )


def test_real_headers_are_classified_well_enough(rules: tuple[Rule, ...], tmp_path: Path) -> None:
    if not (DATA / "headers.csv").exists():
        pytest.skip("the labelled headers are not on this machine")
    with (DATA / "headers.csv").open(encoding="utf-8") as table:
        predictions = {row["row_id"]: classify(row_facts(row), rules)[0] for row in csv.DictReader(table)}
    (tmp_path / "predictions.json").write_text(json.dumps(predictions), encoding="utf-8")
    command = [sys.executable, str(DATA / "score.py"), str(tmp_path / "predictions.json")]
    report = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    lenient = float(report.partition("lenient accuracy")[2].split(":")[1].split()[0])
    assert lenient >= 0.97, report
