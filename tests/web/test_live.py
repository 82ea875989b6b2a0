"""The page on a real socket over a real store: live events, resumption, readiness, the guard, the
stop.
"""

import asyncio
import errno
import json
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest

from gateway import health, settings
from gateway.errors import ConfigurationError, GatewayError
from gateway.health import Condition, State
from gateway.model import Access
from gateway.store import engine, journal
from gateway.web import app, feed, serve
from gateway.web.api import gate
from gateway.web.api.site import Site as Api
from tests.web import signing

DEADLINE = 60.0
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


@dataclass
class Site:
    store: engine.Store
    url: str
    stop: asyncio.Event
    running: "asyncio.Task[None]"
    feed: feed.Feed
    checks: list[Condition] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=dict)
    token: dict[str, str] = field(default_factory=dict)

    def client(self) -> httpx.AsyncClient:
        """Somebody who is signed in, and a program."""
        return httpx.AsyncClient(
            base_url=self.url, timeout=DEADLINE, cookies=self.cookies, headers=self.token
        )

    def record(self, *events: str) -> None:
        with self.store.write() as connection:
            journal.write(
                connection,
                [journal.Entry(event, follow_up="m1", after="not_started") for event in events],
                NOW,
            )


@pytest.fixture
async def site(store: engine.Store) -> AsyncIterator[Site]:
    checks = [Condition("store", State.OK)]

    async def look() -> list[Condition]:
        return checks

    def troubles() -> list[Condition]:
        return health.troubles(checks)

    live = feed.Feed(store, poll_seconds=0.02)
    api = Api(store, settings.load())
    bound = serve.listen(settings.load(overrides={"web": {"listen": "127.0.0.1:0"}}))
    stop, up = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        serve.serve(bound, live, app.create(live, look, troubles, api), stop, up)
    )
    async with asyncio.timeout(DEADLINE):
        await up.wait()
    made = Site(
        store,
        f"http://127.0.0.1:{bound.getsockname()[1]}",
        stop,
        running,
        live,
        checks,
        signing.session(store),
        signing.token(store),
    )
    yield made
    stop.set()
    async with asyncio.timeout(DEADLINE):
        await running


class Stream:
    """A client of the event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.aiter_lines()

    async def event(self) -> dict[str, str]:
        """The next event, comments left out."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE):
            async for line in self.lines:
                name, _, value = line.partition(": ")
                if not line and "data" in fields:
                    return fields
                if line and name:
                    fields[name] = value
        raise EOFError

    async def ended(self) -> bool:
        async with asyncio.timeout(DEADLINE):
            async for line in self.lines:
                if line.startswith("data"):
                    return False
        return True


async def test_events_arrive_as_they_are_recorded(site: Site) -> None:
    async with (
        site.client() as client,
        client.stream("GET", "/api/v1/events") as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        site.record("one")
        first = await stream.event()
        site.record("two", "three")
        assert [json.loads((await stream.event())["data"])["event"] for _ in range(2)] == [
            "two",
            "three",
        ]
    assert first["event"] == "journal"
    told = json.loads(first["data"])
    assert told["id"] == int(first["id"])
    assert (told["event"], told["follow_up"], told["after"], told["at"]) == (
        "one",
        "m1",
        "not_started",
        "2026-11-20T08:00:00Z",
    )


async def test_a_hint_is_followed_at_once(site: Site) -> None:
    site.feed.poll_seconds = 3600.0
    async with (
        site.client() as client,
        client.stream("GET", "/api/v1/events") as response,
    ):
        stream = Stream(response)
        site.record("one")
        site.feed.look()
        assert (await stream.event())["id"] == "1"
        # Whatever turn was under way with the short pace is over once it has waited for the long
        # one.
        site.record("two")
        await asyncio.to_thread(site.feed.look)
        assert (await stream.event())["id"] == "2"


async def test_a_client_resumes_where_it_stopped(site: Site) -> None:
    site.record("one", "two", "three")
    async with site.client() as client:
        async with client.stream(
            "GET", "/api/v1/events", headers={"Last-Event-ID": "1"}
        ) as response:
            stream = Stream(response)
            assert [(await stream.event())["id"] for _ in range(2)] == ["2", "3"]
        # What the browser remembers stands over what the address said.
        async with client.stream(
            "GET", "/api/v1/events?after=0", headers={"Last-Event-ID": "2"}
        ) as response:
            assert (await Stream(response).event())["id"] == "3"


async def test_a_number_from_another_store_resets_the_client(site: Site) -> None:
    site.record("one")
    async with (
        site.client() as client,
        client.stream("GET", "/api/v1/events?after=500") as response,
    ):
        stream = Stream(response)
        first = await stream.event()
        assert (first["event"], first["id"]) == ("reset", "1")
        site.record("two")
        assert (await stream.event())["id"] == "2"


async def test_events_are_those_that_the_actor_sees(site: Site) -> None:
    """docs/api.md, "Who may"."""
    with site.store.write() as connection:
        connection.exec_driver_sql("INSERT INTO associate (key) VALUES ('kari'), ('nils')")
        connection.exec_driver_sql(
            "INSERT INTO follow_up (key, owner, private) VALUES ('m1', 'nils', TRUE),"
            " ('m2', 'nils', FALSE)"
        )
    site.record("secret")
    with site.store.write() as connection:
        journal.write(connection, [journal.Entry("open", "m2"), journal.Entry("of_all")], NOW)
    for associate, seen in (("kari", ["open"]), ("nils", ["secret", "open"])):
        site.token = signing.token(site.store, Access.USER, associate)
        async with (
            site.client() as client,
            client.stream("GET", "/api/v1/events") as response,
        ):
            stream = Stream(response)
            events = [json.loads((await stream.event())["data"])["event"] for _ in seen]
        assert events == seen


async def test_stopping_ends_open_streams(site: Site) -> None:
    async with (
        site.client() as client,
        client.stream("GET", "/api/v1/events") as response,
    ):
        stream = Stream(response)
        site.record("one")
        await stream.event()
        site.stop.set()
        assert await stream.ended()
    assert site.feed.streams == 0


async def test_streams_are_counted_and_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_STREAMS", 1)
    site.record("one")
    async with site.client() as client:
        async with client.stream("GET", "/api/v1/events") as response:
            stream = Stream(response)  # kept: what reads it would close it when it goes
            await stream.event()
            async with asyncio.timeout(DEADLINE):
                refused = await client.get("/api/v1/events")
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"] == "10"
        async with asyncio.timeout(DEADLINE):
            while site.feed.streams:
                await asyncio.sleep(0)


async def test_the_page_and_its_parts(site: Site) -> None:
    site.record("one")
    async with site.client() as client:
        whole = await client.get("/")
        assert whole.status_code == 200
        assert "Nothing waits." in whole.text
        assert 'data-newest="1"' in whole.text
        part = await client.get("/waiting")
        assert "<html" not in part.text
        assert part.text.strip() in whole.text
        for name in (
            "page.css",
            "diary.css",
            "page.js",
            "dialogs.js",
            "vendor/auto-complete.js",
            "icon.svg",
            "vendor/htmx.min.js",
            "vendor/icons.svg",
        ):
            assert (await client.get(f"/static/{name}")).status_code == 200
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert "/api/v1/events" in (await client.get("/api/openapi.json")).json()["paths"]


async def test_readiness_names_what_is_missing(site: Site) -> None:
    async with site.client() as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        site.checks.append(Condition("disk of the store", State.WARNING, "nearly full"))
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "warning")
        site.checks.append(Condition("mailbox", State.FAILED, "cannot be reached", NOW))
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "failed")
        assert answer.json()["checks"][0]["words"] == ""
        assert answer.json()["checks"][2] == {
            "name": "mailbox",
            "state": "failed",
            "words": "cannot be reached",
            "since": "2026-11-20T08:00:00Z",
        }


async def test_the_page_has_a_bar_with_the_words_of_readyz_for_administrators(site: Site) -> None:
    bar = '<li class="wrong failed"><strong>Failed</strong> cannot &lt;be&gt; reached</li>'
    cookies = signing.session(site.store, "chief", Access.ADMIN)
    async with site.client() as client, httpx.AsyncClient(cookies=cookies) as chief:
        assert "<li" not in (await chief.get(f"{site.url}/troubles")).text
        site.checks.append(Condition("mailbox", State.FAILED, "cannot <be> reached", NOW))
        for path in ("/", "/troubles", "/admin"):
            assert bar in (await chief.get(f"{site.url}{path}")).text
        for path in ("/", "/troubles"):
            assert bar not in (await client.get(path)).text
        site.checks.pop()
        assert "reached" not in (await chief.get(f"{site.url}/")).text


async def test_every_answer_carries_the_security_headers(site: Site) -> None:
    async with site.client() as client:
        for path in (
            "/",
            "/follow-ups",
            "/static/page.js",
            "/nowhere",
            "/api/v1/events?after=x",
            "/api/openapi.json",
        ):
            async with asyncio.timeout(
                DEADLINE
            ):  # what httpx calls a timeout starts anew with every byte of an endless stream
                answer = await client.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "server" not in answer.headers


async def test_errors_are_problems(site: Site) -> None:
    async with site.client() as client:
        for path, code in (
            ("/nowhere", 404),
            ("/api/v1/events?after=x", 422),
            ("/api/v1/events?after=-1", 422),
        ):
            async with asyncio.timeout(DEADLINE):
                answer = await client.get(path)
            assert answer.status_code == code
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == code
        ours = {"Origin": site.url}
        assert (await client.post("/", headers=ours)).status_code == 403, "no form of ours"


async def test_a_fault_of_ours_tells_nothing_and_stays_guarded(site: Site) -> None:
    site.checks.append("A secret of 99")  # type: ignore[arg-type]  # is no condition
    chief = signing.session(site.store, "chief", Access.ADMIN)
    async with site.client() as client:
        client.cookies.update(chief)
        answer = await client.get("/")
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "99" not in answer.text
        assert (await client.get("/healthz")).status_code == 200


async def test_a_head_ends_and_nothing_is_logged(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.client() as client, asyncio.timeout(DEADLINE):
        for path in ("/healthz", "/api/v1/follow-ups", "/api/v1/events", "/api/openapi.json"):
            for _ in range(2):
                answer = await client.head(path)
                assert (answer.status_code, answer.content) == (200, b"")
        while site.feed.streams:
            await asyncio.sleep(0)
    assert [one.getMessage() for one in caplog.records if one.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("path", ["/api/v1/follow-ups", "/api/v1/import"])
async def test_whoever_sends_all_of_too_much_reads_that_it_was(site: Site, path: str) -> None:
    most = gate.IMPORT_BYTES if path == gate.IMPORT else gate.MOST_BYTES

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(most // 1_000_000 + 1):
            yield b" " * 1_000_000

    said = {"Content-Type": "application/json"}
    async with site.client() as client:
        for body in (b" " * (most + 1), parts()):
            answer = await client.post(path, content=body, headers=said)
            assert answer.status_code == 413
            assert answer.json()["type"] == "/api/problems/too-large"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8025", "127.0.0.1.evil.example", "localhost.evil.example", ""],
)
async def test_a_foreign_host_name_is_turned_away(site: Site, host: str) -> None:
    async with site.client() as client:
        assert (await client.get("/", headers={"Host": host})).status_code == 421
        assert (await client.get("/", headers={"Host": "localhost:8025"})).status_code == 200


@pytest.mark.parametrize(
    "listen",
    ["0.0.0.0:0", "[::]:0", "192.0.2.1:8025", "gateway.example:8025", "127.evil.example:1"],
)
def test_no_listening_beyond_loopback_without_sign_in(listen: str) -> None:
    with pytest.raises(ConfigurationError, match=r"web\.public_url: is needed"):
        settings.load(overrides={"web": {"listen": listen}})
    web = {"listen": listen, "public_url": "https://gateway.example"}
    with pytest.raises(GatewayError, match=r"web\.listen.*nobody may sign in yet") as caught:
        serve.listen(settings.load(overrides={"web": web}))
    assert not isinstance(caught.value, ConfigurationError), "mail goes on meanwhile"


def test_listening_beyond_loopback_once_somebody_may_sign_in() -> None:
    web = {"listen": "0.0.0.0:0", "public_url": "https://gateway.example"}
    with serve.listen(settings.load(overrides={"web": web}), is_anybody=True) as bound:
        assert bound.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize(
    ("number", "never"),
    [
        (errno.EADDRINUSE, False),
        (errno.EACCES, False),
        (errno.ENOBUFS, False),
        (errno.EADDRNOTAVAIL, True),
        (errno.EAFNOSUPPORT, True),
    ],
)
def test_only_an_address_that_can_never_be_ours_is_a_configuration_error(
    number: int, never: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    with pytest.raises(GatewayError, match=r"web\.listen: cannot listen on \[::1\]:8025") as caught:
        serve.listen(settings.load(overrides={"web": {"listen": "[::1]:8025"}}))
    assert isinstance(caught.value, ConfigurationError) is never


async def test_an_unreachable_store_is_said_and_streams_outlive_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.record("one")
    path = site.store.path
    assert path is not None
    async with (
        site.client() as client,
        client.stream("GET", "/api/v1/events") as response,
    ):
        stream = Stream(response)
        await stream.event()
        away = path.with_suffix(".away")
        site.store.close()
        path.rename(away)
        path.mkdir()
        answer = await client.get("/")
        assert answer.status_code == 503
        assert "the log of the gateway says why" in answer.json()["detail"]
        assert str(away.parent) not in answer.text
        page = await client.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 503
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["retry-after"] == "5"
        assert "the log of the gateway says why" in page.text
        path.rmdir()
        away.rename(path)
        site.record("two")
        assert (await stream.event())["id"] == "2"
