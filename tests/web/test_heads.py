"""HEAD, wherever there is GET (RFC 9110 §9.3.2): the same headers, no body, no effect."""

import asyncio

import httpx
import pytest

from gateway.actions import users
from gateway.web import door
from gateway.web.api.routes import Right
from tests.web import examples
from tests.web.test_matrix import asked
from tests.web.world import OPERATOR, Office

READ = [right for right in examples.rights() if right.method == "GET"]
ITS_OWN = ("date", "ratelimit", "ratelimit-policy")
"""Headers of each answer."""


def _head(right: Right) -> Right:
    return Right("HEAD", right.path, right.verb, right.on, sample=right.sample)


async def test_head_has_the_headers_of_get(office: Office) -> None:
    for right in READ:
        by = examples.asker(right)
        read = await asked(office, right, by, "", "own")
        head = await asked(office, _head(right), by, "", "own")
        assert (head.status_code, head.content) == (read.status_code, b""), right
        assert _compared(head) == _compared(read), right


def _compared(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ITS_OWN}


async def test_whoever_may_not_read_may_not_ask_for_the_head(office: Office) -> None:
    assert (await office.ask("HEAD", "/follow-ups/own", "")).status_code == 401
    assert (await office.ask("HEAD", "/follow-ups/private", "read")).status_code == 404
    assert (await office.ask("HEAD", "/follow-ups?ower=kari")).status_code == 422


async def test_a_known_representation_is_not_changed(office: Office) -> None:
    known = {"If-None-Match": (await office.ask("HEAD", "/follow-ups/own")).headers["etag"]}
    assert (await office.ask("HEAD", "/follow-ups/own", headers=known)).status_code == 304


async def test_a_stream_of_events_has_a_head_that_ends(office: Office) -> None:
    async with asyncio.timeout(60):
        head = await office.ask("HEAD", "/events")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert office.site.feed is not None
    assert office.site.feed.streams == 0


@pytest.mark.parametrize("path", ["/healthz", "/sign-in", "/api/openapi.json", "/follow-ups"])
async def test_pages_have_one_too(office: Office, path: str) -> None:
    shown = {"Accept": "text/html", "Accept-Encoding": "identity"}
    read = await office.client.get(path, headers=shown)
    head = await office.client.head(path, headers=shown)
    assert (head.status_code, head.content) == (read.status_code, b"")
    assert _compared(head) == _compared(read)


async def test_a_link_is_not_used_up_by_a_program_that_looks_at_it(office: Office) -> None:
    secret = office.perform(lambda desk: users.link(desk, "administrator"), OPERATOR)
    link = f"/sign-in/link?token={secret}"
    for path in door.SIGNS_IN - {"/sign-in/link"} | {link}:
        assert (await office.client.head(path)).status_code == 405
    assert "set-cookie" in (await office.client.get(link)).headers


async def test_what_is_no_route_says_where_they_are(office: Office) -> None:
    nothing = await office.ask("GET", "/nowhere")
    assert (nothing.status_code, nothing.json()["detail"]) == (
        404,
        "there is no such route; /api/openapi.json has all of them",
    )
    other = await office.ask("POST", "/follow-ups/own")
    assert other.status_code == 405
    assert other.headers["allow"] == "DELETE, GET, HEAD, PATCH, PUT"
    assert other.json()["detail"] == "this route takes DELETE, GET, HEAD, PATCH, PUT"
