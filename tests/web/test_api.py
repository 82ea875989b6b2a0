"""What holds for every route of the API: tokens, problems, ETags, Idempotency-Key, cursors, dry
runs, limits (docs/api.md).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
import sqlalchemy as sa
from fastapi import Query
from fastapi.responses import Response
from pydantic import Field

from gateway.actions import access
from gateway.actions.desk import Desk
from gateway.actions.load_format import Entry, Text
from gateway.followups.permission import Verb
from gateway.store import schema
from gateway.store.engine import Store
from gateway.web.api import asking, gate
from gateway.web.api.asking import Changing, Json, Listing, Made, Pages, Posting, Reading
from gateway.web.api.quotas import Quotas
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Key
from tests.web.world import OPERATOR, Office

LINKS = Routes("tried")


class Title(Entry):
    title: Text
    fields: Annotated[dict[str, Any], Field(default_factory=dict)]


def _shown(desk: Desk, key: str) -> Json:
    desk.require(Verb.SEE, key)
    query = sa.select(schema.follow_up.c.title).where(schema.follow_up.c.key == key)
    return {"key": key, "title": desk.connection.execute(query).scalar_one()}


def _write(desk: Desk, key: str, title: str) -> None:
    desk.require(Verb.EDIT, key)
    query = sa.update(schema.follow_up).where(schema.follow_up.c.key == key)
    desk.connection.execute(query.values(title=title))
    desk.touch(key)


@LINKS.get("/tried/{key}", Verb.SEE, On.FOLLOW_UP)
async def show(key: Key, asked: Reading) -> Response:
    """Read the title"""
    return await asked.read(lambda desk: _shown(desk, key))


@LINKS.patch("/tried/{key}", Verb.EDIT, On.FOLLOW_UP)
async def rename(key: Key, said: Title, asked: Changing) -> Response:
    """Change the title"""

    def command(desk: Desk) -> Json:
        desk.require(Verb.EDIT, key)
        asked.match(_shown(desk, key))
        _write(desk, key, said.title)
        return _shown(desk, key)

    return await asked.write(command)


@LINKS.post("/tried/{key}/again", Verb.EDIT, On.FOLLOW_UP)
async def again(key: Key, said: Title, asked: Posting) -> Response:
    """Add to the title"""

    def command(desk: Desk) -> Made:
        _write(desk, key, f"{_shown(desk, key)['title']} {said.title}")
        return Made(_shown(desk, key), asking.path("tried", key))

    return await asked.write(command)


@LINKS.get("/tried", Verb.SEE, On.LIST)
async def every(asked: Pages, q: Annotated[str, Query()] = "") -> Response:
    """All keys"""

    def look(desk: Desk) -> Listing:
        after = asked.position(str)
        column = schema.follow_up.c.key
        query = sa.select(column).where(column > (after[0] if after else "")).order_by(column)
        keys = desk.connection.execute(query.limit(asked.limit + 1)).scalars().all()
        shown = keys[: asked.limit]
        return Listing(shown, (shown[-1],) if len(keys) > asked.limit else None)

    return await asked.read(look)


@pytest.fixture
async def tried(store: Store) -> AsyncIterator[Office]:
    """The office, with routes that are as light as they can be."""
    office = Office(store, is_apart=True).begin()
    office.application.include_router(LINKS.router)
    yield office
    await office.client.aclose()


STRANGERS = {
    "missing": {},
    "unknown": {"Authorization": "Bearer igt_unknown"},
    "no bearer": {"Authorization": "Basic a2FyaTprYXJp"},
    "empty": {"Authorization": "Bearer "},
    "no text": {"Authorization": "Bearer \x80\xff"},
    "a cookie": {"Cookie": "session=x"},
}


async def test_strangers_get_the_same_words(tried: Office) -> None:
    revoked = tried.tokens["kari"]
    tried.perform(lambda desk: access.revoke_token(desk, 1), OPERATOR)
    words = set()
    for headers in [*STRANGERS.values(), {"Authorization": f"Bearer {revoked}"}]:
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        for path in ("/tried/own", "/nowhere"):
            answer = await tried.client.get(f"/api/v1{path}", headers=raw)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            words.add(answer.text)
    assert len(words) == 1


async def test_a_body_is_not_looked_at_before_the_token(tried: Office) -> None:
    answer = await tried.ask("POST", "/tokens", "", content=b"{", headers={})
    assert answer.status_code == 401


async def test_the_crm_speaks_for_an_associate(tried: Office) -> None:
    body = {"title": "Changed"}
    kari = {"On-Behalf-Of": "kari", "If-Match": "*"}
    assert (await tried.ask("PATCH", "/tried/own", "crm", kari, json=body)).status_code == 200
    refused = await tried.ask("PATCH", "/tried/foreign", "crm", kari, json=body)
    assert refused.status_code == 403
    assert (await tried.ask("GET", "/tried/private", "crm", kari)).status_code == 404
    unknown = await tried.ask("GET", "/tried/own", "crm", {"On-Behalf-Of": "nobody"})
    assert unknown.status_code == 422
    assert "nobody" in unknown.json()["detail"]
    for name in ("kari", "read", "admin"):
        other = await tried.ask("GET", "/tried/own", name, {"On-Behalf-Of": "per"})
        assert other.status_code == 403


async def test_when_a_token_was_used_is_known_to_the_minute(office: Office) -> None:
    async def used() -> str:
        rows = (await office.ask("GET", "/tokens", "admin")).json()["items"]
        return str({row["name"]: row["used_at"] for row in rows}["read"])

    assert await used() == "None"
    await office.ask("GET", "/tokens", "read")
    assert await used() == "2026-11-20T08:00:00Z"
    office.later(seconds=30)
    await office.ask("GET", "/tokens", "read")
    assert await used() == "2026-11-20T08:00:00Z"
    office.later(seconds=31)
    await office.ask("GET", "/tokens", "read")
    assert await used() == "2026-11-20T08:01:01Z"


BAD_BODIES: list[tuple[bytes, str, int, Any]] = [
    (b"{", "application/json", 400, None),
    (b'{"title": NaN}', "application/json", 400, None),
    (b"[" * 100_000, "application/json", 400, None),
    (b"\xff", "application/json", 400, None),
    (b'{"title": "x"}', "text/plain", 415, None),
    (b'{"title": "x"}', "", 415, None),
    (b"", "application/json", 422, [""]),
    (b'{"title": 1}', "application/json", 422, ["/title"]),
    (b'{"titel": "x"}', "application/json", 422, ["/title", "/titel"]),
    (b'{"title": "a\\u0000"}', "application/json", 422, ["/title"]),
    (b'{"title": "a", "fields": {"x/y": "\\ud800"}}', "application/json", 422, ["/fields/x~1y"]),
    (b'{"title": "' + b"x" * gate.MOST_BYTES + b'"}', "application/json", 413, None),
]


@pytest.mark.parametrize(("body", "kind", "status", "pointers"), BAD_BODIES)
async def test_bad_bodies(
    tried: Office, body: bytes, kind: str, status: int, pointers: Any
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await tried.ask("POST", "/tried/own/again", "crm", headers, content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"].startswith("/api/problems/")
    assert problem["status"] == status
    if pointers is not None:
        assert [error["pointer"] for error in problem["errors"]] == pointers


async def test_at_most_ten_places_are_named(tried: Office) -> None:
    body = {f"wrong{number}": 1 for number in range(20)}
    answer = await tried.ask("POST", "/tried/own/again", "crm", json=body)
    assert len(answer.json()["errors"]) == 10


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tried?limit=0", 422),
        ("/tried?limit=201", 422),
        ("/tried?limit=x", 422),
        ("/tried?ower=kari", 422),
        ("/tried?cursor=x", 422),
        ("/tried?q=%00", 422),
        ("/tried/%00", 422),
        ("/tried/a%20b", 422),
        ("/tried/" + "x" * 201, 422),
        ("/tried/*", 422),
        ("/tried/none", 404),
        ("/tried/*?key=none", 404),
        ("/tried/*?key=own", 200),
        ("/nowhere", 404),
    ],
)
async def test_bad_addresses(tried: Office, path: str, status: int) -> None:
    answer = await tried.ask("GET", path)
    assert answer.status_code == status, answer.text


async def test_a_key_that_no_path_holds_is_told_how_one_is_said(office: Office) -> None:
    refused = await office.ask("GET", "/follow-ups/" + "a" * 201)
    [place] = refused.json()["errors"]
    assert place["parameter"] == "key"
    assert place["detail"].startswith("should be like ")
    assert "{1,200}" in place["detail"]


async def test_a_webhook_that_would_be_told_nothing_names_its_field(office: Office) -> None:
    for url in ("https://10.0.0.1/x", "http://crm.example/x"):
        refused = await office.ask("POST", "/webhooks", json={"url": url})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/url")


async def test_another_method_is_refused_with_those_there_are(tried: Office) -> None:
    answer = await tried.ask("DELETE", "/tried/own", headers={"If-Match": "*"})
    assert answer.status_code == 405
    assert answer.headers["allow"]


async def test_a_misspelt_parameter_is_told_those_there_are(tried: Office) -> None:
    answer = await tried.ask("GET", "/tried?ower=kari")
    assert answer.json()["detail"] == "ower: no such parameter; there are cursor, limit, q"


async def test_what_was_read_is_what_is_changed(tried: Office) -> None:
    before = await tried.ask("GET", "/tried/own")
    same = await tried.ask("GET", "/tried/own", headers={"If-None-Match": before.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    body = {"title": "One"}
    assert (await tried.ask("PATCH", "/tried/own", json=body)).status_code == 428
    match = {"If-Match": before.headers["etag"]}
    written = await tried.ask("PATCH", "/tried/own", headers=match, json=body)
    assert written.status_code == 200
    assert written.json()["title"] == "One"
    assert written.headers["etag"] == (await tried.ask("GET", "/tried/own")).headers["etag"]
    stale = await tried.ask("PATCH", "/tried/own", headers=match, json={"title": "Two"})
    assert stale.status_code == 412
    assert stale.json()["type"] == "/api/problems/stale"
    weak = {"If-Match": f"W/{written.headers['etag']}"}
    assert (await tried.ask("PATCH", "/tried/own", headers=weak, json=body)).status_code == 412
    only_new = {"If-None-Match": "*"}
    there = await tried.ask("PATCH", "/tried/own", headers=only_new, json=body)
    assert there.status_code == 412


async def test_plain_sql_between_reading_and_writing_is_noticed(tried: Office) -> None:
    before = await tried.ask("GET", "/tried/own")
    with tried.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET title = 'By SQL' WHERE key = 'own'")
    match = {"If-Match": before.headers["etag"]}
    answer = await tried.ask("PATCH", "/tried/own", headers=match, json={"title": "Mine"})
    assert answer.status_code == 412
    assert (await tried.ask("GET", "/tried/own")).json()["title"] == "By SQL"


async def test_a_write_says_how_many_letters_it_owes(tried: Office) -> None:
    match = {"If-Match": "*"}
    dry = await tried.ask(
        "PATCH", "/tried/own", headers=match, json={"title": "New"}, params={"dry_run": "true"}
    )
    done = await tried.ask("PATCH", "/tried/own", headers=match, json={"title": "New"})
    letters = dry.json()["letters"]
    owed = letters.pop("owed")
    assert letters == done.json()["letters"]
    assert letters == {"request": 2, "cancel": 0, "leaves_at": "2026-11-20T08:00:05Z"}
    assert sorted(letter["to"] for letter in owed) == ["ola@ext.example", "per@crm.example"]
    assert {letter["method"] for letter in owed} == {"REQUEST"}


async def test_a_dry_run_keeps_nothing(tried: Office) -> None:
    for method, path in (("PATCH", "/tried/own"), ("POST", "/tried/own/again")):
        answer = await tried.ask(
            method,
            f"{path}?dry_run=true",
            headers={"If-Match": "*", "Idempotency-Key": "once"},
            json={"title": "Dry"},
        )
        assert "Dry" in answer.json()["title"]
    assert (await tried.ask("GET", "/tried/own")).json()["title"] == "Title of own"


async def test_asking_again_with_the_same_key_has_one_effect(tried: Office) -> None:
    once = {"Idempotency-Key": "k1"}
    first = await tried.ask("POST", "/tried/own/again", headers=once, json={"title": "more"})
    second = await tried.ask("POST", "/tried/own/again", headers=once, json={"title": "more"})
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for name in ("etag", "location"):
        assert first.headers[name] == second.headers[name]
    assert (await tried.ask("GET", "/tried/own")).json()["title"] == "Title of own more"
    other = await tried.ask("POST", "/tried/own/again", headers=once, json={"title": "other"})
    assert other.status_code == 422
    foreign = await tried.ask("POST", "/tried/own/again", "kari", once, json={"title": "kari"})
    assert foreign.status_code == 201, "each token has keys of its own"
    tried.later(hours=25)
    anew = await tried.ask("POST", "/tried/own/again", headers=once, json={"title": "other"})
    assert "idempotent-replayed" not in anew.headers


async def test_what_was_refused_may_be_asked_again(tried: Office) -> None:
    once = {"Idempotency-Key": "k1"}
    refused = await tried.ask("POST", "/tried/none/again", headers=once, json={"title": "x"})
    assert refused.status_code == 404
    after = await tried.ask("POST", "/tried/own/again", headers=once, json={"title": "x"})
    assert after.status_code == 201


async def test_the_same_key_at_once_has_one_effect(tried: Office) -> None:
    once = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(
        *(
            tried.ask("POST", "/tried/own/again", headers=once, json={"title": "more"})
            for _ in range(5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert (await tried.ask("GET", "/tried/own")).json()["title"] == "Title of own more"


async def test_lists_go_on_where_they_stopped(tried: Office) -> None:
    keys, path = list[str](), "/tried?limit=2&q=a"
    while path:
        page = await tried.ask("GET", path)
        keys += page.json()["items"]
        link = page.headers.get("link", "")
        assert bool(link) == bool(page.json()["next"])
        path = link.partition(">")[0].removeprefix("</api/v1") if link else ""
        assert not link or link.endswith('>; rel="next"')
    assert keys == ["foreign", "own", "private"]
    cursor = (await tried.ask("GET", "/tried?limit=2&q=a")).json()["next"]
    other = await tried.ask("GET", "/tried", params={"q": "b", "cursor": cursor})
    assert other.status_code == 422, "a cursor belongs to one list with its filters"


async def test_too_many_requests(tried: Office) -> None:
    tried.site.quotas = Quotas(2)
    answers = [await tried.ask("GET", "/tried/own", "read") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"token";q=2;w=60'
    assert answers[0].headers["ratelimit"].startswith('"token";r=1;')
    assert int(answers[2].headers["retry-after"]) > 0
    assert answers[2].headers["ratelimit"].startswith('"token";r=0;')
    assert (await tried.ask("GET", "/tried/own", "kari")).status_code == 200


async def test_a_store_that_is_away_is_said(tried: Office) -> None:
    path = tried.store.path
    assert path is not None
    tried.store.close()
    path.rename(path.with_suffix(".away"))
    answer = await tried.ask("GET", "/tried/own")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    path.with_suffix(".away").rename(path)


async def test_a_command_that_compares_nothing_is_a_fault(tried: Office) -> None:
    careless = Routes("careless")

    @careless.put("/careless", Verb.EDIT, On.SITE)
    async def change(asked: Changing) -> Response:
        """Change without comparing"""
        return await asked.write(lambda desk: {})

    tried.application.include_router(careless.router)
    answer = await tried.ask("PUT", "/careless", headers={"If-Match": "*"})
    assert answer.status_code == 500


async def test_a_bare_number_is_no_time(office: Office) -> None:
    """pydantic would read it as seconds since 1970."""
    wrong = "no time like 2026-12-01T09:00:00+01:00"
    filtered = await office.ask("GET", "/follow-ups?to=0.5")
    assert (filtered.status_code, wrong in filtered.text) == (422, True)
    body = {"participants": [{"associate": "per"}], "minutes": 60, "not_before": 0}
    until = {**body, "until": "2026-12-01T09:00:00Z"}
    answer = await office.ask("POST", "/first-available", json=until)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/not_before"]


DECEMBER = "from=2026-12-01T00:00:00Z&to=2026-12-08T00:00:00Z"
WRONG_PARAMETERS = [
    ("/follow-ups?ower=kari&titel=x", ["ower", "titel"]),
    ("/follow-ups?cursor=x", ["cursor"]),
    ("/events?since=1", ["since"]),
    ("/follow-ups?from=tomorrow&to=1", ["from", "to"]),
    ("/follow-ups?changed_after=2026-12-01T09:00:00", ["changed_after"]),
    ("/follow-ups/*", ["key"]),
    ("/follow-ups/own/dates?from=x&to=2026-12-31", ["from"]),
    ("/follow-ups/own/dates?from=2026-12-31&to=2026-12-01", ["to"]),
    ("/participants?status=perhaps", ["status"]),
    (f"/diary?of=,&{DECEMBER}", ["of"]),
    (f"/diary?of={'per,' * 51}&{DECEMBER}", ["of"]),
    ("/diary?of=per&from=2026-12-01&to=2026-12-01", ["to"]),
    ("/diary?of=per&from=2026-01-01&to=2026-12-01", ["to"]),
]


@pytest.mark.parametrize(("path", "wrong"), WRONG_PARAMETERS)
async def test_what_is_wrong_in_an_address_names_the_parameter(
    office: Office, path: str, wrong: list[str]
) -> None:
    answer = await office.ask("GET", path)
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert [error["parameter"] for error in errors] == wrong
    assert all(error["detail"] for error in errors)


async def test_a_parameter_of_a_write_is_one_too(office: Office) -> None:
    for path in ("/follow-ups/*", "/follow-ups/own?dryrun=true"):
        answer = await office.ask("PUT", path, headers={"If-Match": "*"}, json={"title": "x"})
        [error] = answer.json()["errors"]
        assert error["parameter"] in ("key", "dryrun")


HOURS = {"participants": [{"associate": "per"}], "minutes": 60, "within": {"thursda": []}}
MANY = {"participants": [{"associate": "per"}] * 51, "minutes": 60}
WRONG_BODIES: list[tuple[str, str, Any, str]] = [
    ("/webhooks", "crm", {"url": "https://crm.example/x", "types": ["none"]}, "/types"),
    ("/review/apply", "admin", {"outcome": "none"}, "/outcome"),
    ("/first-available", "crm", HOURS, "/within"),
    ("/first-available", "crm", MANY, "/participants"),
]


@pytest.mark.parametrize(("path", "by", "body", "pointer"), WRONG_BODIES)
async def test_what_is_wrong_in_a_body_has_a_pointer(
    office: Office, path: str, by: str, body: Any, pointer: str
) -> None:
    answer = await office.ask("POST", path, by, json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_length_is_counted_in_characters(office: Office) -> None:
    row = office.row("own", "per")
    said = {"reply": "accepted", "comment": "x" * 4001}
    answer = await office.ask("POST", f"/participants/{row}/answer", json=said)
    [error] = answer.json()["errors"]
    assert error == {
        "pointer": "/comment",
        "detail": "string should have at most 4000 characters",
    }
    patch = await office.ask("PATCH", "/follow-ups/own", headers={"If-Match": "*"}, json=[1])
    assert patch.json()["errors"] == [{"pointer": "", "detail": "should be a JSON object"}]


async def test_files_have_an_etag_too(office: Office) -> None:
    letter = office.letter("own")
    for path in ("/follow-ups/own.ics", f"/letters/{letter}"):
        answer = await office.ask("GET", path)
        assert answer.headers["etag"].startswith('"')
        known = {"If-None-Match": answer.headers["etag"]}
        again = await office.ask("GET", path, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]


async def test_a_tag_that_a_proxy_made_weak_is_known(tried: Office) -> None:
    tag = (await tried.ask("GET", "/tried/own")).headers["etag"]
    for said, status in (
        (tag, 304),
        (f"W/{tag}", 304),
        (f'"x", W/{tag}', 304),
        ("*", 304),
        ('"x"', 200),
        ("", 200),
    ):
        answer = await tried.ask("GET", "/tried/own", headers={"If-None-Match": said})
        assert answer.status_code == status, said


async def test_webhooks_are_a_list_as_any_other(office: Office) -> None:
    for name in ("a", "b"):
        await office.ask("POST", "/webhooks", json={"url": f"https://crm.example/{name}"})
    urls, path = list[str](), "/webhooks?limit=2"
    while path:
        page = await office.ask("GET", path)
        urls += [one["url"] for one in page.json()["items"]]
        path = page.links["next"]["url"].removeprefix("/api/v1") if page.json()["next"] else ""
    assert urls == [f"https://crm.example/{name}" for name in ("invites", "a", "b")]


async def test_what_the_crm_does_itself_is_done_on_nobodys_behalf(office: Office) -> None:
    refused = await office.ask("POST", "/import", "crm", {"On-Behalf-Of": "kari"}, json={})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "only the CRM itself may do that, on nobody's behalf"


async def test_secrets_are_not_kept_for_who_asks_again(office: Office) -> None:
    asked = [
        ("/webhooks/1/rotate", "crm", "secret"),
        ("/users/administrator/link", "admin", "link"),
    ]
    for path, by, secret in asked:
        once = {"Idempotency-Key": path}
        first = await office.ask("POST", path, by, once)
        assert first.status_code == 200
        assert first.json()[secret]
        again = await office.ask("POST", path, by, once)
        assert again.headers["idempotent-replayed"] == "true"
        assert secret not in again.json()


async def test_a_user_who_is_there_gets_a_link(office: Office) -> None:
    made = await office.ask("POST", "/users/administrator/link", "admin")
    path = made.json()["link"].partition("127.0.0.1:8025")[2]
    assert "set-cookie" in (await office.client.get(path)).headers
    assert (await office.client.get(path)).status_code == 403
    assert (await office.ask("POST", "/users/nobody/link", "admin")).status_code == 404
