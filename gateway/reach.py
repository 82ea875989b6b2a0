"""From where the page, the API, the answer page and the LMTP listener can be reached, and by which
name; and the socket that each of them has.
"""

import errno
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from gateway.errors import ConfigurationError, GatewayError

NEVER = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""An address that this machine does not have, or a kind that it does not speak."""


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: `localhost` or an address of 127.0.0.0/8 or ::1.
    Other names are not asked of DNS.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def socket_file(listen: str) -> str:
    """The path in `unix:/path`, "" for host:port."""
    scheme, _, path = listen.partition(":")
    return path if scheme == "unix" else ""


def listening_problems(key: str, listen: str) -> Iterator[str]:
    host, separator, port = listen.rpartition(":")
    if not (separator and host and port.isascii() and port.isdigit()):
        yield f"{key}: expected host:port, got {listen!r}"
    elif int(port) > 65535:
        yield f"{key}: a port is at most 65535, got {listen!r}"


def problems(
    section: str, listen: str, public_url: str, trusted_proxies: Sequence[str]
) -> Iterator[str]:
    """What is wrong with these settings of `web` or `answer` beyond that."""
    if public_url and not _is_site(public_url):
        yield f"{section}.public_url: expected https://host, without a path"
    yield from network_problems(f"{section}.trusted_proxies", trusted_proxies)
    if not is_loopback(listen.rpartition(":")[0]) and not public_url:
        yield (
            f"{section}.public_url: is needed, because {section}.listen ({listen}) can be reached"
            " from other machines: it says by which name people come"
        )


def network_problems(setting: str, networks: Sequence[str]) -> Iterator[str]:
    for network in networks:
        if not _is_network(network):
            yield f"{setting}: {network!r} is no address and no network as 10.0.0.0/8"


def _is_site(text: str) -> bool:
    """Scheme and host, and nothing behind them."""
    url = urlsplit(text)
    is_bare = not (url.path.strip("/") or url.query or url.fragment or "@" in url.netloc)
    return url.scheme in ("http", "https") and bool(url.hostname) and is_bare


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def bind(key: str, address: str) -> socket.socket:
    """A bound socket for what a setting says. Raises `ConfigurationError` for an address that is
    not ours, `GatewayError` for one that somebody else has at the moment.
    """
    host, _, port = address.rpartition(":")
    name = host.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((name, int(port)))
        except OSError:
            bound.close()
            raise
    except OSError as error:
        kind = ConfigurationError if error.errno in NEVER else GatewayError
        raise kind(f"{key}: cannot listen on {address}: {error.strerror}") from error
    return bound
