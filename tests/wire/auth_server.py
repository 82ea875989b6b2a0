"""An authorisation server on loopback: gives access tokens for a client's secret or a refresh
token, and can be made to misbehave.

Every token is another one. `asked` keeps the forms that came in; `answers` replaces the next
answers, first come first served.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

CLIENT, SECRET, REFRESH = "client-1", "s3cret of the client", "refresh-1"


class AuthServer:
    def __init__(self, *, lasts: int | None = 3600, rotates: bool = False) -> None:
        self.lasts, self.rotates = lasts, rotates
        self.refresh = REFRESH
        self.asked: list[dict[str, str]] = []
        self.answers: deque[bytes | None] = deque()
        """Raw HTTP answers; None hangs up without one."""
        self.given: list[str] = []
        self.port = 0
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[AuthServer]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            form = dict(parse_qsl((await reader.readexactly(length)).decode()))
            self.asked.append(form)
            answer = self.answers.popleft() if self.answers else self._answer(form)
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()

    def _answer(self, form: dict[str, str]) -> bytes:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return refusal("invalid_client", "the secret is wrong")
        if form["grant_type"] == "refresh_token" and form.get("refresh_token") != self.refresh:
            return refusal("invalid_grant", "the refresh token was revoked")
        number = next(self._numbers)
        self.given.append(f"access-{number}")
        body: dict[str, object] = {"access_token": self.given[-1], "token_type": "Bearer"}
        if self.lasts is not None:
            body["expires_in"] = self.lasts
        if self.rotates and form["grant_type"] == "refresh_token":
            self.refresh = f"refresh-{number + 1}"
            body["refresh_token"] = self.refresh
        return http(200, json.dumps(body))


def refusal(error: str, words: str, status: int = 400) -> bytes:
    return http(status, json.dumps({"error": error, "error_description": words}))


def http(status: int, body: str, *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} whatever",
        "Content-Type: application/json",
        f"Content-Length: {len(body.encode())}",
        "Connection: close",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
