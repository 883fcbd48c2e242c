import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.crypto import der
from router.errors import InvalidData


@given(st.integers(min_value=0, max_value=2**300))
@settings(max_examples=100, deadline=None)
def test_integers_read_back(value: int) -> None:
    reader = der.Reader(der.integer(value))
    assert reader.integer() == value
    reader.end()


@given(st.binary(max_size=70_000))
@settings(max_examples=40, deadline=None)
def test_octets_of_any_length_read_back(value: bytes) -> None:
    inner = der.Reader(der.sequence(der.octets(value), der.bits(value))).sequence()
    assert (inner.octets(), inner.bits()) == (value, value)
    inner.end()


@pytest.mark.parametrize(
    "name", ["1.2.156.10197.1.301", "1.2.840.10045.2.1", "2.16.840.1.101.3.4.1.42", "2.999.128", "0.9"]
)
def test_object_identifiers_read_back(name: str) -> None:
    assert der.Reader(der.oid(name)).oid() == name


def test_the_curve_is_encoded_as_the_standard_says() -> None:
    assert der.oid("1.2.156.10197.1.301").hex() == "06082a811ccf5501822d"


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "02",
        "0200",
        "0201",
        "02020001",
        "020180",
        "0281017f",
        "02820001ff",
        "0280",
        "028000",
        "0285000000000101",
        "0401ff",
        "020201",
    ],
)
def test_an_integer_that_is_not_strict_der_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidData):
        der.Reader(bytes.fromhex(encoded)).integer()


@pytest.mark.parametrize("encoded", ["0600", "0680", "06022a81", "06032a8001"])
def test_a_broken_object_identifier_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidData):
        der.Reader(bytes.fromhex(encoded)).oid()


@pytest.mark.parametrize("encoded", ["0300", "030201ff"])
def test_a_bit_string_of_broken_octets_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidData):
        der.Reader(bytes.fromhex(encoded)).bits()


def test_trailing_bytes_are_refused() -> None:
    reader = der.Reader(der.integer(1) + b"\0")
    reader.integer()
    with pytest.raises(InvalidData, match="trailing"):
        reader.end()


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_bytes_read_or_are_invalid_and_nothing_else(data: bytes) -> None:
    for read in (der.Reader.integer, der.Reader.oid, der.Reader.bits, der.Reader.sequence):
        try:
            read(der.Reader(data))
        except InvalidData:
            continue
