"""Identifiers that can be checked by themselves: UIDs, social credit codes, citizen identity numbers."""

import re
from datetime import date

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_USCI = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")
_USCI_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCI_VALUES = {character: value for value, character in enumerate(_USCI_ALPHABET)}
_USCI_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_CITIZEN = re.compile(r"[0-9]{17}[0-9Xx]")
_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"
_REGIONS = {1: range(1, 6), 2: range(1, 4), 3: range(1, 8), 4: range(1, 7), 5: range(5), 6: range(1, 6), 7: (1,),
            8: (1, 2, 3), 9: (1,)}  # fmt: skip
_PROVINCES = frozenset(f"{region}{place}" for region, places in _REGIONS.items() for place in places)


def uid_ok(uid: str) -> bool:
    """Whether it is at most 64 digits and dots without an empty component (PS3.5 9.1); leading zeros pass."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


def uid_strict(uid: str) -> bool:
    """Whether `uid_ok`, and no component but "0" itself begins with a zero (PS3.5 9.1)."""
    return uid_ok(uid) and not any(part[0] == "0" and part != "0" for part in uid.split("."))


def usci_ok(code: str) -> bool:
    """Whether it is 18 characters of which the last is the check character of the others (GB 32100-2015)."""
    if _USCI.fullmatch(code) is None:
        return False
    total = sum(_USCI_VALUES[c] * weight for c, weight in zip(code, _USCI_WEIGHTS, strict=False))
    return _USCI_VALUES[code[17]] == (31 - total % 31) % 31


def citizen_number_ok(number: str) -> bool:
    """Whether it is 18 characters with a real date of birth and the right check digit, X or x (GB 11643-1999)."""
    if _CITIZEN.fullmatch(number) is None or citizen_birth_date(number) == "":
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _CITIZEN_WEIGHTS, strict=False))
    return number[17].upper() == _CITIZEN_CHECKS[total % 11]


def citizen_division_ok(number: str) -> bool:
    """Whether the first two digits are a province's (GB/T 2260), or 91, a foreigner's with permanent residence.

    83 is the residence permit's of people of Taiwan. The counties behind them change too often to be listed here.
    """
    return number[:2] in _PROVINCES


def citizen_birth_date(number: str) -> str:
    """The yyyy-MM-dd that digits 7 to 14 hold; "" when they are no date."""
    text = f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
    try:
        date.fromisoformat(text)
    except ValueError:
        return ""
    return text


def citizen_sex(number: str) -> str:
    """The GB/T 2261.1 code that the 17th digit holds: odd is male, "1"; even is female, "2"."""
    return "1" if int(number[16]) % 2 else "2"
