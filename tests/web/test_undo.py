"""What the page saved is taken back before a letter leaves, from any browser of whoever saved it
(page.md §3).
"""

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.actions import answering, deciding
from gateway.actions.answering import Said
from gateway.followups.decisions import DecisionKind
from gateway.model import Access, Delivery, LetterState, Reply
from gateway.store import claims, decisions, outbox, schema, schema_letters, snapshots, users
from gateway.store.outbox import Settlement
from tests.store import acting
from tests.web.test_pages import Reader, signed_in
from tests.web.world import Office, receive

TIMES = {"start": "2026-12-02T09:00", "end": "2026-12-02T10:00"}


@pytest.fixture
def kari(office: Office) -> Reader:
    office.plan()
    acting.send(office.store, office.now)
    return signed_in(office, "kari")


def signed_in_again(office: Office, reader: Reader) -> Reader:
    """The same person, in another browser."""
    now = office.site.clock()
    with office.store.write() as connection:
        number = connection.exec_driver_sql(
            "SELECT id FROM site_user WHERE name = 'kari-page'"
        ).scalar_one()
        return Reader(office, users.begin_session(connection, number, now), reader.language)


async def bar(reader: Reader) -> str:
    """The address that takes the last save back; "" where there is none."""
    shown = re.search(r'action="(/undo/\d+)"', (await reader.get("/follow-ups")).text)
    return shown[1] if shown else ""


def said(office: Office, key: str = "own") -> str:
    with office.store.read() as connection:
        return snapshots.digest(snapshots.take(connection, key))


SAVES = {
    "move": ("/follow-ups/own/move", TIMES),
    "cancel": ("/follow-ups/own/cancel", {"reason": "The speaker is ill"}),
    "invite": (
        "/follow-ups/own/invite",
        {"who": "resource:room1", "email": "eva@other.example", "save": "yes"},
    ),
    "edit": (
        "/follow-ups/own/edit",
        {
            "title": "Another",
            "kind": "meeting",
            "start": "2026-12-01T09:00",
            "end": "2026-12-01T11:00",
        },
    ),
    "letters": ("/follow-ups/own/email-invitation", {"on": "no"}),
}


@pytest.mark.parametrize("save", SAVES)
async def test_a_save_is_taken_back_and_nobody_hears_of_it(
    office: Office, kari: Reader, save: str
) -> None:
    before = said(office)
    path, fields = SAVES[save]
    done = await kari.post(path, **fields)
    assert done.status_code == 303, done.text
    assert said(office) != before
    shown = (await kari.get("/follow-ups/own")).text
    assert 'data-left="10"' in shown
    assert re.search(r"\d letters? goe?s?\s+in ", shown)
    undone = await kari.post(await bar(kari))
    assert undone.headers["location"] == "/follow-ups/own?done=undone"
    assert said(office) == before
    assert office.plan() == 0
    assert await bar(kari) == ""
    assert "taken_back" in (await office.ask("GET", "/follow-ups/own/journal")).text


async def test_one_participant_and_what_was_decided_are_taken_back(
    office: Office, kari: Reader
) -> None:
    before = said(office)
    decision = office.decision("own").id
    for path, fields in (
        (f"/participants/{office.row('own', 'ola')}/remove", {}),
        (f"/participants/{office.row('own', 'ola')}/switch", {"on": "no"}),
        (f"/decisions/{decision}", {"choice": "move"}),
    ):
        done = await kari.post(path, **fields)
        assert done.status_code == 303, done.text
        assert said(office) != before
        await kari.post(await bar(kari))
        assert said(office) == before, path
        assert office.decision("own").id == decision
    assert office.plan() == 0


async def test_who_was_added_is_gone_again(office: Office, kari: Reader) -> None:
    fields = {"title": "Lunch", "kind": "meeting", **TIMES}
    made = (await kari.post("/follow-ups/new", **fields)).headers["location"].partition("?")[0]
    assert await bar(kari) == ""  # nobody is invited, so nothing waits
    await kari.post(f"{made}/invite", email="eva@other.example", save="yes")
    assert "<b>eva@other.example</b>" in (await kari.get(made)).text
    await kari.post(await bar(kari))
    assert "<b>eva@other.example</b>" not in (await kari.get(made)).text
    assert office.plan() == 0


async def test_the_last_save_is_taken_back_first(office: Office, kari: Reader) -> None:
    before = said(office)
    await kari.post("/follow-ups/own/move", **TIMES)
    await kari.post("/follow-ups/own/invite", email="eva@other.example", save="yes")
    await kari.post(await bar(kari))
    await kari.post(await bar(kari))
    assert said(office) == before
    assert office.plan() == 0


async def test_what_somebody_else_changed_in_between_stays(office: Office, kari: Reader) -> None:
    await kari.post("/follow-ups/own/cancel", reason="x")
    undo = await bar(kari)
    await office.ask("POST", "/follow-ups/own/reinstate", json={})
    refused = await kari.post(undo)
    assert refused.status_code == 409
    assert "has changed it at 09:00" in refused.text
    office.perform(
        lambda here: answering.answer(here, office.row("own", "per"), Said(Reply.ACCEPTED)),
        office.actor("per"),
    )
    await kari.post("/follow-ups/own/move", **TIMES)
    undo = await bar(kari)
    office.perform(
        lambda here: answering.answer(here, office.row("own", "per"), Said(Reply.DECLINED)),
        office.actor("per"),
    )
    assert (await kari.post(undo)).status_code == 409
    assert "Wednesday, 2 December" in (await kari.get("/follow-ups/own")).text


def test_another_rows_invitation_may_have_the_number_of_who_was_removed() -> None:
    def of(again: bool) -> str:
        wish = {"id": 7, "participant": 8, "again": again}
        rows: dict[str, Any] = {table: {} for table in snapshots.TABLES}
        rows["participant"] = {(7,): {"removed": True}}
        rows["invitation"] = {(7,): wish}
        return snapshots.digest(rows)

    assert of(True) != of(False)


async def test_letters_wait_so_long_and_then_it_is_too_late(office: Office, kari: Reader) -> None:
    with office.store.read() as connection:
        soon = connection.exec_driver_sql("SELECT datetime('now', '+4 seconds')").scalar_one()
    await kari.post("/follow-ups/own/move", **TIMES)
    undo = await bar(kari)
    with office.store.read() as connection:
        [at] = connection.exec_driver_sql("SELECT max(at) FROM change_mark").one()
    assert str(at) > str(soon)
    assert office.plan() == 2
    assert await bar(kari) == ""
    late = await kari.post(undo)
    assert late.status_code == 409
    assert "too late" in late.text
    with office.store.read() as connection:
        waiting = outbox.Selection(states=(LetterState.WAITING,))
        assert len(outbox.find(connection, waiting)) >= 2


async def test_every_browser_of_this_person_has_the_bar_and_nobody_else_has(
    office: Office, kari: Reader
) -> None:
    await kari.post("/follow-ups/own/move", **TIMES)
    elsewhere = signed_in_again(office, kari)
    undo = await bar(elsewhere)
    assert undo
    nils = signed_in(office, "nils")
    assert await bar(nils) == ""
    assert (await nils.post(undo)).status_code == 404
    await elsewhere.post(undo)
    assert 'action="/undo/' not in (await kari.get("/undo")).text
    assert (await kari.post(undo)).status_code == 409


async def test_the_bar_ends_with_its_time(office: Office, kari: Reader) -> None:
    await kari.post("/follow-ups/own/move", **TIMES)
    office.now += timedelta(seconds=8)
    assert 'data-left="2"' in (await kari.get("/undo")).text
    office.now += timedelta(seconds=2)
    assert await bar(kari) == ""


async def test_sending_again_and_reminding_are_taken_back(office: Office, kari: Reader) -> None:
    office.later(days=2)
    reader, before = signed_in_again(office, kari), said(office)
    again, remind = f"/participants/{office.row('own', 'ola')}/resend", "/follow-ups/own/remind"
    for path in (again, remind):
        done = await reader.post(path)
        assert done.status_code == 303, done.text
        assert said(office) != before
        undone = await reader.post(await bar(reader))
        assert "done=undone" in undone.headers["location"]
        assert said(office) == before
        office.later(minutes=1)
        assert office.plan() == 0
    # Neither counts: once more is not too often.
    for path in (again, remind):
        reader = signed_in_again(office, kari)
        assert (await reader.post(path)).status_code == 303
        office.later(minutes=1)
        assert office.plan() > 0
        acting.send(office.store, office.now)
        office.later(days=2)


async def test_keeping_the_time_is_taken_back_before_its_letter_leaves(
    office: Office, kari: Reader
) -> None:
    decision, before = office.decision("own").id, said(office)
    for _ in range(2):  # another time counts as the first
        done = await kari.post(f"/decisions/{decision}", choice="keep")
        assert done.headers["location"] == "/?done=decided&letters=1"
        office.later(seconds=9)
        assert claimed(office) == []
        undone = await kari.post(await bar(kari))
        assert undone.headers["location"] == "/follow-ups/own?done=undone"
        assert (said(office), office.decision("own").id) == (before, decision)
        office.later(minutes=1)
        assert office.plan() == 0
        assert claimed(office) == []
    chief = signed_in(office, "chief", Access.ADMIN)
    listed = await chief.get("/admin/letters?view=all&follow_up=own")
    assert listed.text.count('<span class="soft">Taken back before it left') == 2
    # Not taken back, exactly one leaves, in its time; then it is too late.
    await kari.post(f"/decisions/{decision}", choice="keep")
    undo = await bar(kari)
    office.later(seconds=10)
    assert claimed(office) == ["DECLINECOUNTER to ola@ext.example"]
    late = await kari.post(undo)
    assert late.status_code == 409
    assert "too late" in late.text
    office.later(days=1)
    office.plan()
    assert claimed(office) == []


async def test_who_was_let_in_is_out_again_and_their_answer_waits(
    office: Office, kari: Reader
) -> None:
    number = receive(office, "foreign", "sam@far.example", mailbox="invites@crm.example")
    with office.store.read() as connection:
        open_there = decisions.open_of(connection, ["foreign"])
        before = inbox_row(connection, number)
    [crasher] = [one for one in open_there if one.kind is DecisionKind.PARTY_CRASHER]
    nils = signed_in(office, "nils")
    for _ in range(2):
        done = await nils.post(f"/decisions/{crasher.id}", choice="add")
        assert done.headers.get("location") == "/?done=decided&letters=1", done.text
        assert "sam@far.example" in (await nils.get("/follow-ups/foreign")).text
        undone = await nils.post(await bar(nils))
        assert "done=undone" in undone.headers["location"]
        assert "<b>sam@far.example</b>" not in (await nils.get("/follow-ups/foreign")).text
        with office.store.read() as connection:
            assert inbox_row(connection, number) == before
            assert decisions.open_of(connection, ["foreign"]) == open_there
        office.later(minutes=1)
        assert office.plan() == 0
        assert claimed(office) == []
    await nils.post(f"/decisions/{crasher.id}", choice="add")
    office.later(minutes=1)
    office.plan()
    assert claimed(office) == ["REQUEST to sam@far.example"]
    assert "Comes" in (await nils.get("/follow-ups/foreign")).text


async def test_a_corrected_address_is_taken_back(office: Office, kari: Reader) -> None:
    await kari.post("/follow-ups/own/invite", email="eav@other.example", save="yes")
    office.later(minutes=1)
    office.plan()
    refused = claimed(office, Delivery.UNDELIVERABLE)
    assert refused == ["REQUEST to eav@other.example"]
    with office.store.write() as connection:
        deciding.follow(connection, ["own"], office.now)
        open_there = decisions.open_of(connection, ["own"])
    [lost] = [one for one in open_there if one.kind is DecisionKind.UNDELIVERABLE]
    await kari.post(f"/decisions/{lost.id}", choice="correct", address="eva@other.example")
    await kari.post(await bar(kari))
    assert "<b>eav@other.example</b>" in (await kari.get("/follow-ups/own")).text
    office.later(minutes=1)
    assert office.plan() == 0
    await kari.post(f"/decisions/{lost.id}", choice="correct", address="eva@other.example")
    office.later(minutes=1)
    office.plan()
    assert claimed(office) == ["REQUEST to eva@other.example"]


async def test_what_the_brake_holds_asks_first(office: Office) -> None:
    """Many letters at once, which nobody can call back (docs/page.md §7)."""
    chief = signed_in(office, "chief", Access.ADMIN)
    office.plan()
    with office.store.write() as connection:
        held = {"state": "held", "note": "brake", "changed_at": office.now}
        connection.execute(sa.update(schema_letters.outbox).values(**held))
        deciding.follow_brake(connection, office.now)
    page = (await chief.get("/")).text
    asking = re.findall(r'<a class="button[^"]*" href="(/admin/[^"]+)"', page)
    assert len(asking) == 4
    for path in asking:
        assert (await chief.get(path)).status_code == 200
    assert 'value="release"' not in page


def claimed(office: Office, delivery: Delivery = Delivery.SENT) -> list[str]:
    """The letters that leave now, which all come to this."""
    state = LetterState.SENT if delivery is Delivery.SENT else LetterState.REFUSED
    with office.store.write() as connection:
        taken = claims.take(connection, "a", office.now, 100)
        ends = [Settlement(one.id, state, True, delivery) for one in taken]
        claims.settle(connection, ends, [], "a", office.now)
    return [f"{one.letter.method.value} to {one.letter.address}" for one in taken]


def inbox_row(connection: sa.Connection, number: int) -> dict[str, Any]:
    """All of it, except where the mail lies."""
    rows = connection.execute(sa.select(schema.inbox).where(schema.inbox.c.id == number))
    row = dict(rows.mappings().one())
    return {name: value for name, value in row.items() if name not in snapshots.LYING}
