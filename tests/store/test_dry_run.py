"""A dry run shows the letters that then leave, word by word, for every kind of change of itip.md §2
(docs/api.md, "How to ask").
"""

import email
import email.policy
from email.message import EmailMessage

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway import shapes
from gateway.actions import desk, letters, load, planning
from gateway.actions.desk import Desk
from gateway.model import Access, Actor
from gateway.store import outbox
from gateway.store.engine import Store
from tests.store import rows

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "name": "Firma AS", "language": "en"}}
)
CRM = Actor(Access.CRM, "", "crm")
SERIES = {
    "timezone": "Europe/Oslo",
    "start": "2026-12-01T09:00:00",
    "end": "2026-12-01T10:00:00",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=6"},
}
DOCUMENT = {
    "associates": [
        {"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"},
        {"key": "per", "name": "Per", "email": "per@crm.example", "language": "nb"},
    ],
    "persons": [
        {"key": "ola", "name": "Ola", "emails": ["ola@ext.example"], "language": "de"},
        {"key": "liv", "name": "Liv", "emails": ["liv@ext.example"]},
    ],
    "follow_ups": [
        {
            "key": "m1",
            "owner": "kari",
            "title": "Kick-off",
            "agenda": "What & <why>",
            **SERIES,
            "participants": [
                {"person": "ola", "email_invite": True},
                {"associate": "per", "email_invite": True},
                {"email": "eva@other.example", "name": "Eva", "email_invite": True},
                {"person": "liv"},
            ],
        }
    ],
}
DATE = "'2026-12-08 08:00:00{z}'"
OLA = "follow_up = 'm1' AND person = 'ola'"

CHANGES = {
    "added": (
        1,
        "INSERT INTO participant (follow_up, email, email_invite)"
        " VALUES ('m1', 'new@other.example', TRUE)",
    ),
    "switched on": (1, "UPDATE participant SET email_invite = TRUE WHERE person = 'liv'"),
    "moved": (3, "UPDATE follow_up SET location = 'Fjord'"),
    "told": (3, "UPDATE follow_up SET title = 'Kick-off, really'"),
    "guest list": (3, "UPDATE follow_up SET guest_list = 'private'"),
    "silent": (0, "UPDATE follow_up SET notes = 'x', completed = TRUE, priority = 'high'"),
    "switched off": (1, f"UPDATE participant SET email_invite = FALSE WHERE {OLA}"),
    "removed": (1, f"UPDATE participant SET removed = TRUE WHERE {OLA}"),
    "no address": (0, "DELETE FROM person_email WHERE person = 'ola'"),
    "another address": (
        2,
        "UPDATE person_email SET address = 'ola@new.example' WHERE person = 'ola'",
    ),
    "cancelled": (3, "UPDATE follow_up SET cancelled = TRUE, cancel_reason = 'Snow'"),
    "deleted": (3, "DELETE FROM participant", "DELETE FROM follow_up"),
    "date moved": (
        3,
        "INSERT INTO follow_up_date (follow_up, original_start, start_at)"
        f" VALUES ('m1', {DATE}, '2026-12-08 12:00:00{{z}}')",
    ),
    "date cancelled": (
        3,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled)"
        f" VALUES ('m1', {DATE}, TRUE)",
    ),
    "shortened": (3, "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=3'"),
    "date added": (
        3,
        "INSERT INTO follow_up_date (follow_up, original_start)"
        " VALUES ('m1', '2026-12-03 08:00:00{z}')",
    ),
    "invited to one date": (
        1,
        "INSERT INTO participant (follow_up, email, email_invite, original_start)"
        f" VALUES ('m1', 'one@other.example', TRUE, {DATE})",
    ),
}


def invited(store: Store) -> None:
    """Everybody has the first invitation."""
    with store.write() as connection:
        load.load(connection, DOCUMENT, SETTINGS, rows.NOW)
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    left(store)


def left(store: Store) -> None:
    """All that waits has left."""
    of_it = "(SELECT {} FROM outbox WHERE invitation = invitation.id ORDER BY id DESC LIMIT 1)"
    says = ("edition", "method", "sequence")
    taken = ", ".join(f"sent_{name} = {of_it.format(name)}" for name in says)
    top = f"top_sequence = {of_it.format('sequence')}, sent_at = {at(store)}"
    rows.run(
        store,
        f"UPDATE invitation SET {taken}, {top} WHERE EXISTS"
        " (SELECT 1 FROM outbox WHERE invitation = invitation.id)",
        "UPDATE outbox SET state = 'sent'",
    )


def at(store: Store) -> str:
    return "'2026-11-20 08:00:00'" if store.is_sqlite else "timestamptz '2026-11-20 08:00:00+00'"


def dry_run_then_real(
    store: Store, *statements: str
) -> tuple[list[shapes.Json], list[shapes.Json]]:
    zone = "" if store.is_sqlite else "+00"

    def command(here: Desk) -> None:
        for statement in statements:
            here.connection.exec_driver_sql(statement.format(z=zone))
        here.touch("m1")

    foretold = list[shapes.Json]()

    def look(here: Desk) -> None:
        outcome = desk.carry_out(here, command)
        views = letters.shown(here.connection, SETTINGS, outcome.letters.queued, words=True)
        foretold.extend(shapes.owed_letter(view, bodies=True) for view in views)

    desk.perform(store, SETTINGS, rows.NOW, CRM, look, dry_run=True)
    desk.perform(store, SETTINGS, rows.NOW, CRM, command)
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    return foretold, leaving(store)


def leaving(store: Store) -> list[shapes.Json]:
    """The mails that leave, read by another program than ours."""
    with store.read() as connection:
        writer = letters.Writer.at(connection, SETTINGS)
        waiting = outbox.pending(connection)
        mails = [
            email.message_from_bytes(writer.mail(one.letter), policy=email.policy.default)
            for one in waiting
        ]
    return [
        {"to": one.letter.address, "method": one.letter.method.value, **words(mail)}
        for one, mail in zip(waiting, mails, strict=True)
    ]


def words(mail: EmailMessage) -> shapes.Json:
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    return {
        "subject": mail["Subject"],
        "text": text.get_content().replace("\r\n", "\n"),
        "html": html.get_content().replace("\r\n", "\n"),
    }


def told(shape: shapes.Json) -> shapes.Json:
    return {name: shape[name] for name in ("to", "method", "subject", "text", "html")}


@pytest.mark.parametrize("change", CHANGES)
def test_a_dry_run_shows_what_then_leaves_word_by_word(store: Store, change: str) -> None:
    number, *statements = CHANGES[change]
    invited(store)
    foretold, leaves = dry_run_then_real(store, *map(str, statements))
    assert [told(shape) for shape in foretold] == leaves
    assert len(leaves) == number


def test_a_follow_up_that_takes_place_after_all_is_foretold(store: Store) -> None:
    invited(store)
    rows.run(store, "UPDATE follow_up SET cancelled = TRUE")
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)
    left(store)
    foretold, leaves = dry_run_then_real(store, "UPDATE follow_up SET cancelled = FALSE")
    assert [told(shape) for shape in foretold] == leaves
    assert [one["method"] for one in leaves] == ["REQUEST"] * 3


def test_what_no_mail_can_say_is_said_instead(store: Store) -> None:
    invited(store)
    rows.run(store, "UPDATE outbox SET account = 'gone'")
    with store.read() as connection:
        queued = outbox.page(connection, "m1", 0, 10)
        [shape, *_] = [
            shapes.letter(view) for view in letters.shown(connection, SETTINGS, queued, words=True)
        ]
    assert shape["subject"] is None
    assert shape["fault"] == "gone is no mail account any more"


def test_letters_have_the_words_of_the_server(store: Store) -> None:
    invited(store)
    with store.write() as connection:
        [first, *_] = outbox.page(connection, "m1", 0, 1)
        connection.execute(
            sa.text(
                "INSERT INTO attempt (letter, started_at, seconds, verdict, step, code, enhanced,"
                f" text, host) VALUES ({first.id}, {at(store)}, 0.1, 'refused', 'rcpt', 550,"
                " '5.1.1', 'no such user', 'mx')"
            )
        )
        [view] = letters.shown(connection, SETTINGS, [first])
    shape = shapes.letter(view)
    assert (shape["key"], shape["to"], shape["state"]) == ("ola", "ola@ext.example", "sent")
    [attempt] = shape["attempts"]
    assert (attempt["code"], attempt["text"]) == (550, "no such user")
    assert attempt["at"] == "2026-11-20T08:00:00Z"
