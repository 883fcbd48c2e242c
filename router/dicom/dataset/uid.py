"""UIDs from devices (PS3.5 9.1): lenient about their form, strict enough for a file name."""

import re
import uuid

from router.errors import InvalidData

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*\.?")


def random_uid(sixteen: bytes) -> str:
    """A UID that no one can guess, from sixteen random bytes (PS3.5 B.2)."""
    return f"2.25.{uuid.UUID(bytes=sixteen, version=4).int}"


def clean(value: str) -> str:
    """The value without padding: NUL as in the standard, blanks and line ends as from real devices."""
    return value.strip("\0 \r\n\t")


def valid(value: str) -> str:
    """The cleaned UID, safe as a file name: 1 to 64 digits and dots, no empty component.

    Leading zeros and a dot at the end are tolerated, since real devices send them. InvalidData otherwise; the error
    does not contain the value, which may be patient data.
    """
    cleaned = clean(value)
    if len(cleaned) > 64 or not _UID.fullmatch(cleaned):
        raise InvalidData("not a UID: expected 1 to 64 digits and dots (PS3.5 9.1)", length=len(cleaned))
    return cleaned


def undotted(value: str) -> str:
    """The valid UID without a dot at its end, as other objects refer to it."""
    return valid(value).removesuffix(".")
