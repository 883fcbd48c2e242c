"""Text from outside the node: what cannot be read for certain is marked, and agrees with nothing."""

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""Stands in a text for bytes that have no certain reading."""


def is_readable(text: str) -> bool:
    """Whether every character of the text is certain."""
    return UNREADABLE not in text
