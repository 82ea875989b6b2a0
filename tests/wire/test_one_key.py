"""Two gateways of one store are asked the same at once, with one Idempotency-Key (docs/api.md): it
is done once, and nobody is told that it failed.
"""

import asyncio
import os
from collections import Counter
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from tests.rig.process import free_port
from tests.wire.gateway_process import Gateway, running

ASKED = 6
NEW = {"title": "Once", "start": "2027-12-01T09:00:00", "timezone": "Europe/Oslo"}


def settings(url: str) -> dict[str, str]:
    """Of a gateway with this store, on a port of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {
        **kept,
        "GATEWAY_STORE__URL": url,
        "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
        "GATEWAY_WEB__LISTEN": f"127.0.0.1:{free_port()}",
        "GATEWAY_LOG__FORMAT": "json",
    }


def page(gateway: Gateway) -> str:
    return f"http://{gateway.settings['GATEWAY_WEB__LISTEN']}"


async def asked(client: httpx.AsyncClient, at: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"}
    return await client.post(f"{at}/api/v1/follow-ups", headers=headers, json=NEW)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_api_2_one_key_to_two_processes_has_one_effect(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    is_sqlite = kind == "sqlite"
    url = f"sqlite:///{tmp_path}/s.db" if is_sqlite else request.getfixturevalue("postgres_url")
    with running(settings(url), "web") as first, running(settings(url), "web") as second:
        token = first.command("token", "create", "The CRM", "--role", "crm").strip()
        async with httpx.AsyncClient(timeout=60) as client:
            pages = [page(first), page(second)]
            at_once = (asked(client, pages[number % 2], token) for number in range(ASKED))
            answers = await asyncio.gather(*at_once)
            again = [await asked(client, at, token) for at in pages]
            headers = {"Authorization": f"Bearer {token}"}
            listed = await client.get(f"{pages[0]}/api/v1/follow-ups", headers=headers)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {HTTPStatus.CREATED, HTTPStatus.CONFLICT}
    assert statuses[HTTPStatus.CREATED] >= 1
    made = {answer.json()["key"] for answer in again}
    assert {answer.headers["idempotent-replayed"] for answer in again} == {"true"}
    assert [one["key"] for one in listed.json()["items"]] == list(made)
