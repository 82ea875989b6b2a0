"""The outbox and what waits for a person, over HTTP: what an administrator does there is what the
command line does, and of what is private no more is told than docs/api.md, "Who may", says.
"""

from typing import Any

import pytest

from gateway.store import journal, meta, outbox
from gateway.store import review as messages
from gateway.store.outbox import Selection
from tests.web.world import Office, receive

OLA = "ola@ext.example"


@pytest.fixture
def planned(office: Office) -> Office:
    office.plan()
    return office


async def queue(office: Office, **said: str) -> list[dict[str, object]]:
    answer = await office.ask("GET", "/queue", "admin", params=said)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, object]] = answer.json()["items"]
    return items


def states(office: Office, follow_up: str) -> set[str]:
    with office.store.read() as connection:
        found = outbox.find(connection, Selection(follow_up=follow_up))
    return {one.state.value for one in found}


async def act(office: Office, path: str, **body: object) -> dict[str, Any]:
    answer = await office.ask("POST", path, "admin", json=body)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def test_letters_are_held_released_and_dropped(planned: Office) -> None:
    for verb, state in (("hold", "held"), ("release", "waiting"), ("drop", "dropped")):
        said = await act(planned, f"/queue/{verb}", follow_up="own")
        assert {one["state"] for one in said["changed"]} == {state}
        assert states(planned, "own") == {state}
    assert states(planned, "foreign") == {"waiting"}
    with planned.store.read() as connection:
        done = {(one.event, one.by) for one in journal.after(connection, 0, follow_up="own")}
    assert {("held", "admin"), ("released", "admin"), ("dropped", "admin")} <= done


async def test_a_dry_run_holds_nothing(planned: Office) -> None:
    answer = await planned.ask(
        "POST", "/queue/hold", "admin", json={"follow_up": "own"}, params={"dry_run": "true"}
    )
    assert {one["state"] for one in answer.json()["changed"]} == {"held"}
    assert states(planned, "own") == {"waiting"}


async def test_letters_by_number_must_all_be_there_and_fit(planned: Office) -> None:
    [first, *_] = await queue(planned, follow_up="own")
    absent = {"letters": [first["letter"], 999]}
    assert (await planned.ask("POST", "/queue/hold", "admin", json=absent)).status_code == 404
    unfit = {"letters": [first["letter"]]}
    assert (await planned.ask("POST", "/queue/release", "admin", json=unfit)).status_code == 409
    assert states(planned, "own") == {"waiting"}


async def test_whoever_names_no_letters_changes_none(planned: Office) -> None:
    answer = await planned.ask("POST", "/queue/drop", "admin", json={})
    assert answer.status_code == 422
    assert states(planned, "own") == {"waiting"}


async def test_the_queue_is_listed_page_by_page_and_by_what_is_said(planned: Office) -> None:
    everything = await queue(planned)
    assert len(everything) == 6
    assert {one["follow_up"] for one in await queue(planned, follow_up="own")} == {"own"}
    assert {one["to"] for one in await queue(planned, to_domain="ext.example")} == {OLA, None}
    first = (await planned.ask("GET", "/queue", "admin", params={"limit": "4"})).json()
    further = {"limit": "4", "cursor": first["next"]}
    second = (await planned.ask("GET", "/queue", "admin", params=further)).json()
    assert [*first["items"], *second["items"]] == everything
    assert second["next"] is None


async def test_api_1_of_a_private_follow_up_key_times_and_delivery_are_told(
    planned: Office,
) -> None:
    [letter, _] = await queue(planned, follow_up="private")
    assert (letter["follow_up"], letter["state"]) == ("private", "waiting")
    assert (letter["to"], letter["participant"], letter["note"]) == (None, None, None)
    one = (await planned.ask("GET", f"/queue/letters/{letter['letter']}", "admin")).json()
    assert (one["to"], one["attempts"]) == (None, None)


async def test_a_letter_has_its_tries(planned: Office) -> None:
    [letter, _] = await queue(planned, follow_up="own")
    one = (await planned.ask("GET", f"/queue/letters/{letter['letter']}", "admin")).json()
    assert one == {**letter, "attempts": []}
    assert (await planned.ask("GET", "/queue/letters/999", "admin")).status_code == 404


async def test_sending_is_paused_and_goes_on(planned: Office) -> None:
    assert (await act(planned, "/queue/pause"))["paused"] is True
    with planned.store.read() as connection:
        assert meta.paused(connection) is not None
    assert (await planned.ask("GET", "/queue/shape", "admin")).json()["paused"] is True
    assert (await act(planned, "/queue/resume"))["paused"] is False
    with planned.store.read() as connection:
        assert meta.paused(connection) is None


async def test_the_shape_counts_what_waits_by_destination(planned: Office) -> None:
    said = (await planned.ask("GET", "/queue/shape", "admin")).json()
    counted = {one["destination"]: one["letters"] for one in said["destinations"]}
    assert counted == {"crm.example": 3, "ext.example": 3}


# --- review ---


async def waiting(office: Office) -> list[dict[str, object]]:
    answer = await office.ask("GET", "/review", "admin")
    items: list[dict[str, object]] = answer.json()["items"]
    return items


async def test_a_held_answer_is_looked_at_and_learned_from(planned: Office) -> None:
    number = receive(planned, "own", "ola@home.example")
    [row] = await waiting(planned)
    assert (row["number"], row["from"]) == (number, "ola@home.example")
    assert row["question"] == "ola@home.example answered for ola@ext.example: the same person?"
    shown = (await planned.ask("GET", f"/review/messages/{number}", "admin")).json()
    assert shown["text"].startswith("Gladly")
    assert [one["verb"] for one in shown["steps"]] == ["learn", "add", "as", "reject"]
    said = await act(planned, f"/review/messages/{number}/learn")
    assert (said["done"], said["after"]) == (True, "applied")
    assert await waiting(planned) == []
    [known] = (await planned.ask("GET", "/review/known", "admin")).json()["items"]
    assert (known["address"], known["participant"]) == ("ola@home.example", "ola")
    assert (known["learned_by"], known["message"]) == ("admin", number)


async def test_a_learned_address_is_forgotten(planned: Office) -> None:
    said = {"address": "ola@home.example", "participant": "ola"}
    assert (await act(planned, "/review/known", **said))["is_news"] is True
    assert (await act(planned, "/review/known", **said))["is_news"] is False
    assert (await act(planned, "/review/known/forget", **said))["is_news"] is True
    assert (await planned.ask("GET", "/review/known", "admin")).json()["items"] == []


async def test_trust_is_overridden_for_one_message_by_name(planned: Office) -> None:
    number = receive(planned, "own", "ola@home.example")
    still = await act(planned, f"/review/messages/{number}/apply")
    assert (still["done"], still["after"]) == (False, "held")
    said = await act(planned, f"/review/messages/{number}/apply", participant="ola")
    assert (said["done"], said["after"]) == (True, "applied")
    row = (await planned.ask("GET", f"/participants/{planned.row('own', 'ola')}")).json()
    assert row["reply"] == "accepted"


async def test_a_message_is_rejected_once(planned: Office) -> None:
    number = receive(planned, "own", "ola@home.example")
    first = await act(planned, f"/review/messages/{number}/reject", reason="A trick")
    assert (first["done"], first["repeated"]) == (True, False)
    assert (await act(planned, f"/review/messages/{number}/reject"))["repeated"] is True


async def test_everything_that_matches_is_judged_anew(planned: Office) -> None:
    receive(planned, "own", "ola@home.example")
    await act(planned, "/review/known", address="ola@home.example", participant="ola")
    nothing = await act(planned, "/review/apply", outcome="malformed")
    assert (nothing["settled"], nothing["left"]) == ([], 0)
    said = await act(planned, "/review/apply", outcome="held", follow_up="own")
    assert [(one["after"], one["done"]) for one in said["settled"]] == [("applied", True)]


async def test_api_1_an_answer_to_what_is_private_is_for_its_owner(planned: Office) -> None:
    number = receive(planned, "private", "ola@home.example", "Secret words")
    [row] = await waiting(planned)
    assert (row["follow_up"], row["from"], row["subject"], row["claims"]) == (
        "private",
        None,
        None,
        None,
    )
    shown = await planned.ask("GET", f"/review/messages/{number}", "admin")
    assert "Secret" not in shown.text
    for verb in ("apply", "reject", "learn"):
        answer = await planned.ask("POST", f"/review/messages/{number}/{verb}", "admin", json={})
        assert answer.status_code == 403
    assert (await act(planned, "/review/apply"))["settled"] == []
    with planned.store.read() as connection:
        assert messages.count(connection) == 1


async def test_a_wish_for_another_time_is_accepted_or_declined(planned: Office) -> None:
    listed = (await planned.ask("GET", "/review/proposals", "admin")).json()["items"]
    assert {one["follow_up"]: one["from"] for one in listed}["private"] is None
    own, foreign, private = (
        next(one["number"][1:] for one in listed if one["follow_up"] == key)
        for key in ("own", "foreign", "private")
    )
    said = await act(planned, f"/review/proposals/{own}/apply")
    assert (said["state"], said["repeated"]) == ("accepted", False)
    moved = (await planned.ask("GET", "/follow-ups/own")).json()
    assert moved["start"] == "2026-12-02T09:00:00+01:00"
    assert (await act(planned, f"/review/proposals/{own}/apply"))["repeated"] is True
    assert (await act(planned, f"/review/proposals/{foreign}/reject"))["state"] == "declined"
    refused = await planned.ask("POST", f"/review/proposals/{private}/apply", "admin")
    assert refused.status_code == 403


@pytest.mark.parametrize("path", ["/queue/hold", "/queue/pause", "/review/apply"])
async def test_what_is_done_is_not_read(planned: Office, path: str) -> None:
    answer = await planned.ask("GET", path, "admin")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
