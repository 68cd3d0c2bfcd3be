"""The address the studio listens on. No gradio here: a port in use is said before any slow import."""

from __future__ import annotations

import ipaddress
import re
import socket

from psr_studio.core.errors import StudioError

# First parts of the studio's own addresses: a proxy's path that begins like one of them could not be told from it.
OWN = ("psr", "gradio_api", "assets", "static", "config", "login", "logout")


def bind(host: str, port: int) -> socket.socket:
    """Take the port; StudioError when it is in use or not ours to take."""
    # asyncio sends small packets at once only where a socket says that it is TCP; else each answer waits 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except (OSError, OverflowError) as err:
        sock.close()
        raise StudioError(
            f"Port {port} on {host} cannot be used: {str(getattr(err, 'strerror', None) or err).rstrip('.')}.",
            f"Close the program that uses it, or choose another port with --port, such as {_other(port)}.",
        ) from err
    return sock


def _other(port: int) -> int:
    return port + 1 if 1024 <= port < 65535 else 7861


def address(sock: socket.socket) -> str:
    """The URL to open in a browser on this machine."""
    host, port = sock.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def read_login(text: str | None) -> tuple[str, str] | None:
    """ "user:password" as a pair, None when there is no login; StudioError when a half is missing."""
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise StudioError(
            "--auth names no user and password: it must be written as user:password.",
            "Write it as --auth user:password.",
        )
    return user, password


def read_root_path(text: str) -> str:
    """A proxy's path as "/team/psr", "" for none; StudioError when it is no such path."""
    path = text.strip("/")
    if not path:
        return ""
    if not re.fullmatch(r"(?:/?[\w~-][\w.~-]*)+", path, re.ASCII):
        raise StudioError(
            f'--root-path "{text}" is no path: it must be written as /team/psr.',
            "Write the path alone, without http:// and the host; the host goes to --allowed-host.",
        )
    if path.partition("/")[0] in OWN:
        raise StudioError(
            f'--root-path "/{path}" begins like one of the studio\'s own addresses: /{", /".join(OWN)}.',
            "Choose another path in the proxy, such as /psr-studio.",
        )
    return f"/{path}"


def warning(sock: socket.socket) -> str:
    """What to say of a socket that others can reach when there is no login; "" for one that they cannot."""
    host, port = sock.getsockname()[:2]
    if ipaddress.ip_address(host).is_loopback:
        return ""
    return (
        f"Warning: whoever reaches port {port} of this machine can use this studio, change its workspace and import "
        "pictures from this machine's folders.\n"
        "Ask for a login with --auth USER:PASSWORD, or leave --host out to listen on this machine only."
    )
