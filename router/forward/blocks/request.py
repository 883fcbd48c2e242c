"""A request as a profile gives it: nothing of it is sent by the profile itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.forward.blocks.values import Document

Content = bytes | Document


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPart:
    """One part of a form. With `filename` form parsers take it for a file."""

    name: str
    content: Content
    content_type: str = "application/octet-stream"
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart/form-data body (RFC 7578); its Content-Type header comes with it."""

    parts: tuple[FormPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. `path` begins with "/" and goes behind the configured url; documents are streamed."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Content | Form = b""
    method: str = "POST"
