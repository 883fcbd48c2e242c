"""The middle instance of a series, of which people are shown a picture."""

from dataclasses import replace

from router.catalogue import Catalogue
from router.catalogue.db.tables.images import Instance
from support.catalogue_rows import NOW, instance


def test_the_middle_instance_is_by_position_else_by_arrival_and_has_its_file(catalogue: Catalogue) -> None:
    def at(number: int, position: float | None, study: str = "1.2") -> None:
        new = instance(number, study)
        catalogue.instances.add([replace(new, header=replace(new.header, position=position))])

    for number, position in ((1, 30.0), (2, -10.0), (3, 10.0), (4, 20.0), (5, -20.0)):
        at(number, position)
    for number in (7, 9, 8):
        at(number, None, "1.3")
    assert [one.uids.sop for one in catalogue.series_members.middles("1.2")] == ["1.2.1.3"]
    catalogue.instances.add([instance(3, version=2, digest="again", study="1.2")])
    (middle,) = catalogue.series_members.middles("1.3")
    assert (middle.uids.sop, middle.count, middle.modality) == ("1.3.1.9", 3, "CT")
    (middle,) = catalogue.series_members.middles("1.2")
    assert (middle.uids.sop, middle.version, middle.count) == ("1.2.1.4", 1, 5), "one without a position: by arrival"
    with catalogue.engine.write():
        catalogue.engine.run(Instance.update(purged=NOW).where(Instance.sop_uid == "1.2.1.3"))
        catalogue.engine.run(Instance.update(damaged="x").where(Instance.sop_uid == "1.2.1.4"))
    (middle,) = catalogue.series_members.middles("1.2", "1.2.1")
    assert (middle.uids.sop, middle.count, middle.transfer_syntax) == ("1.2.1.2", 3, "1.2.840.10008.1.2.1")
    assert catalogue.series_members.middles("1.2", "1.9") == []
