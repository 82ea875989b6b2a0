"""What is said on the answer page, and what a card shows, on both databases (page.md §6)."""

from datetime import UTC, datetime

import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import answer_page, planning
from gateway.actions.answer_page import Done, Link
from gateway.answer.page import Said
from gateway.mail import links
from gateway.model import Reply
from gateway.store import cards, followups, journal, known, meta, outbox, proposals
from gateway.store.engine import Store
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
NOW = rows.NOW


def link(store: Store) -> Link:
    """Ola's, once there is a letter."""
    rows.run(store, "UPDATE follow_up SET title = 'Start' WHERE key = 'm1'")
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    with store.read() as connection:
        found = outbox.find(connection, outbox.Selection(follow_up="m1"))
        [token] = [one.letter.token for one in found if one.letter.address == "ola@ext.example"]
        return Link(links.page_token(meta.site_secret(connection), token))


def test_an_answer_with_another_time_is_kept_whole(store: Store) -> None:
    rows.begin(store)
    there = link(store)
    shown = answer_page.look(store, SETTINGS, NOW, there)
    assert shown is not None
    start = datetime(2026, 12, 2, 12, tzinfo=UTC)
    said = Said(Reply.DECLINED, "Er på reise", start, None)
    assert answer_page.answer(store, SETTINGS, NOW, there, said, shown.form) is Done.HEARD
    with store.read() as connection:
        members = followups.members(connection, "m1")
        standing = next(one for one in members if one.key == "ola").standings[None]
        assert (standing.reply, standing.comment) == (Reply.DECLINED, "Er på reise")
        assert [one.start for one in proposals.open(connection, "m1")] == [start]
        events = [one.event for one in journal.after(connection, 0, follow_up="m1")]
    assert {"applied", "proposed"} <= set(events)
    again = answer_page.look(store, SETTINGS, NOW, there)
    assert again is not None
    assert again.letter.remarks.start == start
    assert answer_page.answer(store, SETTINGS, NOW, there, said, "0.1.x") is Done.UNKNOWN
    assert answer_page.look(store, SETTINGS, NOW, Link("nothing")) is None


def test_a_card_knows_what_does_not_arrive_and_what_was_learned(store: Store) -> None:
    rows.begin(store)
    link(store)
    with store.write() as connection:
        connection.execute(
            sa.text(
                "UPDATE invitation SET delivery = 'undeliverable', delivery_text = 'unknown'"
                " WHERE address = 'ola@ext.example'"
            )
        )
        holder, origin = known.Holder(person="ola"), known.Origin("review", "kari", None, NOW)
        for value in ("o.hansen@privat.example", "ola@club.example"):
            known.learn(connection, holder, value, origin)
        known.forget(connection, holder, "ola@club.example", by="kari", at=NOW)
    with store.read() as connection:
        assert cards.not_reached(connection, "ola") == {"ola@ext.example": "unknown"}
        assert cards.not_reached(connection, "eva") == {}
        learned = known.learned(connection, "ola")
        assert [one.address for one in learned] == ["o.hansen@privat.example"]
        assert known.learned(connection, "eva") == []
        assert [one.who for one in cards.people_of(connection, "acme", 10)] == []
        assert cards.sales_to(connection, "acme", 10) == []
