"""Where a list goes on: by its own cursors, and by those that somebody made up, with the mark of the
list, which is no secret, and any values.
"""

from typing import Any
from urllib.parse import urlencode

import httpx

from gateway.model import Access
from gateway.web.api import cursors, table
from gateway.web.pages.admin import review
from tests.store.conftest import emptied, store  # noqa: F401 - on both databases
from tests.web.test_pages import signed_in
from tests.web.world import Office

VALUES = ("", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", None, -7)
MADE_UP: list[tuple[Any, ...]] = [
    position
    for value in VALUES
    for position in ((value,), (value, ""), (value, 1), (value, None), (value, 1, ""))
]
ORDERS: dict[str, tuple[dict[str, str], ...]] = {
    "/api/v1/follow-ups": ({}, {"from": "2026-01-01T00:00:00Z"}, {"q": "Title"})
}
"""What gives a list another order, and so cursors of another kind."""
UNPAGED = "/api/v1/webhooks"
"""There are never many."""
NUMBERED = {
    f"/api/v1/{path}"
    for path in (
        "decisions",
        "follow-ups/own/journal",
        "follow-ups/own/letters",
        "review/known",
        "tokens",
        "webhooks/1/deliveries",
    )
}
"""Lists in the order of numbers, of which there is more than one row here."""


async def lists(office: Office) -> list[tuple[str, dict[str, str], str]]:
    """The address of every list, what it is asked, and by whom."""
    found = list[tuple[str, dict[str, str], str]]()
    for right in table.rights():
        if right.method != "GET":
            continue
        said = office.parameters(right, "own")
        names = [name for name in said if f"{{{name}}}" in right.path]
        path = right.path.format(**{name: said.pop(name) for name in names})
        for name in ("crm", "admin", "kari"):
            answer = await ask(office, path, said, name)
            if answer.status_code == 200:
                break
        if answer.text.startswith('{"items"') and '"next":' in answer.text:
            found += [(path, said | more, name) for more in ORDERS.get(path, ({},))]
    return found


async def ask(office: Office, path: str, said: dict[str, str], by: str) -> httpx.Response:
    return await office.ask("GET", path.removeprefix("/api/v1"), by, params=said)


async def test_a_cursor_that_is_made_up_is_refused_or_a_place(office: Office) -> None:
    asked = await lists(office)
    assert {"/api/v1/review", "/api/v1/invitations"} < {path for path, _, _ in asked}
    for path, said, by in asked:
        office.later(minutes=1)  # so many requests a token has
        about = f"{path}?{urlencode(sorted(said.items()))}"
        for position in MADE_UP:
            cursor = {"cursor": cursors.write(position, about)}
            answer = await ask(office, path, said | cursor, by)
            assert answer.status_code in (200, 422), (path, said, position, answer.text)


async def test_the_page_of_messages_refuses_it_too(office: Office) -> None:
    chief = signed_in(office, "chief", Access.ADMIN)
    for position in MADE_UP:
        answer = await chief.get(f"/admin/review?after={cursors.write(position, review.LIST)}")
        assert answer.status_code in (200, 422), position


async def test_a_list_a_row_at_a_time_is_the_whole_list(office: Office) -> None:
    for address in ("ola@cabin.example", "ola@boat.example"):
        said = {"address": address, "participant": "ola"}
        await office.ask("POST", "/review/known", "admin", json=said)
    await office.ask("POST", "/webhooks/1/test")
    long = set[str]()
    for path, said, by in await lists(office):
        if path == UNPAGED:
            continue
        office.later(minutes=1)
        whole = (await ask(office, path, said, by)).json()["items"]
        assert await one_by_one(office, path, said, by) == whole, path
        long |= {path} if len(whole) > 1 else set()
    assert long >= NUMBERED


async def one_by_one(office: Office, path: str, said: dict[str, str], by: str) -> list[Any]:
    """All rows of a list, in pages of one."""
    rows, cursor = list[Any](), dict[str, str]()
    while True:
        page = (await ask(office, path, said | {"limit": "1"} | cursor, by)).json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        cursor = {"cursor": page["next"]}
