"""Decoders of compressed pixel data that were installed after pydicom had looked for them.

pydicom looks when it is imported. A running node looks again when it reads its configuration again.
"""

import importlib
import sys
from contextlib import suppress
from types import ModuleType

from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # its documented place
from pydicom.uid import AllTransferSyntaxes

from router.errors import ConfigurationError

_PLUGINS = {label: f"pydicom.pixels.decoders.{label}" for label in ("pylibjpeg", "pillow", "gdcm", "pyjpegls")}


def look_again() -> None:
    """Find what was installed since; what was found before stays as it is. Not for two threads at once.

    Raises ConfigurationError when something is there and cannot be loaded.
    """
    try:
        importlib.invalidate_caches()
        _find_numpy()
        for place in _PLUGINS.values():
            importlib.reload(importlib.import_module(place))
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
    for label, place in _PLUGINS.items():
        if label not in decoder.available_plugins:  # type: ignore[attr-defined]
            with suppress(ValueError):  # the plug-in is not for this syntax
                decoder.remove_plugin(label)  # type: ignore[attr-defined]
                decoder.add_plugin(label, (place, "_decode_frame"))  # type: ignore[attr-defined]


def _find_numpy() -> None:
    """Give numpy to those modules of pydicom that were imported without it."""
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("pydicom.") and isinstance(module, ModuleType) and not getattr(module, "HAVE_NP", True):
            vars(module).update(np=numpy, HAVE_NP=True)
