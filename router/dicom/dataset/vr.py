"""Value representations (PS3.5 6.2): the sizes of their lengths, their numbers and their padding."""

LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Those whose length has four bytes in explicit VR (PS3.5 7.1.2)."""

TEXT_VRS = frozenset(
    {b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"PN", b"SH", b"ST", b"TM", b"UC", b"UR", b"UT"}
)
"""Those that a blank makes even; the others get a zero byte."""

NUMBER_BYTES = {
    b"AT": 2, b"OW": 2, b"SS": 2, b"US": 2,
    b"FL": 4, b"OF": 4, b"OL": 4, b"SL": 4, b"UL": 4,
    b"FD": 8, b"OD": 8, b"OV": 8, b"SV": 8, b"UV": 8,
}  # fmt: skip
"""Bytes of one number, for those that hold numbers; an AT holds two of 16 bits."""

VRS = LONG_VRS | TEXT_VRS | frozenset(NUMBER_BYTES) | {b"UI"}
