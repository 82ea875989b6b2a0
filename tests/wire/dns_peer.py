"""A name server that knows what a test tells it, by UDP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class Zone(asyncio.DatagramProtocol):
    """`texts`: TXT records by name, each as a zone file has it. `is_silent`: it answers nothing."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    is_silent: bool = False
    address: tuple[str, int] = ("127.0.0.1", 0)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        [question] = query.question
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name = question.name.to_text(omit_final_dot=True)
        if name in self.texts:
            answer.answer = [dns.rrset.from_text(question.name, 60, "IN", "TXT", *self.texts[name])]
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if self.is_silent:
            answer.set_rcode(dns.rcode.SERVFAIL)
        self._transport.sendto(answer.to_wire(), sender)


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Zone]:
    loop = asyncio.get_running_loop()
    zone = Zone()
    transport, _ = await loop.create_datagram_endpoint(lambda: zone, ("127.0.0.1", 0))
    zone.address = transport.get_extra_info("sockname")[:2]
    try:
        yield zone
    finally:
        transport.close()
