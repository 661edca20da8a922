"""An address, checked before anything is sent to it: how, to which host and port, and for what it asks."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from pixel2style2pixel_cli.errors import in_one_line
from pixel2style2pixel_cli.zoo.limits import SourceError

PORTS = {"http": 80, "https": 443}
LONGEST = 8192  # characters; signed addresses of stores have about 2,000
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A sound http or https address; ``host`` is ASCII in lower case, ``target`` the path with its query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What a login belongs to."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """Host and port as they stand in an address and in the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.netloc}{self.target}"


def parse_address(text: str, base: Address | None = None) -> Address:
    """Read an address, one that may be relative to ``base`` for a redirect; SourceError unless it can be asked."""
    what = "is no address" if base is None else "redirects to no address"
    shown = in_one_line(text)[:100]
    if len(text) > LONGEST or any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise SourceError(f"{what} ({shown})")
    try:
        parts = urlsplit(text.strip() if base is None else urljoin(base.text, text.strip()))
        host, port, login = parts.hostname or "", parts.port, parts.username or parts.password
    except ValueError as error:  # brackets without an IPv6 number between them, ports that are none
        raise SourceError(f"{what} ({shown})") from error
    if parts.scheme not in PORTS:
        scheme = f"{parts.scheme}:" if parts.scheme else shown
        raise SourceError(f"is at {scheme}, expected https:" if base is None else f"redirects to {scheme}")
    if base is not None and base.scheme == "https" and parts.scheme == "http":
        raise SourceError(f"redirects from https: to http: ({shown})")
    if login is not None:
        raise SourceError("has a user name or password in its address" if base is None else f"{what} of its own login")
    if port == 0:
        raise SourceError(f"{what} ({shown})")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?' + chr(39))}" if parts.query else ""
    )
    try:
        checked = _host(host)
    except ValueError as error:
        raise SourceError(f"{what} ({shown})") from error
    return Address(scheme=parts.scheme, host=checked, port=port or PORTS[parts.scheme], target=target)


def _host(host: str) -> str:
    """The host in ASCII; ValueError where no host can be called so."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    name = host.encode("idna").decode("ascii").lower()
    if not HOST.fullmatch(name) or len(name) > 253:
        raise ValueError(host)
    return name
