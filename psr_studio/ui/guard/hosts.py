"""The names the studio answers to, and the pages from which it takes orders.

A site of somebody else can let its own name point at this machine; a browser then takes the studio's answers for those
of that site. So a request must name a host that whoever started the studio has named. An address made of numbers
cannot be pointed anywhere else, so the addresses of this machine are safe where the studio listens on all of them.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from psr_studio.core.errors import StudioError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_PORTS = {"http": 80, "https": 443}

WRITTEN = re.compile(r"[\w.:\[\]%-]+", re.ASCII)

Authority = tuple[str, int | None]  # a name or address, and the port where one is written


@dataclass(frozen=True)
class Hosts:
    """Which hosts a request may name.

    Args:
        names: names and addresses, in lower case, without a port.
        public: hosts as a browser shows them that reaches the studio through a proxy; `names` has them too.
        numeric: take every address that is made of numbers.
    """

    names: frozenset[str] = LOOPBACK
    public: frozenset[Authority] = frozenset()
    numeric: bool = False

    def also(self, host: str, bound: str) -> Hosts:
        """With the host that was asked for, and the address that the socket got for it.

        On all addresses of the machine that is every numeric address, and the machine's own name.
        """
        if ipaddress.ip_address(bound).is_unspecified:
            return replace(self, names=self.names | {socket.gethostname().lower()}, numeric=True)
        return replace(self, names=self.names | {host.lower(), bound})

    def behind(self, names: Iterable[str]) -> Hosts:
        """With the names of proxies, each written as `--allowed-host` takes it.

        Raises:
            StudioError: a text that is no name, or no name and a port.
        """
        public = frozenset(map(_named, names))
        return replace(self, names=self.names | {name for name, _ in public}, public=self.public | public)

    def answers_to(self, text: str) -> bool:
        """True when a request may name this host; the port makes no difference."""
        found = authority(text)
        return found is not None and (found[0] in self.names or (self.numeric and _is_numeric(found[0])))

    def takes_from(self, page: str, asked: Iterable[str]) -> bool:
        """True when a page at this URL is the studio's own.

        Args:
            asked: hosts that its request names: the page stands at one of them, or at one of `public`.
        """
        try:
            scheme = urlsplit(page).scheme
        except ValueError:
            return False
        port = DEFAULT_PORTS.get(scheme)
        origin = authority(page.partition("://")[2].partition("/")[0])
        if origin is None or port is None:
            return False
        hosts = {(found[0], found[1] or port) for text in asked if (found := authority(text))}
        hosts |= {(name, at or port) for name, at in self.public}
        return (origin[0], origin[1] or port) in hosts


def authority(text: str) -> Authority | None:
    """Read "name", "name:port" or "[address]:port"; None when it is none of these."""
    try:
        parts = urlsplit(f"//{text}")
        name = (parts.hostname or "").removesuffix(".")
        return (name, parts.port) if parts.netloc == text and WRITTEN.fullmatch(text) and name else None
    except ValueError:
        return None


def _named(text: str) -> Authority:
    found = authority(f"[{text}]" if text.count(":") > 1 and "[" not in text else text)
    if found is None:
        raise StudioError(
            f'--allowed-host "{text}" is no name of a host: it must be a name such as studio.example.org.',
            "Write the name as the browser's address shows it, without http:// and without a path.",
        )
    return found


def _is_numeric(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
