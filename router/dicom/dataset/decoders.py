"""Decoders of compressed pixel data: those that pydicom finds here, also when they are installed later.

pydicom looks for them when it is imported. A running node looks again when it reloads its configuration.
"""

import importlib
import struct
import sys
from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType

from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # its documented place
from pydicom.uid import UID, AllTransferSyntaxes

from router.errors import ConfigurationError

_NEEDED = {
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
}
_PLUGINS = {label: f"pydicom.pixels.decoders.{label}" for label in ("pylibjpeg", "pillow", "gdcm", "pyjpegls")}

UNDECODABLE = (
    RuntimeError, ValueError, AttributeError, NotImplementedError, LookupError, TypeError, EOFError, struct.error,
    AssertionError,
)  # fmt: skip  # what pydicom and its plugins raise on broken or unusual pixel data


def can_decompress() -> None:
    """Raises ConfigurationError that names what is missing when pixel data cannot be decoded here."""
    missing = [name for uid, name in _NEEDED.items() if not get_decoder(uid).is_available]
    if missing or find_spec("numpy") is None:
        raise ConfigurationError(
            f"destination.dicom.decompress is set, but nothing here decodes {', '.join(missing or _NEEDED.values())}",
            hint="pip install 'imaging-cloud-router[decompress]', or set decompress = false",
        )


def decodable(syntax: str) -> bool:
    """Whether compressed pixel data in this transfer syntax can be decoded here."""
    try:
        return bool(UID(syntax).is_encapsulated and get_decoder(UID(syntax)).is_available)
    except (NotImplementedError, ValueError):
        return False


def look_again() -> None:
    """Find what was installed since; what was found before stays as it is. Not for two threads at once.

    Raises ConfigurationError when something is there and cannot be loaded.
    """
    try:
        importlib.invalidate_caches()
        _find_numpy()
        for module in _PLUGINS.values():
            importlib.reload(importlib.import_module(module))
        for syntax in AllTransferSyntaxes:
            if syntax.is_encapsulated:
                with suppress(NotImplementedError):  # pydicom decodes none such
                    _find_plugins(get_decoder(syntax))
    except Exception as error:  # whatever a package raises that is half installed
        raise ConfigurationError(
            f"a decoder of pixel data cannot be loaded: {type(error).__name__}",
            hint="pip install --force-reinstall 'imaging-cloud-router[decompress]'",
        ) from error


def _find_plugins(decoder: object) -> None:
    for label, module in _PLUGINS.items():
        if label not in decoder.available_plugins:  # type: ignore[attr-defined]
            with suppress(ValueError):  # the plug-in is not for this syntax
                decoder.remove_plugin(label)  # type: ignore[attr-defined]
                decoder.add_plugin(label, (module, "_decode_frame"))  # type: ignore[attr-defined]


def _find_numpy() -> None:
    """Give numpy to those modules of pydicom that were imported without it."""
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("pydicom.") and isinstance(module, ModuleType) and not getattr(module, "HAVE_NP", True):
            vars(module).update(np=numpy, HAVE_NP=True)
