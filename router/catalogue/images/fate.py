"""Fates: the states of an instance version at a destination."""

from enum import StrEnum

SENT_AND_REJECTED = "sent; a rejection note refers to it"
"""The rule of an instance that was sent before a rejection note came: the destination may remove it."""


class Fate(StrEnum):
    """State of an instance version at a destination.

    `selected` is still to be sent, `held` once a person has released it. `stored` was taken and is not committed yet.
    `damaged` waits for a sound file. `late` came too long after the delivery, and `cut` is not whole: both count once
    a person has released them. `withheld` names only another exam, which is not approved: it is decided again when
    that is. `gone` was selected, and its file was removed before it went: once the file is here again it is selected.
    The others are final.
    """

    SELECTED = "selected"
    HELD = "held"
    LATE = "late"
    CUT = "cut"
    WITHHELD = "withheld"
    FILTERED = "filtered"
    STORED = "stored"
    SENT = "sent"
    REFUSED = "refused"
    DAMAGED = "damaged"
    GONE = "gone"
