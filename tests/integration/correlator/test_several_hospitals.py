"""Nothing crosses between hospitals: generated histories of five whose numbers are all alike.

`scripts/torture histories` lives through as many as one likes.
"""

from pathlib import Path

from support.hospital_witness import configured, in_memory


def test_nothing_crosses_between_hospitals_in_hundreds_of_histories(tmp_path: Path) -> None:
    lived = []
    for one in in_memory(range(400), configured(tmp_path)):
        if one.wrong:
            raise one.wrong
        lived.append(one)
    assert sum(one.reports for one in lived) > 100
    assert sum(one.images for one in lived) > 100
