"""Check digits and UIDs."""

import pytest

from router.exam.identifiers import citizen_birth_date, citizen_number_ok, citizen_sex, uid_ok, uid_strict, usci_ok


@pytest.mark.parametrize("code", ["91350100M000100Y43", "91110000600037341L", "121100004000000001"])
def test_real_credit_codes_pass(code: str) -> None:
    assert usci_ok(code)


@pytest.mark.parametrize(
    "code", ["91350100M000100Y44", "91350100M000100Y4", "91350100M000100Y4I", "", "9１350100M000100Y43"]
)
def test_other_credit_codes_do_not(code: str) -> None:
    assert not usci_ok(code)


def test_a_credit_code_may_begin_with_a_letter_and_its_sum_may_be_nothing() -> None:
    assert usci_ok("A1000000000000000J")
    assert usci_ok("000000000000000000")


def test_any_single_wrong_character_of_a_credit_code_is_found() -> None:
    code = "91350100M000100Y43"
    wrong = [code[:i] + c + code[i + 1 :] for i in range(18) for c in "0123456789ABCDEFGHJKLMNPQRTUWXY" if c != code[i]]
    assert not any(map(usci_ok, wrong))


@pytest.mark.parametrize("number", ["11010519491231002X", "11010519491231002x"])
def test_a_citizen_number_passes_with_either_x(number: str) -> None:
    assert citizen_number_ok(number)
    assert citizen_birth_date(number) == "1949-12-31"
    assert citizen_sex(number) == "2"


@pytest.mark.parametrize(
    "number", ["110105194912310021", "11010519491331002X", "1101051949123100", "X1010519491231002X"]
)
def test_a_wrong_citizen_number_does_not(number: str) -> None:
    assert not citizen_number_ok(number)


@pytest.mark.parametrize(
    ("uid", "ok", "strict"),
    [
        ("1.2.840.10008", True, True),
        ("1.2.0.3", True, True),
        ("1.2.078.3", True, False),
        ("1." + "2" * 62, True, True),
        ("1." + "2" * 63, False, False),
        ("1..2", False, False),
        ("1.2.", False, False),
        ("12", False, False),
        ("1.2\n", False, False),
        ("../1.2", False, False),
        ("1.２", False, False),
    ],
)
def test_a_uid_is_digits_and_dots(uid: str, ok: bool, strict: bool) -> None:
    assert (uid_ok(uid), uid_strict(uid)) == (ok, strict)
