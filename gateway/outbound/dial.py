"""The way to a mail server below SMTP: name resolution, TCP, the terms of TLS, and the name we give
ourselves.

Standards: RFC 5321 §5.1 (addresses of a host), §4.1.3 (address literals), RFC 8996 (TLS 1.2 or
newer).

On failure: `OSError` of the last address tried, `TimeoutError` included; `ConfigurationError` for
certificate authorities that cannot be read. Security: a context verifies certificate and host name;
there is no way to ask for less. Limits: `seconds` for all addresses together; the caller limits
name resolution.
"""

import asyncio
import socket
import ssl

from gateway import sections
from gateway.errors import ConfigurationError


def tls_context(account: sections.Smtp) -> ssl.SSLContext | None:
    if account.security == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=account.ca_file or None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"smtp.ca_file: cannot read {account.ca_file}: {error}") from error
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_2
    )  # RFC 8996; distributions differ in their default
    return context


async def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connected socket to the first address of `host` that answers; raises the last address's
    error.

    RFC 5321 §5.1: each address is tried in order. A dead one may not eat the time of those behind
    it.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = ConnectionError(f"{host} has no address")
    for family, kind, number, _, address in addresses:
        connected = socket.socket(family, kind, number)
        try:
            connected.setblocking(False)
            async with asyncio.timeout(seconds / len(addresses)):
                await loop.sock_connect(connected, address)
            return connected
        except OSError as error:
            connected.close()
            failure = error
        except BaseException:
            connected.close()
            raise
    raise failure


def own_name(connected: socket.socket) -> str:
    """Our name for EHLO: the host's full name, else an address literal (RFC 5321 §4.1.3, §4.1.4).
    Asks no DNS.
    """
    name = socket.gethostname()
    if "." in name.strip(".") and name.isascii():
        return name
    address = connected.getsockname()[0].split("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
