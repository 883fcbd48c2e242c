"""Parts that several sections of the configuration share: the base class, TLS, an HTTP peer, the rules of loopback."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from router.config.types import ConfigPath, Network, is_loopback

PROXY = r"^(http://[^/@]+)?$"


class Section(BaseModel):
    """A table of the file. Unknown keys are errors; the description of each field is the text of its key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, arbitrary_types_allowed=True)


def one_or_several(given: Any) -> Any:
    """Tables of which there may be one, [hospital], or several, [[hospital]]: a sequence in each case."""
    return given if isinstance(given, list | tuple) else (given,)


class Tls(Section):
    certificate: ConfigPath | None = Field(None, description="our own certificate, PEM")
    key: ConfigPath | None = Field(None, description="the key of the certificate, PEM; readable by its owner only")
    ca: ConfigPath | None = Field(None, description="the authorities whose certificates are accepted, PEM")


class _Peer(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def allow_plain(self) -> bool: ...
    @property
    def tls(self) -> Tls | None: ...


class _Listener(_Peer, Protocol):
    @property
    def senders(self) -> Sequence[object]: ...


_AnyPeer = TypeVar("_AnyPeer", bound=_Peer)
_AnyListener = TypeVar("_AnyListener", bound=_Listener)


def plain_only_on_loopback(peer: _AnyPeer) -> _AnyPeer:
    """The section as it is; ValueError where its host is beyond loopback, without TLS or allow_plain."""
    if peer.tls is None and not peer.allow_plain and not is_loopback(peer.host):
        raise ValueError(beyond_loopback(peer.host))
    return peer


def beyond_loopback(host: str) -> str:
    """The fault of a peer whose data would go in plain over a network."""
    return f"host {host!r} is beyond loopback: set tls, or allow_plain = true"


def nobody_named(host: str) -> str:
    """The fault of a listener beyond loopback that anyone may send to."""
    return f"senders: anyone may send on loopback only; host is {host!r}: name the senders"


def open_only_on_loopback(listener: _AnyListener) -> _AnyListener:
    """As `plain_only_on_loopback`; beyond loopback the senders are named, too."""
    if not listener.senders and not is_loopback(listener.host):
        raise ValueError(nobody_named(listener.host))
    return plain_only_on_loopback(listener)


def host_of(url: str) -> str:
    """The host's name or address, without the brackets of IPv6."""
    return re.sub(r"^https?://(?:[^/@]*@)?(\[[^\]]*\]|[^:/]*).*$", r"\1", url).strip("[]")


class HttpPeer(Section):
    """An HTTP server that the node calls, and the way to it."""

    url: Annotated[str, Field(pattern=r"^https?://[^/]+")] = Field("http://127.0.0.1:8443", description="its address")
    allow_plain: bool = Field(False, description="plain http beyond loopback")
    ca_file: ConfigPath | None = Field(None, description="for https: the authorities that its certificate may be of")
    client_certificate_file: ConfigPath | None = Field(None, description="our certificate, where the server wants one")
    client_key_file: ConfigPath | None = Field(None, description="the key of our certificate")
    proxy: Annotated[str, Field(pattern=PROXY)] = Field(
        "",
        description="the proxy on the way, none when empty: the environment's is never used; allowed_networks is then "
        "the proxy's",
    )
    source_address: str = Field("", description="our own address on the way, such as the dedicated line's (5.1)")
    allowed_networks: tuple[Network, ...] = Field((), description="a server that resolves elsewhere is refused")

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> Self:
        host = host_of(self.url)
        if self.url.startswith("http://") and not self.allow_plain and not is_loopback(host):
            # The whole URL is not shown: its path may be a secret, such as a webhook's token.
            raise ValueError(f"url to {host!r} is plain http beyond loopback: use https, or allow_plain = true")
        return self
