"""Rules as data, and what each shipped rule decides."""

import csv
import time
from pathlib import Path

import pytest

from router.config.file import shipped
from router.errors import ConfigurationError
from router.model import SeriesClass, SeriesFacts, ThinLimit
from router.series.classify import NO_RULE, Rulebook, classify, used
from router.series.read import described_thickness
from router.series.rules import Rule, load, parse
from router.series.table import facts_of

TABLE = Path(__file__).parents[2] / "cases" / "series_headers.csv"
CT, MR, SC = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
KOS, ENHANCED_SR, RDSR = (f"1.2.840.10008.5.1.4.1.1.88.{n}" for n in (59, 22, 67))
THIN, KEY, SCOUT, DOSE = SeriesClass.THIN, SeriesClass.KEY, SeriesClass.SCOUT, SeriesClass.DOSE
IMAGE, OTHER = SeriesClass.IMAGE, SeriesClass.OTHER


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return Rulebook(load(shipped("series_rules.toml")))


def one(field: str, **condition: object) -> tuple[Rule, ...]:
    return parse({"rule": [{"name": "r", "class": "thin", field: condition}]}, source="test")


def holds(facts: SeriesFacts, field: str, **condition: object) -> bool:
    return classify(facts, Rulebook(one(field, **condition))).series_class is THIN


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


def test_ranges_may_exclude_their_end() -> None:
    facts = SeriesFacts(slice_distance=1.25)
    assert not holds(facts, "slice_distance", above=1.25)
    assert holds(facts, "slice_distance", above=1.2, below=1.3)
    assert not holds(facts, "slice_distance", below=1.25)


def test_one_of_several_parts_may_be_asked_for() -> None:
    assert holds(SeriesFacts(image_type=values(r"DERIVED\SECONDARY\MIP")), "image_type", contains=["MPR", "mip"])
    assert not holds(SeriesFacts(series_description="axial"), "series_description", contains=["cor", "sag"])


def test_the_number_thin_is_the_limit_of_modality_and_body_part() -> None:
    rules = one("slice_thickness", max="thin")
    limits = (ThinLimit("CT", 1.0, "CHEST"), ThinLimit("CT", 1.25), ThinLimit("MR", 1.5))
    for modality, part, thickness, thin in (
        ("CT", "Chest", 1.25, False), ("CT", "HEAD", 1.25, True), ("CT", "", 1.26, False), ("mr", "", 1.5, True),
        ("PT", "", 0.5, False),
    ):  # fmt: skip
        facts = SeriesFacts(modality=modality, body_part=part, slice_thickness=thickness)
        assert (classify(facts, Rulebook(rules, limits)) is not NO_RULE) is thin


def test_a_rule_tells_which_facts_it_used() -> None:
    rule = parse(
        {"rule": [{"name": "r", "class": "thin", "modality": {"equals": "CT"}, "slice_thickness": {"max": 1}}]},
        source="test",
    )[0]
    assert used(SeriesFacts(modality="CT", slice_thickness=0.5), rule) == {"modality": "CT", "slice_thickness": 0.5}


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
    assert classify(SeriesFacts(modality="CT", kernel="B"), Rulebook(both)) == both[0]
    assert classify(SeriesFacts(modality="CT"), Rulebook(both)) == both[1]
    assert classify(SeriesFacts(modality="MR"), Rulebook(both)) is NO_RULE


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
slice_thickness = { max = "thick" }
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
        "slice_thickness.max = 'thick': expected a number",
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
        ("slice_thickness", {"equals": "thin"}),
        ("slice_thickness", {"above": "thick"}),
        ("series_description", {"contains": []}),
        ("kind", 3),
    ],
)
def test_a_condition_must_fit_its_field(field: str, condition: object) -> None:
    with pytest.raises(ConfigurationError, match=field):
        parse({"rule": [{"name": "r", "class": "thin", "kernel": {"present": True}, field: condition}]}, source="test")


@pytest.mark.parametrize("text", ["[[rules]]\n", "rule = 1\n", "not toml", '[[rule]]\nclass = "thin"\n'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        load(path)


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load(tmp_path / "none.toml")


SIEMENS, GE, PHILIPS, CANON = "SIEMENS", "GE MEDICAL SYSTEMS", "Philips", "TOSHIBA"
GSPS, PDF, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.104.1", CT + ".1"
AXIAL = values(r"ORIGINAL\PRIMARY\AXIAL")


def derived(rest: str) -> tuple[str, ...]:
    return values("DERIVED\\SECONDARY\\" + rest)


# For each shipped rule at least one header as its maker writes it.
CASES: list[tuple[str, SeriesClass, SeriesFacts]] = [
    ("rejection note", OTHER, SeriesFacts("KO", KOS, concept_name="113001|DCM|Rejected for Quality Reasons")),
    ("rejection note", OTHER, SeriesFacts("KO", KOS, concept_name="113039|DCM|Data Retention Policy Expired")),
    *(
        ("key object by title", KEY, SeriesFacts("KO", KOS, concept_name=f"{code}|DCM|x"))
        for code in (113000, 113002, 113003, 113004, 113005, 113006, 113007, 113008, 113009, 113013, 113018, 113020,
                     113021, 113036)
    ),
    ("documents and derived objects", OTHER, SeriesFacts("KO", KOS, concept_name="113010|DCM|Quality Issue")),
    ("documents and derived objects", OTHER, SeriesFacts("KO", KOS, concept_name="113030|DCM|Manifest")),
    ("presentation state of a key image", KEY, SeriesFacts("PR", GSPS, content_label="KEY_IMAGES")),
    ("documents and derived objects", OTHER, SeriesFacts("PR", GSPS, content_label="ANNOTATIONS")),
    ("presentation state described as key images", KEY, SeriesFacts("PR", GSPS, series_description="关键图像")),
    ("radiation dose SR", DOSE, SeriesFacts("SR", RDSR, SIEMENS, series_description="Dose Report")),
    ("radiation dose SR", DOSE, SeriesFacts("SR", RDSR.replace(".67", ".68"), series_description="RRDSR")),
    ("SR titled as a dose report", DOSE, SeriesFacts("SR", ENHANCED_SR, GE, concept_name="x|99GEMS|Dose Record")),
    ("SR described as a dose report", DOSE, SeriesFacts("SR", ENHANCED_SR, series_description="剂量报告")),
    ("PDF titled as a dose report", DOSE, SeriesFacts("DOC", PDF, document_title="CT Dose Report")),
    ("documents and derived objects", OTHER, SeriesFacts("DOC", PDF, document_title="Consent")),
    ("documents and derived objects", OTHER,
     SeriesFacts("SR", ENHANCED_SR, concept_name="A-10|99SMS_CTMR|Phoenix ZIP Acquisition Report")),
    ("documents and derived objects", OTHER, SeriesFacts("RTDOSE", "1.2.840.10008.5.1.4.1.1.481.2")),
    ("modality of documents and derived objects", OTHER, SeriesFacts("PR", "1.2.3")),
    ("ImageType DOSE_INFO", DOSE, SeriesFacts("CT", SC, PHILIPS, image_type=derived("DOSE_INFO"))),
    ("ImageType DOSE_INFO", DOSE, SeriesFacts("CT", SC, image_type=derived("\\DOSEINFO"), series_number=4000)),
    ("GE screen save 999", DOSE, SeriesFacts("CT", SC, GE, image_type=derived("SCREEN SAVE"), series_number=999)),
    ("Siemens patient protocol", DOSE,
     SeriesFacts("CT", SC, SIEMENS, image_type=derived("OTHER\\CT_SOM5 PROT"), series_number=501)),
    ("Toshiba dose page by window", DOSE,
     SeriesFacts("CT", SC, CANON, image_type=("DERIVED", "SECONDARY"), window_center=0.0, window_width=1.0)),
    ("Toshiba summary 9000", DOSE,
     SeriesFacts("CT", SC, CANON, image_type=("DERIVED", "SECONDARY"), series_number=9000)),
    ("described as a dose page", DOSE, SeriesFacts("CT", SC, series_description="剂量报告")),
    ("described as a dose page", DOSE, SeriesFacts("CT", SC, "Hitachi", series_description="Dose Info.")),
    ("CT image described as a dose page", DOSE, SeriesFacts("CT", CT, PHILIPS, series_description="Dose Info")),
    ("thin slices", THIN,
     SeriesFacts("CT", CT, PHILIPS, image_type=AXIAL, series_description="iDose (4) 1.0", slice_thickness=1.0)),
    ("angiography exam protocol", DOSE, SeriesFacts("XA", SC, SIEMENS, series_description="Exam Protocol")),
    ("ImageType LOCALIZER", SCOUT,
     SeriesFacts("CT", CT, GE, image_type=values(r"ORIGINAL\PRIMARY\LOCALIZER"), slice_thickness=650.18)),
    ("ImageType LOCALIZER", SCOUT,
     SeriesFacts("CT", CT, PHILIPS, image_type=values(r"ORIGINAL\PRIMARY\LOCALIZER\PS"), slice_thickness=0.625)),
    ("FrameType LOCALIZER", SCOUT,
     SeriesFacts("CT", ENHANCED_CT, image_type=values(r"ORIGINAL\PRIMARY\MIXED\NONE"),
                 frame_type=values(r"ORIGINAL\PRIMARY\LOCALIZER\NONE"), slice_thickness=0.6)),
    ("Siemens topogram by ImageType", SCOUT, SeriesFacts("CT", CT, SIEMENS, image_type=derived("AXIAL\\CT_SOM5 TOP"))),
    ("ImageType REF_SURVIEW", SCOUT,
     SeriesFacts("CT", SC, PHILIPS, image_type=derived("REF_SURVIEW"), slice_thickness=0.625)),
    ("ScanOptions of a localizer", SCOUT, SeriesFacts("CT", CT, GE, scan_options="SCOUT MODE")),
    ("Toshiba scanogram filter", SCOUT, SeriesFacts("CT", CT, CANON, series_description="2.0", kernel="FL03")),
    ("Siemens topogram kernel", SCOUT, SeriesFacts("CT", CT, SIEMENS, kernel="Tr20f", slice_thickness=0.6)),
    ("CT stack with a localizer's word", IMAGE,
     SeriesFacts("CT", CT, SIEMENS, series_description="Localizer  5.0  B40f", instance_count=17)),
    ("CT described as a localizer", SCOUT, SeriesFacts("CT", CT, SIEMENS, series_description="Topogram  0.6  Xx")),
    ("CT described as a localizer", SCOUT, SeriesFacts("CT", CT, "UIH", series_description="胸部定位像")),
    ("CT described as a localizer", SCOUT, SeriesFacts("CT", CT, "FUJIFILM", series_description="SCANOGRAM")),
    ("thin slices", THIN,
     SeriesFacts("CT", CT, GE, image_type=AXIAL, series_description="SCOUT + HELICAL", slice_thickness=1.25)),
    ("thin slices", THIN, SeriesFacts("CT", CT, "NMS", series_description="放疗定位", slice_thickness=1.0)),
    ("Siemens topogram kernel in the description", SCOUT,
     SeriesFacts("CT", CT, SIEMENS, series_description="Supine APtop  1.0  T20s")),
    ("Toshiba scanogram filter in the description", SCOUT,
     SeriesFacts("CT", CT, CANON, series_description="///FL02/ORG/")),
    ("Toshiba scanogram by count", SCOUT, SeriesFacts("CT", CT, CANON, series_description="2.0", instance_count=2)),
    ("image SOP class", IMAGE, SeriesFacts("CT", CT, CANON, series_description="2.0", instance_count=80)),
    ("CT described by the views of a localizer", SCOUT,
     SeriesFacts("CT", CT, GE, series_description="AP/LAT", instance_count=2)),
    ("PT described as a localizer", SCOUT, SeriesFacts("PT", "1.2.840.10008.5.1.4.1.1.128", SIEMENS,
     series_description="Topogram", instance_count=1)),
    ("MR described as a localizer", SCOUT, SeriesFacts("MR", MR, PHILIPS, series_description="Survey_MST")),
    ("MR described as a localizer", SCOUT, SeriesFacts("MR", MR, SIEMENS, series_description="AAHead_Scout")),
    ("MR described as a localizer", SCOUT, SeriesFacts("MR", MR, "UIH", series_description="三平面定位")),
    ("MR described as loc", SCOUT, SeriesFacts("MR", MR, GE, series_description="3planeLocBH*Abdomen*")),
    ("MR described as loc", SCOUT, SeriesFacts("MR", MR, GE, series_description="AX LOC")),
    ("GE three-plane localizer", SCOUT, SeriesFacts("MR", MR, GE, series_description="3-pl T2* FGRE S")),
    ("image SOP class", IMAGE, SeriesFacts("MR", MR, series_description="T1-AXIAL-LOCATOR")),
    ("image SOP class", IMAGE, SeriesFacts("MR", MR, series_description="VELOCITY")),
    ("image SOP class", IMAGE, SeriesFacts("MR", MR, series_description="Localization")),
    ("result of an algorithm", IMAGE,
     SeriesFacts("CT", SC, "UIH", image_type=derived("OTHER\\UAI"), series_description="uAI_nodule_feature")),
    ("screen save of a projection", IMAGE, SeriesFacts("CT", SC, GE, image_type=derived("SCREEN SAVE\\AVERAGE"))),
    ("GE screen save", KEY, SeriesFacts("CT", SC, GE, image_type=derived("SCREEN SAVE"), series_number=99)),
    ("described as key images", KEY, SeriesFacts("CT", SC, SIEMENS, series_description="Key Images")),
    ("described as key images", KEY, SeriesFacts("CT", SC, "Vital", series_description="VI Snapshot (54)")),
    ("tomosynthesis", IMAGE,
     SeriesFacts("CT", CT, "HOLOGIC, Inc.", image_type=values(r"DERIVED\PRIMARY\TOMO"), slice_thickness=1.0)),
    ("fused images", IMAGE, SeriesFacts("CT", CT, image_type=derived("FUSED"), slice_thickness=1.0)),
    ("projection", IMAGE, SeriesFacts("CT", CT, PHILIPS, image_type=derived("MIP"), slice_thickness=1.0)),
    ("projection", IMAGE, SeriesFacts("CT", CT, SIEMENS, image_type=derived("CSA MIP"), slice_thickness=1.0)),
    ("rendering", IMAGE, SeriesFacts("CT", CT, image_type=derived("VRT"), slice_thickness=1.0)),
    ("reformat", IMAGE, SeriesFacts("CT", CT, image_type=derived("MPR"), slice_thickness=1.0)),
    ("computed map", IMAGE, SeriesFacts("CT", ENHANCED_CT, image_type=derived("PERFUSION\\RCBF"), slice_thickness=1.0)),
    ("CT in another plane", IMAGE, SeriesFacts("CT", CT, orientation="COR", slice_thickness=1.0)),
    ("described as fused", IMAGE, SeriesFacts("CT", CT, series_description="FUSED LUNG", slice_thickness=1.0)),
    ("described as a projection", IMAGE, SeriesFacts("CT", CT, series_description="Thin MIP", slice_thickness=1.0)),
    ("described as a rendering", IMAGE, SeriesFacts("CT", CT, series_description="VRT", slice_thickness=1.0)),
    ("described as a reformat", IMAGE, SeriesFacts("CT", CT, series_description="冠状位重建", slice_thickness=1.0)),
    ("thin slices", THIN,
     SeriesFacts("CT", CT, SIEMENS, image_type=AXIAL, series_description="CorCTA 0.75 Bv40 MIP", slice_thickness=0.75)),
    ("bolus tracking", IMAGE, SeriesFacts("CT", CT, GE, series_description="Smart Prep Series", slice_thickness=1.25)),
    ("thin CT slices far apart", IMAGE,
     SeriesFacts("CT", CT, SIEMENS, image_type=AXIAL, slice_thickness=1.0, slice_count=28, slice_distance=10.0)),
    ("thin slices", THIN, SeriesFacts("CT", CT, slice_thickness=1.25, slice_count=300, slice_distance=0.625)),
    ("thin slices", THIN, SeriesFacts("CT", ENHANCED_CT, slice_thickness=0.5)),
    ("thin CT slices spaced apart", IMAGE, SeriesFacts("CT", CT, slice_thickness=1.0, spacing_between_slices=10.0)),
    ("thin slices by their distance", THIN, SeriesFacts("CT", CT, SIEMENS, slice_count=3, slice_distance=1.0)),
    ("thick slices", IMAGE, SeriesFacts("CT", CT, GE, slice_thickness=5.0, slice_count=90, slice_distance=1.25)),
    ("thin slices by their description", THIN,
     SeriesFacts("CT", CT, SIEMENS, series_description="PE  1.0  B20f", described_thickness=1.0)),
    ("image SOP class", IMAGE, SeriesFacts("MR", MR, slice_thickness=1.0)),
    ("image SOP class", IMAGE, SeriesFacts("DX", "1.2.840.10008.5.1.4.1.1.1.1", "Mindray")),
    ("has pixels", IMAGE, SeriesFacts("OT", "1.3.12.2.1107.5.9.1", image_rows=512)),
    ("no rule", OTHER, SeriesFacts("OT", "1.3.12.2.1107.5.9.1")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "series_class", "facts"), CASES)
def test_a_shipped_rule_decides(book: Rulebook, rule: str, series_class: SeriesClass, facts: SeriesFacts) -> None:
    decided = classify(facts, book)
    assert (decided.name, decided.series_class) == (rule, series_class)


def test_every_shipped_rule_has_a_case(book: Rulebook) -> None:
    assert {rule.name for rule in book.rules} == {name for name, _, _ in CASES} - {NO_RULE.name}


@pytest.mark.parametrize(
    ("description", "manufacturer", "thickness"),
    [
        ("Thorax  1.0  B60f", "SIEMENS", 1.0),
        ("DE_Abdomen A  1.0  Qr40  2  M_0.6", "SIEMENS", 1.0),
        ("1.0 x 0.8_SD THINS", "UIH", 1.0),
        ("RECON_1_25x1_0mm_Lung", "", 1.25),
        ("LUNG_1MM", "Philips", 1.0),
        ("ABD_PELVIS_3_75MM", "GE MEDICAL SYSTEMS", 3.75),
        ("层厚0.625毫米", "NMS", 0.625),
        (",CE,Vol,1.0,Vol.,,", "TOSHIBA", 1.0),
        ("Body 5.0 CE", "Canon", 5.0),
        ("Body 5.0 CE", "GE MEDICAL SYSTEMS", None),
        ("10 MA, 0.5 SEC", "GE MEDICAL SYSTEMS", None),
        ("FOV 16.5cm", "", None),
    ],
)
def test_the_thickness_in_a_description_is_read(description: str, manufacturer: str, thickness: float | None) -> None:
    assert described_thickness(description, manufacturer) == thickness


def test_a_table_of_headers_as_makers_write_them_is_classified(book: Rulebook) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = {
        row["row_id"]: (said, row["class"])
        for row in rows
        if (said := str(classify(facts_of(row), book).series_class)) != row["class"]
    }
    assert not wrong
    assert len(rows) >= 60


def test_a_table_may_lack_columns_and_hold_wrong_numbers() -> None:
    row = {
        "modality": "CT",
        "slice_thickness": "1 mm",
        "fg_slice_thickness": "",
        "series_number": "7.0",
        "z_spacing_from_ipp": "0",
    }
    assert facts_of(row) == SeriesFacts(modality="CT", series_number=7)


def test_rules_take_thousands_of_headers_a_second(book: Rulebook) -> None:
    """`scripts/bench series` measures; this only notices a rule that makes it ten times slower."""
    facts = [one for _, _, one in CASES] * 10
    before = time.process_time()
    for one in facts:
        classify(one, book)
    assert len(facts) / (time.process_time() - before) > 2000
