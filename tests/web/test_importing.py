"""A whole document over HTTP: all or nothing, with a dry run, and counted by the brake (docs/api.md;
contract.md §3; domain.md §10)."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.actions import planning
from gateway.store import journal, outbox, schema, schema_letters
from tests.web.world import Office


def meeting(key: str, **values: Any) -> dict[str, Any]:
    return {
        "key": key,
        "owner": "kari",
        "title": f"Title of {key}",
        "start": "2026-12-01T09:00:00",
        "end": "2026-12-01T10:00:00",
        "timezone": "Europe/Oslo",
        "participants": [{"person": "ola", "email_invite": True}],
        **values,
    }


def everything(office: Office) -> dict[str, list[Any]]:
    with office.store.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table)).all()]
            for table in schema.metadata.sorted_tables
            if table.name not in ("token", "api_token", "request", "pace")
        }


async def test_a_document_is_loaded_and_reported(office: Office) -> None:
    document = {
        "persons": [
            {"key": "eva", "emails": ["eva@ext.example"]},
            {"key": "bad", "emails": ["x@"]},
        ],
        "follow_ups": [meeting("m1"), meeting("m2")],
    }
    answer = await office.ask("POST", "/import", json=document)
    assert answer.status_code == 200
    report = answer.json()
    assert report["created"] == {
        "persons": ["bad", "eva"],
        "follow_ups": ["m1", "m2"],
        "participants": ["m1/ola", "m2/ola"],
    }
    assert report["notes"][0].startswith("persons[1]: 'x@' is not used")
    # The three follow-ups of the office owe their first letters, too, but did not change.
    assert report["letters"]["request"] == 2
    with office.store.read() as connection:
        made = [one for one in journal.after(connection, 0, 500) if one.follow_up == "m1"]
    assert (made[0].event, made[0].by, made[0].channel) == ("created", "crm", "api")
    again = await office.ask("POST", "/import", json=document)
    assert again.json()["created"] == again.json()["changed"] == {}
    assert again.json()["letters"]["request"] == 0


async def test_nothing_is_written_where_anything_is_wrong(office: Office) -> None:
    before = everything(office)
    document = {
        "persons": [{"key": "eva"}, {"key": "ola", "nmae": "Ola"}],
        "follow_ups": [meeting("m1", owner="nobody", fields={"a/b": 1})],
    }
    answer = await office.ask("POST", "/import", json=document)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/persons/1/nmae", "detail": "no such field"}]
    del document["persons"][1]["nmae"]
    answer = await office.ask("POST", "/import", json=document)
    assert [one["pointer"] for one in answer.json()["errors"]] == [
        "/follow_ups/0/owner",
        "/follow_ups/0/fields/a~1b",
    ]
    assert everything(office) == before


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b'{"persons": NaN}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[]", 422, "should be a JSON object"),
        (b'{"persons": [{"key": "a\\u0000"}]}', 422, "NUL"),
        (b'{"persons": [{"key": "a\\ud800"}]}', 422, "surrogate"),
        (b" " * 20_000_001, 413, ""),
    ],
)
async def test_what_is_no_document_is_refused(
    office: Office, body: bytes, status: int, words: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await office.ask("POST", "/import", "crm", headers, content=body)
    assert answer.status_code == status, answer.text
    assert words in answer.text


async def test_a_dry_run_keeps_nothing_and_lists_the_letters(office: Office) -> None:
    before = everything(office)
    body = {"follow_ups": [meeting("m1")]}
    answer = await office.ask("POST", "/import", json=body, params={"dry_run": True})
    assert answer.json()["created"]["follow_ups"] == ["m1"]
    assert [one["to"] for one in answer.json()["letters"]["owed"]] == ["ola@ext.example"]
    assert everything(office) == before


async def test_only_the_crm_itself_imports(office: Office) -> None:
    for name in ("kari", "read", "admin"):
        assert (await office.ask("POST", "/import", name, json={"x": 1})).status_code == 403
    behalf = await office.ask("POST", "/import", "crm", {"On-Behalf-Of": "kari"}, json={})
    assert behalf.status_code == 403


async def test_the_brake_counts_an_import(office: Office) -> None:
    """domain.md §10: more moved than `outbound.brake_follow_ups` within a minute are held."""
    settings = office.site.settings
    most = settings.outbound.brake_follow_ups
    keys = [f"m{number}" for number in range(most + 1)]
    await office.ask("POST", "/import", json={"follow_ups": [meeting(key) for key in keys]})
    planning.plan_due(office.store, settings, office.now, everything=True)
    with office.store.write() as connection:
        connection.execute(sa.update(schema_letters.outbox).values(state="sent"))
        connection.exec_driver_sql(
            "UPDATE invitation SET sent_edition = (SELECT edition FROM outbox WHERE invitation ="
            " invitation.id), sent_method = 'REQUEST', sent_sequence = 0, top_sequence = 0,"
            " sent_at = '2026-11-20 08:00:00'"
        )
    moved = {"start": "2026-12-02T09:00:00", "end": "2026-12-02T10:00:00"}
    body = {"follow_ups": [meeting(key, **moved) for key in keys]}
    answer = await office.ask("POST", "/import", json=body)
    assert answer.json()["letters"]["request"] == most + 1
    planning.plan_due(office.store, settings, office.now, everything=True)
    with office.store.read() as connection:
        held = outbox.find(connection, outbox.Selection(braked=True))
    assert len(held) == most + 1


async def test_one_idempotency_key_has_one_effect(office: Office) -> None:
    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    content = json.dumps({"follow_ups": [meeting("m1")]}).encode()
    first = await office.ask("POST", "/import", "crm", headers, content=content)
    second = await office.ask("POST", "/import", "crm", headers, content=content)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json() == first.json()
