"""The page architecture.md: files that are there, wings and layers as the test of imports has them."""

import re
from pathlib import Path

from test_layers import LAYERS, PACKAGE

TEXT = (PACKAGE / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = set(re.findall(r"`([\w/]+\.py)`", TEXT))
BESIDE = "matching/report_pdf"  # `content.py`, ... "beside it"


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_file_that_it_names_is_there() -> None:
    places = (PACKAGE, PACKAGE.parent, PACKAGE / BESIDE)
    assert len(FILES) > 40
    assert sorted(name for name in FILES if not any((place / name).is_file() for place in places)) == []


def test_its_table_has_every_wing_in_the_layer_of_the_imports_test() -> None:
    rows = [line for line in section("The wings").splitlines() if line.startswith("| ")][1:]
    wings = [set(re.findall(r"`(\w+)`", row.split(" | ")[1])) for row in rows]
    assert wings == [layer - {"__init__"} for layer in LAYERS]


def test_its_three_walks_begin_and_end_where_they_say() -> None:
    walks = {
        "An instance, from socket to destination": ("dicom/scp/", "catalogue/images/", "dicom/scu/"),
        "A report, from file to upload": ("reports/folder/", "catalogue/exams/", "forward/"),
        "An operator's decision": ("cli/queue/", "review/", "catalogue/exams/"),
    }
    for title, wings in walks.items():
        assert all(f"`{wing}" in section(title) for wing in wings), title


def test_every_library_that_has_one_door_is_in_the_table() -> None:
    setup = (Path(PACKAGE.parent) / "setup.cfg").read_text(encoding="utf-8")
    needed = setup.partition("install_requires =")[2].partition("[options.package_data]")[0]
    names = set(re.findall(r"^    ([a-z][\w-]+)", needed, re.MULTILINE)) - {"tzdata"}
    assert {name for name in names if name not in section("Libraries")} == set()
