"""Switches that have no effect for want of an address or an account: they keep the wish, nothing is
taken back, and what is put right goes on by itself (domain.md §3), on both databases.
"""

from typing import Any

import pytest

from gateway import settings as configuration
from gateway.actions import load, mail_accounts, planning
from gateway.model import Delivery, LetterState, Method
from gateway.shapes import StatusRow
from gateway.store import claims, journal, views
from gateway.store.engine import Store
from gateway.store.outbox import Settlement
from tests.store import rows

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "also": ["booking@crm.example"]}}
)
MARK = "INSERT INTO change_mark (follow_up) VALUES ('m1')"
TYPO = "UPDATE person_email SET address = 'ola@ext,example' WHERE person = 'ola'"
RIGHT = "UPDATE person_email SET address = 'ola@ext.example' WHERE person = 'ola'"


def plan(store: Store, settings: configuration.Settings = SETTINGS) -> list[tuple[str, str]]:
    """Plan what changed and let it leave: to whom, and what."""
    planning.plan_due(store, settings, rows.NOW, everything=True)
    with store.write() as connection:
        letters = claims.take(connection, "g1", rows.NOW, 100)
        taken = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in letters]
        claims.settle(connection, taken, [], "g1", rows.NOW)
    return [(one.letter.address, one.letter.method.value) for one in letters]


def status(store: Store, key: str = "ola") -> StatusRow:
    with store.read() as connection:
        return next(one for one in views.status_rows(connection, "m1") if one.key == key)


def events(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [
            (one.event, one.detail)
            for one in journal.after(connection, 0)
            if one.event in ("suspended", "resumed")
        ]


def invited(store: Store) -> None:
    rows.begin(store)
    rows.run(store, MARK)
    assert plan(store) == [("ola@ext.example", Method.REQUEST)]


def test_a_typo_suspends_the_switch_visibly_and_its_correction_owes_nothing(store: Store) -> None:
    invited(store)
    rows.run(store, TYPO)
    assert plan(store) == []
    row = status(store)
    assert (row.email_invite, row.suspended, row.note) == (
        True,
        "no_address",
        "no valid e-mail address",
    )
    rows.run(store, RIGHT)
    assert plan(store) == []
    row = status(store)
    assert (row.email_invite, row.suspended, row.note) == (True, "", "")
    assert events(store) == [("suspended", "no valid e-mail address"), ("resumed", "")]


def test_an_address_card_that_is_loaded_with_a_typo_suspends_too(store: Store) -> None:
    invited(store)
    card: dict[str, Any] = {"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext,example"]}
    document = {
        "persons": [card],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2026-12-01T09:00:00",
                "end": "2026-12-01T10:00:00",
                "timezone": "Europe/Oslo",
                "participants": [{"person": "ola", "email_invite": True}],
            }
        ],
    }
    with store.write() as connection:
        report = load.load(connection, document, SETTINGS, rows.NOW)
    place = "follow_ups[0].participants[0]"
    assert f"{place}: email_invite is suspended: no valid e-mail address" in report.notes
    assert plan(store) == []
    assert (status(store).email_invite, status(store).suspended) == (True, "no_address")
    card["emails"] = ["ola@ext.example"]
    with store.write() as connection:
        load.load(connection, document, SETTINGS, rows.NOW)
    assert plan(store) == []
    assert (status(store).email_invite, status(store).suspended) == (True, "")


def test_without_the_account_the_switch_is_suspended_and_nothing_is_taken_back(
    store: Store,
) -> None:
    rows.begin(store)
    rows.run(store, MARK)
    nothing = configuration.load()
    assert plan(store, nothing) == []
    assert (status(store).email_invite, status(store).suspended) == (True, "no_account")
    mail_accounts.revive(store, SETTINGS, rows.NOW)
    assert plan(store) == [("ola@ext.example", Method.REQUEST)]
    assert status(store).suspended == ""


@pytest.mark.parametrize(
    ("address", "note"),
    [
        ("invites@crm.example", "a mailbox of this gateway: no letter"),
        ("Booking+abc@CRM.example", "a mailbox of this gateway: no letter"),
        ("kari@crm.example", "the organizer's own address: no letter"),
    ],
)
def test_our_own_mailbox_and_the_organizer_are_refused_when_they_are_planned(
    store: Store, address: str, note: str
) -> None:
    invited(store)
    rows.run(
        store,
        f"INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', '{address}', TRUE)",
    )
    assert plan(store) == []
    row = status(store, address)
    assert (row.suspended, row.note) == ("no_address", note)
    # A card that is given our address by mistake takes nothing away either.
    rows.run(store, RIGHT.replace("ola@ext.example", address.replace("abc", "d")))
    assert plan(store) == []
    rows.run(store, "UPDATE participant SET email_invite = FALSE WHERE person = 'ola'")
    assert plan(store) == [("ola@ext.example", Method.CANCEL)]


def test_an_associate_who_shares_the_owners_mailbox_is_invited(store: Store) -> None:
    rows.begin(store)
    rows.run(
        store,
        "UPDATE associate SET email = 'kari@crm.example' WHERE key = 'per'",
        "UPDATE participant SET email_invite = TRUE WHERE associate = 'per'",
    )
    assert ("kari@crm.example", Method.REQUEST) in plan(store)
