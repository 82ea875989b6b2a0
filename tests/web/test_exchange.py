"""Every live list says what it shows, and is told the rows that differ: nothing where nothing does, and
not the rows beside them (page.md §3).
"""

import html
import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from gateway.actions import answering
from gateway.actions.answering import Said
from gateway.model import Access, Reply
from gateway.store import schema, schema_letters
from gateway.web.pages import exchange
from tests.web.test_diary import add
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office, receive

Change = Callable[[Office], object]


def renamed(office: Office) -> None:
    write(office, sa.update(schema.follow_up).where(OWN).values(title="Another title"))


def answered(office: Office) -> None:
    row, said = office.row("own", "per"), Said(Reply.TENTATIVE, "On my way")
    office.perform(lambda desk: answering.answer(desk, row, said), office.actor("per"))


def held(office: Office) -> None:
    first = sa.select(sa.func.min(schema_letters.outbox.c.id)).scalar_subquery()
    row = schema_letters.outbox.c.id == first
    write(office, sa.update(schema_letters.outbox).where(row).values(state="held", note="x"))


def braked(office: Office) -> None:
    held_by_it = {"state": "held", "note": "brake", "changed_at": office.now}
    write(office, sa.update(schema_letters.outbox).values(**held_by_it))


def tried(office: Office) -> None:
    first = sa.select(sa.func.min(schema_letters.outbox.c.id)).scalar_subquery()
    row = schema_letters.outbox.c.id == first
    write(office, sa.update(schema_letters.outbox).where(row).values(tries=3))


def completed(office: Office) -> None:
    row = schema.follow_up.c.key == "t"
    write(office, sa.update(schema.follow_up).where(row).values(completed=True))


def write(office: Office, statement: sa.Executable) -> None:
    with office.store.write() as connection:
        connection.execute(statement)


OWN = schema.follow_up.c.key == "own"
LISTS: dict[str, Change] = {
    "kari /follow-ups": renamed,
    "kari /persons/ola": renamed,
    "kari /diary?view=week&date=2026-12-01": renamed,
    "kari /diary?view=month&date=2026-12-01": renamed,
    "kari /diary?view=next&date=2026-12-01": renamed,
    "kari /diary?view=day&date=2026-12-01": completed,
    "kari /follow-ups/own": answered,
    "per /invitations": renamed,
    "admin /admin": held,
    "admin /admin/letters": held,
    "admin /admin/brake": tried,
}


def begin(office: Office) -> None:
    task = {"key": "t", "kind": "task", "owner": "kari", "title": "Send the offer"}
    add(office, follow_ups=[{**task, "deadline": "2026-12-01", "timezone": "Europe/Oslo"}])
    office.plan()
    braked(office)


def reader(office: Office, name: str) -> Reader:
    return signed_in(office, name, Access.ADMIN if name == "admin" else Access.USER)


def part(page: str) -> tuple[str, str]:
    """Where a page asks for its list, and what it has seen of it."""
    found = re.search(r'hx-get="([^"]+)" hx-include="#([a-z]+)-seen"', page)
    assert found is not None
    seen = re.search(rf'id="{found[2]}-seen" value="([^"]+)"', page)
    assert seen is not None
    return html.unescape(found[1]), seen[1]


async def asked(who: Reader, to: str, seen: str) -> tuple[int, str]:
    answer = await who.get(f"{to}{'&' if '?' in to else '?'}seen={seen}")
    return answer.status_code, answer.text


@pytest.mark.parametrize("name", LISTS)
async def test_of_a_list_the_row_that_differs_is_exchanged(office: Office, name: str) -> None:
    who, address = name.split()
    begin(office)
    here = reader(office, who)
    to, seen = part((await here.get(address)).text)
    assert await asked(here, to, seen) == (204, "")
    LISTS[name](office)
    code, told = await asked(here, to, seen)
    rows = re.findall(r'<li[^>]* id="([^"]+)"[^>]* hx-swap-oob="outerMorph"', told)
    assert (code, len(rows)) == (200, 1), told
    assert told.count("<li") == 1 + told.count("<li>"), "and nothing beside it"
    # The page has that row, under that name, and what is told now is what it has seen next.
    assert (await here.get(address)).text.count(f'id="{rows[0]}"') == 1
    again = re.search(r'-seen" value="([^"]+)" hx-swap-oob="true"', told)
    assert again is not None
    assert await asked(here, to, again[1]) == (204, "")


async def test_a_row_that_comes_exchanges_the_whole(office: Office) -> None:
    office.plan()
    chief = reader(office, "admin")
    to, seen = part((await chief.get("/admin/review")).text)
    assert await asked(chief, to, seen) == (204, "")
    number = receive(office, "own", "stranger@elsewhere.example")
    code, told = await asked(chief, to, seen)
    assert code == 200
    assert told.lstrip().startswith('<div id="review"')
    assert f'id="message-{number}"' in told


def test_a_list_of_many_rows_is_exchanged_as_a_whole() -> None:
    """What a page has seen of it would not fit into an address."""
    rows = [(number, "waits") for number in range(1_000)]
    seen = str(exchange.digests("all", rows))
    assert len(seen) < 8_000
    assert exchange.changed(exchange.digests("all", rows), seen) == set()
    others = [*rows[:-1], (999, "comes")]
    assert exchange.changed(exchange.digests("all", others), seen) is None
