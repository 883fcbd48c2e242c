"""Reasons, in words, why an image of a transfer syntax has no picture."""

import re
from importlib.util import find_spec

from pydicom.uid import UID

from router.dicom.dataset.decoders import decodable


def is_installed() -> bool:
    """Whether the extra `preview` is."""
    return all(find_spec(name) for name in ("numpy", "PIL"))


def lack_of(syntax: str) -> str:
    """Why there is no picture of what is written so: nothing here decodes it; "" where something does."""
    uid = UID(syntax)
    if not uid.is_transfer_syntax or not uid.is_encapsulated or decodable(syntax):
        return ""
    name = re.split(r" Image Compression|,| \(", uid.name)[0]
    return f"no preview for {name}"
