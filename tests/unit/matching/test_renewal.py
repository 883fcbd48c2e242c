"""Whether a newer version of an instance goes to who has an older one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.matching.images.renewal import AS_SENT, Fingerprint, Renewal, renewal
from router.matching.patient.identity import IdentityPolicy, StudyIdentity, contradictions
from router.model import Patient

PLAIN = IdentityPolicy()
IDENTITY = StudyIdentity(Patient("P0001", "Zhang^San=张^三", "19491231", "F"), "A0001", ("R0007",))
SENT = Fingerprint(IDENTITY, "as it lies", "pixels")


def newer(orientation: str = "as it lies", pixels: str = "pixels", **changes: str) -> Fingerprint:
    """The sent version with another patient's field or accession number, orientation or pixels."""
    accession = changes.pop("accession", "A0001")
    identity = replace(IDENTITY, patient=replace(IDENTITY.patient, **changes), accession_number=accession)
    return Fingerprint(identity, orientation, pixels)


def test_what_differs_in_nothing_that_matters_does_not_go() -> None:
    assert renewal(SENT, newer(), PLAIN) == Renewal(goes=False, doubt=False, why=AS_SENT)


@pytest.mark.parametrize(
    ("version", "names"),
    [
        (newer(pixels="others"), "pixel data"),
        (newer(orientation="the other way round"), "laterality, orientation or position"),
        (newer(patient_id=""), "patient"),
        (newer(name="Zhang^San"), "patient"),
        (newer(sex="O"), "patient"),
        (newer(birth_date="19490101"), "patient"),  # the year alone is known
        (newer(accession="A0002"), "accession number"),  # the request's number still agrees
        (newer(pixels="others", name="Zhang^San", accession=""), "patient, accession number, pixel data"),
    ],
)
def test_what_differs_in_something_that_matters_goes_and_says_in_what(version: Fingerprint, names: str) -> None:
    assert renewal(SENT, version, PLAIN) == Renewal(goes=True, doubt=False, why=f"sent before, differs in {names}")


def test_the_order_of_the_requests_says_nothing() -> None:
    one, other = (
        replace(SENT, identity=replace(IDENTITY, other_accession_numbers=n)) for n in (("1", "2"), ("2", "1"))
    )
    assert not renewal(one, other, PLAIN).goes


@pytest.mark.parametrize(
    ("version", "names"),
    [
        (newer(patient_id="P0002"), "patient id"),
        (newer(name="Li^Si=李^四"), "name"),
        (newer(name="Li^Si"), "name"),
        (newer(sex="M"), "sex"),
        (newer(birth_date="19501231"), "birth date"),
        (newer(patient_id="P0002", sex="M", pixels="others"), "patient id, sex"),
    ],
)
def test_another_patient_is_a_doubt_whatever_else_differs(version: Fingerprint, names: str) -> None:
    assert renewal(SENT, version, PLAIN) == Renewal(goes=True, doubt=True, why=f"contradicts what was sent in {names}")


def test_another_order_is_a_doubt() -> None:
    sent = replace(SENT, identity=replace(IDENTITY, other_accession_numbers=()))
    version = replace(SENT, identity=replace(sent.identity, accession_number="A0002"))
    assert renewal(sent, version, PLAIN).why == "contradicts what was sent in accession number"


def test_the_policy_says_which_patient_numbers_are_equal_and_which_say_nothing() -> None:
    policy = IdentityPolicy(strip="^0+", blank=frozenset({"TEMP"}))
    for written, doubt in (("00P1", False), ("TEMP", False), ("P2", True)):
        one, other = (replace(IDENTITY, patient=Patient(number)) for number in ("P1", written))
        assert (contradictions(one, other, policy) == ("patient id",)) == doubt


_TEXTS = st.sampled_from(
    ["", "0", "P1", "P2", "Zhang^San", "Zhang^San=张^三", "李^四", "M", "F", "19700101", "19700203"]
)
_IDENTITIES = st.builds(
    StudyIdentity, st.builds(Patient, _TEXTS, _TEXTS, _TEXTS, _TEXTS), _TEXTS, st.lists(_TEXTS, max_size=2).map(tuple)
)


@given(_IDENTITIES, _IDENTITIES)
def test_a_doubt_does_not_depend_on_which_came_first_and_the_same_again_is_none(
    one: StudyIdentity, other: StudyIdentity
) -> None:
    assert contradictions(one, one, PLAIN) == ()
    found = contradictions(one, other, PLAIN)
    assert found == contradictions(other, one, PLAIN)
    assert bool(found) <= (one != other)
