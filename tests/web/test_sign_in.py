"""Signing in to the page: passwords, links, sessions, wrong tries, and where a form comes from
(docs/api.md, "Sign-in").
"""

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from argon2 import PasswordHasher
from starlette.responses import Response

from gateway.actions import passwords, users
from gateway.actions.access import Wanted
from gateway.actions.desk import Desk
from gateway.model import Access
from gateway.sections import Web
from gateway.store import users as stored
from gateway.web import door, sign_in
from tests.web.world import OPERATOR, Office

PASSWORD = "correct horse battery"
OURS = {"Sec-Fetch-Site": "same-origin"}


LIGHT = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def users_of(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Kari, with a password, and an administrator without one. Hashed with less memory than people
    get: half a second for each of hundreds of tries would be spent for nothing.
    """
    monkeypatch.setattr(passwords, "HASHER", LIGHT)
    monkeypatch.setattr(passwords, "DUMMY", LIGHT.hash("nobody"))
    hashed = passwords.hashed(PASSWORD)

    def command(desk: Desk) -> None:
        users.create(desk, Wanted("Kari", Access.USER, "kari"), hashed)
        users.create(desk, Wanted("chief", Access.ADMIN))

    office.perform(command, OPERATOR)
    return office


async def signed_in(
    office: Office, name: str = "kari", password: str = PASSWORD, **fields: str
) -> httpx.Response:
    form = {"name": name, "password": password, **fields}
    return await office.client.post("/sign-in", data=form, headers=OURS)


def form_of(answer: httpx.Response) -> str:
    found = re.search(r'name="form" value="(\w+)"', answer.text)
    assert found is not None
    return found[1]


async def test_who_is_not_signed_in_is_led_to_the_sign_in(users_of: Office) -> None:
    html = {"Accept": "text/html"}
    answer = await users_of.client.get("/?a=1&b=2", headers=html)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?next=/%3Fa%3D1%26b%3D2",
    )
    for path in ("/", "/listing", "/troubles", "/news", "/api/openapi.json", "/nowhere", "/api"):
        assert (await users_of.client.get(path)).status_code == 401
    for path in ("/healthz", "/readyz", "/sign-in", "/static/page.css"):
        assert (await users_of.client.get(path)).status_code == 200


async def test_a_way_that_is_not_offered_counts_for_nothing(users_of: Office) -> None:
    """Anybody could bar a whole office from its passwords by it."""
    for _ in range(users.TRIES_OF_ADDRESS):
        assert (await users_of.client.get("/sign-in/openid")).status_code == 404
    assert (await signed_in(users_of)).status_code == 303


async def test_a_password_lets_in_and_signing_out_ends_it(users_of: Office) -> None:
    answer = await signed_in(users_of, " KARI ", next="/listing")
    assert (answer.status_code, answer.headers["location"]) == (303, "/listing")
    said = answer.headers["set-cookie"]
    assert re.match(r"session=[\w-]{43};", said)
    assert "HttpOnly" in said
    assert "SameSite=lax" in said
    assert "Secure" not in said
    page = await users_of.client.get("/")
    assert page.status_code == 200
    kept = users_of.client.cookies["session"]
    assert (await users_of.client.get("/sign-in")).status_code == 303, "signed in already"
    left = await users_of.client.post("/sign-out", data={"form": form_of(page)}, headers=OURS)
    assert (left.status_code, left.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in left.headers["set-cookie"]
    users_of.client.cookies.set("session", kept)
    assert (await users_of.client.get("/")).status_code == 401, "the session itself is over"


async def test_each_sign_in_is_a_new_session(users_of: Office) -> None:
    users_of.client.cookies.set("session", "planted")
    await signed_in(users_of)
    first = users_of.client.cookies.get("session", domain="127.0.0.1")
    await signed_in(users_of)
    second = users_of.client.cookies.get("session", domain="127.0.0.1")
    assert "planted" not in (first, second)
    assert first != second


async def test_signing_out_everywhere(users_of: Office) -> None:
    await signed_in(users_of)
    elsewhere = users_of.client.cookies["session"]
    await signed_in(users_of)
    form = form_of(await users_of.client.get("/"))
    await users_of.client.post("/sign-out", data={"form": form, "everywhere": "yes"}, headers=OURS)
    users_of.client.cookies.set("session", elsewhere)
    assert (await users_of.client.get("/")).status_code == 401


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("kari", "wrong password"),
        ("nobody", PASSWORD),
        ("chief", ""),
        ("chief", PASSWORD),
        ("", ""),
    ],
)
async def test_whatever_is_wrong_the_words_are_the_same(
    users_of: Office, name: str, password: str
) -> None:
    answer = await signed_in(users_of, name, password)
    assert answer.status_code == 403
    assert sign_in.WRONG in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_name_that_is_unknown_costs_the_same_work(
    users_of: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time itself cannot be asserted on a shared machine; the work can."""
    verified = list[str]()
    verify = passwords.HASHER.verify

    class Counted:
        """The hasher, counting."""

        def verify(self, kept: str, given: bytes) -> bool:
            verified.append(kept)
            return bool(verify(kept, given))

    monkeypatch.setattr(passwords, "HASHER", Counted())
    for name in ("kari", "nobody", "chief"):
        await signed_in(users_of, name, "wrong password")
    parameters = {kept.rsplit("$", 2)[0] for kept in verified}
    assert len(verified) == 3
    assert parameters == {passwords.DUMMY.rsplit("$", 2)[0]}


async def test_five_wrong_tries_from_one_address(users_of: Office) -> None:
    for _ in range(5):
        assert (await signed_in(users_of, password="wrong password")).status_code == 403
    barred = await signed_in(users_of)
    assert barred.status_code == 429, "even with the right one"
    assert barred.headers["retry-after"] == "900"
    unknown = [(await signed_in(users_of, "nobody", "x")).status_code for _ in range(6)]
    assert unknown == [403] * 5 + [429], "a name that nobody has is counted alike"
    users_of.later(minutes=15, seconds=1)
    assert (await signed_in(users_of)).status_code == 303


async def test_a_right_password_forgives_the_wrong_ones_before_it(users_of: Office) -> None:
    for _ in range(3):
        for _ in range(4):
            await signed_in(users_of, password="wrong password")
        assert (await signed_in(users_of)).status_code == 303


async def test_a_password_of_weaker_rules_is_kept_anew(users_of: Office) -> None:
    def kept() -> str:
        with users_of.store.read() as connection:
            return stored.password(connection, "kari")

    before = kept()
    await signed_in(users_of)
    assert kept() == before
    passwords.HASHER = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    await signed_in(users_of)
    assert kept() != before
    assert (await signed_in(users_of)).status_code == 303


async def test_one_address_cannot_try_all_names(users_of: Office) -> None:
    for number in range(users.TRIES_OF_ADDRESS):
        users.sign_in(users_of.store, f"n{number}", "", "127.0.0.1", users_of.now)
    assert (await signed_in(users_of)).status_code == 429
    other = users.sign_in(users_of.store, "kari", PASSWORD, "192.0.2.1", users_of.now)
    assert other.session, "another address may"


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([timedelta(hours=11, minutes=59)], 200),
        ([timedelta(hours=12, minutes=1)], 401),
        ([timedelta(hours=11)] * 65, 200),
        ([timedelta(hours=11)] * 66, 401),
    ],
)
async def test_a_session_ends(users_of: Office, steps: list[timedelta], status: int) -> None:
    """12 hours after its last request, and 30 days after it began."""
    await signed_in(users_of)
    for step in steps:
        users_of.now += step
        answer = await users_of.client.get("/troubles")
    assert answer.status_code == status


@pytest.mark.parametrize("change", [users.disable, None])
async def test_who_is_disabled_or_gets_another_password_is_out(
    users_of: Office, change: Callable[[Desk, str], object] | None
) -> None:
    await signed_in(users_of)
    hashed = passwords.hashed("another password")
    users_of.perform(
        lambda desk: change(desk, "kari") if change else users.set_password(desk, "kari", hashed),
        OPERATOR,
    )
    assert (await users_of.client.get("/")).status_code == 401
    assert (await signed_in(users_of)).status_code == 403
    again = await signed_in(users_of, password="another password")
    assert again.status_code == (403 if change else 303)
    if change:
        users_of.perform(lambda desk: users.enable(desk, "kari"), OPERATOR)
        assert (await signed_in(users_of)).status_code == 303


async def test_an_associate_who_is_gone_is_out(users_of: Office) -> None:
    await signed_in(users_of)
    with users_of.store.write() as connection:
        connection.exec_driver_sql("DELETE FROM associate WHERE key = 'kari'")
    assert (await users_of.client.get("/")).status_code == 401
    assert (await users_of.ask("GET", "/tokens", "kari")).status_code == 401


async def test_a_link_lets_in_once(users_of: Office) -> None:
    secret = users_of.perform(lambda desk: users.link(desk, "chief"), OPERATOR)
    address = users.address(users_of.site.settings, secret)
    assert address.startswith("http://127.0.0.1:8025/sign-in/link?token=")
    first = await users_of.client.get(address)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert (await users_of.client.get("/")).status_code == 200
    second = await users_of.client.get(address)
    assert second.status_code == 403
    assert sign_in.USED in second.text
    late = users_of.perform(lambda desk: users.link(desk, "chief"), OPERATOR)
    users_of.later(hours=25)
    assert (await users_of.client.get(f"/sign-in/link?token={late}")).status_code == 403


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://127.0.0.1:8025"}, True),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8025"}, False),
        ({}, False),
    ],
)
async def test_a_form_must_come_from_this_site(
    users_of: Office, headers: dict[str, str], is_taken: bool
) -> None:
    form = {"name": "kari", "password": PASSWORD}
    answer = await users_of.client.post("/sign-in", data=form, headers=headers)
    assert answer.status_code == (303 if is_taken else 403)
    if not is_taken:
        assert "set-cookie" not in answer.headers


async def test_a_form_must_say_the_token_of_its_session(users_of: Office) -> None:
    await signed_in(users_of)
    theirs = form_of(await users_of.client.get("/"))
    await signed_in(users_of)
    for form in ({}, {"form": ""}, {"form": theirs}, {"form": "é"}):
        refused = await users_of.client.post("/sign-out", data=form, headers=OURS)
        assert refused.status_code == 403
    assert (await users_of.client.get("/")).status_code == 200
    own = form_of(await users_of.client.get("/"))
    said = {**OURS, "X-Form-Token": own}
    assert (await users_of.client.post("/sign-out", headers=said)).status_code == 303


async def test_a_form_is_of_a_bearable_size_and_kind(users_of: Office) -> None:
    form = {"name": "x" * door.MOST_BYTES}
    assert (await users_of.client.post("/sign-in", data=form, headers=OURS)).status_code == 413
    many = {f"f{number}": "" for number in range(door.MOST_FIELDS + 1)}
    many = dict.fromkeys(many, "1")
    assert (await users_of.client.post("/sign-in", data=many, headers=OURS)).status_code == 400
    json = await users_of.client.post("/sign-in", json={"name": "kari"}, headers=OURS)
    assert json.status_code == 415


async def test_a_cookie_opens_no_api(users_of: Office) -> None:
    await signed_in(users_of)
    for path in ("/api/v1/tokens", "/api/v1/events"):
        assert (await users_of.client.get(path)).status_code == 401


async def test_the_document_of_the_api_is_read_with_a_token_too(users_of: Office) -> None:
    bearer = {"Authorization": f"Bearer {users_of.tokens['read']}"}
    assert (await users_of.client.get("/api/openapi.json", headers=bearer)).status_code == 200
    assert (await users_of.client.get("/", headers=bearer)).status_code == 401
    wrong = {"Authorization": "Bearer x"}
    assert (await users_of.client.get("/api/openapi.json", headers=wrong)).status_code == 401


@pytest.mark.parametrize(
    ("header", "language", "word"),
    [
        ("nb-NO,nb;q=0.9,en;q=0.8", "nb", "Logg inn"),
        ("no", "nb", "Passord"),
        ("de,nn;q=0.5", "nb", "Navn"),
        ("en-GB,nb", "en", "Sign in"),
        ("fr", "en", "Sign in"),
        ("", "en", "Sign in"),
    ],
)
async def test_the_form_speaks_the_readers_language(
    users_of: Office, header: str, language: str, word: str
) -> None:
    answer = await users_of.client.get("/sign-in", headers={"Accept-Language": header})
    assert f'<html lang="{language}">' in answer.text
    assert word in answer.text
    assert "<script" not in answer.text


async def test_what_was_typed_stays_text(users_of: Office) -> None:
    answer = await signed_in(users_of, '"><script>', "x", next='"><script>')
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/follow-ups?a=1", "/follow-ups?a=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_where_it_goes_on_is_on_this_site(path: str, to: str) -> None:
    assert sign_in.local(path) == to


def test_behind_https_the_cookie_is_bound_to_it() -> None:
    web = Web(public_url="https://gateway.example")
    said = door.let_in(Response(), "secret", web).headers["set-cookie"]
    assert said.startswith("__Host-session=secret;")
    assert "Secure" in said
    assert "Path=/" in said
    assert "Domain" not in said
    assert door.cookie("a=b; __Host-session=secret; c", web) == "secret"
    assert door.cookie("session=secret", web) == ""


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::7", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix", "unix"),
    ],
)
def test_who_has_a_network_has_one_address(client: str, address: str) -> None:
    assert door.address({"client": (client, 1)}) == address
    assert door.address({"client": None}) == ""
