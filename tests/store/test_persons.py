"""One person: everything about them, and a store that knows them no more (docs/operations.md,
"What is kept of one person").
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.actions import desk, inviting, load, persons, planning, undoing
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, NotFound, Refused
from gateway.model import Access, Actor, Outcome
from gateway.store import codec, followups, personal, schema, views
from gateway.store.engine import Store
from tests import command
from tests.core import specimens
from tests.store import crowd, rows
from tests.store.test_growth import SETTINGS
from tests.store.test_retention import NOW, SENT, deliver, receive, reply

OPERATOR = Actor(Access.ADMIN, name="operator")
OLA, EVA = "ola@ext.example", "eva@ext.example"


def follow_up(key: str, start: str, **facts: object) -> dict[str, object]:
    times = {"start": f"{start}T09:00:00", "end": f"{start}T10:00:00", "timezone": "Europe/Oslo"}
    people = [
        {"person": "ola", "email_invite": True, "token": f"{key}ola"},
        {"email": EVA, "name": "Eva", "email_invite": True, "token": f"{key}eva"},
    ]
    said = {"key": key, "title": key, "owner": "kari", "uid": f"{key}@crm.example"}
    return {**said, **times, "guest_list": "public", "participants": people, **facts}


DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
    "companies": [{"key": "acme", "name": "Acme"}],
    "persons": [{"key": "ola", "name": "Ola Hansen", "company": "acme", "emails": [OLA]}],
    "projects": [{"key": "p1", "name": "Launch", "members": ["ola"]}],
    "follow_ups": [
        follow_up("over", "2026-01-20"),
        follow_up("ahead", "2038-01-20"),
    ],
}
COMMENT = b"ATTENDEE;PARTSTAT=DECLINED:mailto:ola@ext.example\r\nCOMMENT:Ola Hansen is ill"


@pytest.fixture
def known(store: Store) -> Store:
    """Ola answered, wrote, and was refused once; and a mail of his waits."""
    with store.write() as connection:
        load.load(connection, DOCUMENT, SETTINGS, SENT)
    deliver(store, SENT)
    answer = reply("over", "ola", "DECLINED", 1)
    [line] = [one for one in answer.split(b"\r\n") if one.startswith(b"ATTENDEE")]
    words = (
        b"From: Ola Hansen <ola@ext.example>\r\nTo: invites+aheadola@crm.example\r\n"
        b"Subject: Ola asks\r\nMessage-ID: <w@mail.ext.example>\r\nContent-Type: text/plain\r\n\r\n"
        b"Ola Hansen cannot come by car.\r\n"
    )
    receive(store, answer.replace(line, COMMENT), reply("nowhere", "ola", "ACCEPTED", 2), words)
    return store


def perform(store: Store, work: Callable[[Desk], Any], actor: Actor = OPERATOR) -> Any:
    return desk.perform(store, SETTINGS, NOW, actor, work).answer


def save(store: Store) -> None:
    """Somebody on the page takes Ola out, and may take it back."""

    def remove(here: Desk) -> None:
        row = next(one for one in followups.members(here.connection, "ahead") if one.key == "ola")
        inviting.remove(here, row.id)

    undoing.perform(store, SETTINGS, NOW, Actor(Access.USER, "kari"), remove)


def everything(store: Store) -> str:
    """All that stands in the store."""
    with store.read() as connection:
        return "\n".join(
            f"{table.name}: {dict(row._mapping)}"
            for table in schema.metadata.sorted_tables
            for row in connection.execute(sa.select(table))
        )


def test_everything_is_told(known: Store) -> None:
    by_key = perform(known, lambda here: persons.export(here, "ola"))
    assert perform(known, lambda here: persons.export(here, OLA.upper())) == by_key
    assert {one["follow_up"] for one in by_key["participant"]} == {"over", "ahead"}
    assert [one["comment"] for one in by_key["standing"] if one["comment"]] == ["Ola Hansen is ill"]
    assert len(by_key["outbox"]) >= 2
    assert [one["subject"] for one in by_key["inbox"]][-1] == "Ola asks"
    for name in ("person", "person_email", "project_member", "follow_up", "journal", "attempt"):
        assert by_key[name]
    text = json.dumps(by_key)
    assert "aheadola" not in text.replace("To: invites+aheadola", ""), "nobody answers for him"
    assert EVA not in text
    with pytest.raises(NotFound, match="nothing is known of 'nobody@"):
        perform(known, lambda here: persons.export(here, "nobody@ext.example"))
    with pytest.raises(Forbidden):
        perform(known, lambda here: persons.export(here, "ola"), Actor(Access.CRM, name="office"))


def test_nobody_is_forgotten_who_holds_an_invitation(known: Store) -> None:
    before = everything(known)
    with pytest.raises(Refused, match="ola holds invitations to ahead; withdraw"):
        perform(known, lambda here: persons.erase(here, "ola"))
    assert everything(known) == before
    assert perform(known, lambda here: persons.withdraw(here, "ola")) == 1
    with pytest.raises(Refused, match="holds invitations"):
        perform(known, lambda here: persons.erase(here, "ola"))
    planning.plan_due(known, SETTINGS, NOW, everything=True)
    with pytest.raises(Refused, match=r"have not left|holds invitations"):
        perform(known, lambda here: persons.erase(here, "ola"))


def test_who_is_erased_is_nowhere_and_nobody_hears_of_it(known: Store) -> None:
    save(known)
    perform(known, lambda here: persons.withdraw(here, "ola"))
    deliver(known, NOW)
    with known.read() as connection:
        sent = connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one()
        before = {one.key: one.status for one in views.status_rows(connection, "over")}
    made = perform(known, lambda here: persons.erase(here, "ola"))
    assert made.taken["participant"] == 2
    assert made.name.startswith("erased-")
    left = everything(known).lower()
    assert "hansen" not in left
    assert OLA not in left
    assert "person:ola" not in left
    assert "ola asks" not in left
    assert EVA in left, "the others are as they were"
    planning.plan_due(known, SETTINGS, NOW + timedelta(hours=1), everything=True)
    with known.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar_one() == sent
        after = {one.key: one.status for one in views.status_rows(connection, "over")}
    assert after == {EVA: before[EVA], made.name: before["ola"]}, "what was answered stays"
    answer = reply("over", "ola", "DECLINED", 1)
    [line] = [one for one in answer.split(b"\r\n") if one.startswith(b"ATTENDEE")]
    [(outcome, _)] = receive(known, answer.replace(line, COMMENT), uid=50)
    assert outcome is Outcome.DUPLICATE
    with pytest.raises(NotFound):
        perform(known, lambda here: persons.erase(here, "ola"))


def test_a_bare_address_is_a_person_too(known: Store) -> None:
    rows.run(known, "DELETE FROM follow_up WHERE key = 'ahead'")
    deliver(known, NOW)
    made = perform(known, lambda here: persons.erase(here, EVA))
    assert EVA not in everything(known).lower()
    assert f"{made.name}@erased.invalid" in everything(known)
    assert OLA in everything(known)
    planning.plan_due(known, SETTINGS, NOW, everything=True)
    with known.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM change_mark").scalar_one() == 0
        waits = connection.exec_driver_sql("SELECT count(*) FROM outbox WHERE state = 'waiting'")
        assert waits.scalar_one() == 0


def test_whose_row_it_was_before_is_not_theirs_to_erase(known: Store) -> None:
    rows.run(
        known,
        "INSERT INTO person (key, name) VALUES ('pia', 'Pia')",
        "INSERT INTO person_email (person, position, address) VALUES ('pia', 0, 'pia@x.example')",
        "UPDATE participant SET person = 'pia' WHERE person = 'ola' AND follow_up = 'ahead'",
    )
    deliver(known, NOW)
    perform(known, lambda here: persons.withdraw(here, "pia"))
    deliver(known, NOW)
    perform(known, lambda here: persons.erase(here, "pia"))
    left = everything(known)
    assert "pia@x.example" not in left
    assert "Ola Hansen is ill" in left, "of another follow-up"


def test_the_commands(known: Store, url: str) -> None:
    there = {
        "GATEWAY_STORE__URL": url,
        "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
    }
    done = command.run("person", "export", "ola", environment=there)
    assert json.loads(done.stdout)["person"][0]["name"] == "Ola Hansen"
    refused = command.run("person", "erase", "ola", environment=there)
    assert (refused.returncode, "--withdraw" in refused.stderr) == (1, True)
    first = command.run("person", "erase", "ola", "--withdraw", environment=there)
    assert (first.returncode, "run it again" in first.stderr) == (1, True)
    deliver(known, NOW)
    erased = command.run("person", "erase", "ola", environment=there)
    assert erased.returncode == 0, erased.stderr
    assert "What remains" in erased.stdout


def test_more_may_be_known_than_a_statement_takes_values(sqlite_store: Store) -> None:
    crowd.fill(sqlite_store, 12_000)
    rows.run(
        sqlite_store,
        "UPDATE participant SET person = 'p7', associate = NULL WHERE id % 10 = 3 AND NOT EXISTS"
        " (SELECT 1 FROM participant AS other WHERE other.follow_up = participant.follow_up"
        " AND other.person = 'p7')",
        "UPDATE invitation SET sent_method = 'CANCEL'",
        "UPDATE edition SET facts = '" + codec.edition(specimens.SINGLE) + "'",
        "DELETE FROM change_mark",
    )
    with rows.narrow(sqlite_store) as connection:
        one = personal.find(connection, "p7")
        assert one is not None
        exported = personal.export(connection, one)
        assert personal.under_way(connection, one) == 0
        assert personal.held(connection, one) == []
        called, taken = personal.erase(connection, one, b"secret")
        left = personal.find(connection, "p7")
    assert len(one.rows) >= 1_200
    counted = {name: len(listed) for name, listed in exported.items()}
    for name in ("participant", "standing", "invitation", "outbox", "attempt", "inbox", "journal"):
        assert counted[name] == len(one.rows), name
        assert taken[name] >= len(one.rows), name
    assert (left, called[:7]) == (None, "erased-")
