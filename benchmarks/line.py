"""A long line to a server on this machine, for benchmarks: what goes in comes out so much later.

    python -m benchmarks.line PORT MILLISECONDS

Prints the port that leads to PORT of 127.0.0.1 with this round-trip time, and goes on until it is
ended. Room is unlimited: only time is lost on the way.
"""

from __future__ import annotations

import asyncio
import sys


class _End(asyncio.Protocol):
    """One end of a connection; what it receives leaves at the other end later."""

    def __init__(self, delay: float) -> None:
        self.delay, self.other = delay, asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self.delay, self._pass_on, data)

    def connection_lost(self, error: Exception | None) -> None:
        asyncio.get_running_loop().call_later(self.delay, self._pass_on, b"")

    def _pass_on(self, data: bytes) -> None:
        """To the other end, as soon as there is one; nothing is its end."""
        self.other.add_done_callback(
            lambda made: made.result().write(data) if data else made.result().close()
        )


async def serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()

    class Entrance(_End):
        def __init__(self) -> None:
            super().__init__(delay)

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.dialling = loop.create_task(self.dial())

        async def dial(self) -> None:
            await asyncio.sleep(2 * delay)  # the handshake
            exit_, end = await loop.create_connection(lambda: _End(delay), "127.0.0.1", port)
            end.other.set_result(self.transport)
            self.other.set_result(exit_)

    server = await loop.create_server(Entrance, "127.0.0.1", 0, backlog=200)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 2000))
