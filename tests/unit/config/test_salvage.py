"""A configuration file with faults: what commands that only look still learn from it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.file import shipped
from router.config.salvage import salvage, salvaged

BASE = Path("/srv/conf")
HOSPITAL = '[hospital]\nUSCI = "1"\nHospitalCode = "1"\nHospitalName = "1"\nHospitalBranchCode = "1"\n'
NODE = '[node]\ndata = "d"\nname = "n"\n'
TWICE = '[[destination]]\nname = "a"\n[destination.dicom]\n' * 2


@pytest.mark.parametrize(
    "text",
    [
        NODE + HOSPITAL,
        NODE,
        NODE + HOSPITAL + "[other]\nx = 1\n",
        NODE + HOSPITAL + '[receive]\nport = 99999\nmin_free = "much"\n',
        NODE + HOSPITAL + '[receive]\nhost = "10.1.2.3"\n',
        NODE + HOSPITAL + TWICE,
        NODE + HOSPITAL + "[[destination]]\n[destination.http]\nurl = 5\n",
        NODE + "x = 1\n" + HOSPITAL,
        NODE + "[receive\n" + HOSPITAL,
        NODE + "[receive]\nsenders = [\n  { ae_title = 'A' },\n" + HOSPITAL,
        NODE + NODE + HOSPITAL,
        NODE + 'name = "m"\n' + HOSPITAL,
        NODE + '[share]\nwhy = "no end\n' + HOSPITAL,
        'node.data = "d"\nnode.name = "n"\n[[[\n',
        "\ufeff" + NODE + HOSPITAL,
        NODE.replace("\n", "\r\n") + "[receive\r\n",
        '[[hospital]]\nname = "a"\n' + NODE,
    ],
)
def test_the_data_folder_and_the_name_are_found_beside_faults_elsewhere(text: str) -> None:
    config = salvaged(text, base=BASE)
    assert (config.node.data, config.node.owner) == (BASE / "d", "n")


@pytest.mark.parametrize("value", ["5", '""', "[]", '"d', "d"])
def test_a_data_folder_that_is_at_fault_itself_is_the_default(value: str) -> None:
    config = salvaged(f'[node]\nname = "n"\ndata = {value}\n', base=BASE)
    assert (config.node.data, config.node.owner) == (Path("/srv/data"), "n")


def test_where_the_database_is_is_found_too() -> None:
    config = salvaged('[database]\nurl = "postgresql://h/n"\n[receive]\nport = "x"\n' + NODE, base=BASE)
    assert config.database.url == "postgresql://h/n"


def test_a_sound_file_is_as_it_is_read(tmp_path: Path) -> None:
    text = shipped("router.toml").read_text(encoding="utf-8")
    (tmp_path / "router.toml").write_text(text, encoding="utf-8")
    assert salvage(tmp_path / "router.toml").node.data == tmp_path.parent / "data"


@given(st.binary(max_size=200))
def test_whatever_is_in_the_file_there_is_a_configuration(noise: bytes) -> None:
    assert salvaged(noise.decode("utf-8", "replace"), base=BASE).node.data.is_absolute()


@given(st.integers(0, 300), st.text(max_size=6))
def test_whatever_is_put_into_a_sound_file_the_rest_is_read(place: int, noise: str) -> None:
    text = NODE + HOSPITAL + TWICE
    salvaged(text[:place] + noise + text[place:], base=BASE)
