"""The routes that change who takes part and what they said (docs/api.md, domain.md §3 and §4)."""

from typing import Any

import pytest

from tests.web.world import Office


async def said(office: Office, path: str, by: str = "kari", **body: Any) -> Any:
    answer = await office.ask("POST", path, by, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def patched(office: Office, number: int, by: str = "kari", **body: Any) -> Any:
    return await office.ask("PATCH", f"/participants/{number}", by, {"If-Match": "*"}, json=body)


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["detail"]


async def test_every_entry_says_what_became_of_it(office: Office) -> None:
    answer = await said(
        office,
        "/follow-ups/own/participants",
        add=[
            {"associate": "nils"},
            {"person": "ola"},
            {"person": "nobody"},
            {"email": "eva@ext.example", "name": "Eva"},
            {"email": "eva@ext,example"},
        ],
        email_invite=True,
    )
    outcomes = [
        {name: one[name] for name in one if name != "participant"} for one in answer["results"]
    ]
    assert outcomes == [
        {"entry": 0, "associate": "nils", "result": "added", "reason": ""},
        {"entry": 1, "person": "ola", "result": "present", "reason": ""},
        {"entry": 2, "result": "refused", "reason": "unknown"},
        {"entry": 3, "email": "eva@ext.example", "result": "added", "reason": ""},
        {"entry": 4, "email": "eva@ext,example", "result": "refused", "reason": "no_address"},
    ]
    added = answer["results"][3]["participant"]
    assert (added["email"], added["name"], added["email_invite"], added["code"]) == (
        "eva@ext.example",
        "Eva",
        True,
        5,
    )
    assert answer["results"][2]["participant"] is None
    assert answer["letters"]["request"] == 4  # with Per and Ola, who wait since they were loaded


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"add": []}, "add"),
        ({"add": [{}]}, "says exactly one of person, associate"),
        ({"add": [{"person": "ola", "group": "sales"}]}, "says exactly one of"),
        ({"add": [{"all": "people"}]}, "associates"),
        ({"add": [{"person": "ola", "emial": "x"}]}, "no such field"),
    ],
)
async def test_a_body_that_says_what_cannot_be_names_the_place(
    office: Office, body: dict[str, Any], words: str
) -> None:
    answer = await office.ask("POST", "/follow-ups/own/participants", "kari", json=body)
    assert answer.status_code == 422
    assert words in answer.text
    assert "/add" in answer.text


async def test_domain_3_the_switch_of_all(office: Office) -> None:
    path = "/follow-ups/own/email-invitation"
    answer = await office.ask("PUT", path, "kari", json={"on": False})
    assert answer.status_code == 428
    answer = await office.ask("PUT", path, "kari", {"If-Match": "*"}, json={"on": False})
    shown = answer.json()
    assert [(one["on"], one["reason"]) for one in shown["results"]] == [(False, ""), (False, "")]
    assert not any(one["participant"]["email_invite"] for one in shown["results"])


async def test_a_row_is_patched_with_what_is_the_owners_and_what_is_the_invitees(
    office: Office,
) -> None:
    ola, per = office.row("own", "ola"), office.row("own", "per")
    changed = (await patched(office, ola, email_invite=False)).json()
    assert (changed["person"], changed["email_invite"]) == ("ola", False)
    changed = (await patched(office, per, "per", priority="high", alarm_minutes=30)).json()
    assert (changed["priority"], changed["alarm_minutes"]) == ("high", 30)
    changed = (await patched(office, per, "per", alarm_minutes=None, priority=None)).json()
    assert (changed["priority"], changed["alarm_minutes"]) == ("", None)
    answer = await patched(office, per, "per", email_invite=False, priority="low")
    assert problem(answer)[0] == 403
    assert (await patched(office, per, "per", progress="started")).status_code == 409


async def test_domain_3_removing_and_undoing_it(office: Office) -> None:
    ola = office.row("own", "ola")
    assert (await patched(office, ola, removed=True)).json()["removed"]
    assert not (await patched(office, ola, removed=False)).json()["removed"]


async def test_what_get_answers_is_what_a_patch_is_compared_with(office: Office) -> None:
    ola = office.row("own", "ola")
    for path, method, body in (
        (f"/participants/{ola}", "PATCH", {"priority": "high"}),
        ("/follow-ups/own", "PUT", {"on": False}),
    ):
        tag = {"If-Match": (await office.ask("GET", path, "kari")).headers["ETag"]}
        path += "/email-invitation" if method == "PUT" else ""
        assert (await office.ask(method, path, "kari", tag, json=body)).status_code == 200
        assert (await office.ask(method, path, "kari", tag, json=body)).status_code == 412
    read = await office.ask("GET", f"/participants/{ola}", "kari")
    with office.store.write() as connection:
        connection.exec_driver_sql(f"UPDATE participant SET name = 'By SQL' WHERE id = {ola}")
    tag = {"If-Match": read.headers["ETag"]}
    stale = await office.ask("PATCH", f"/participants/{ola}", "kari", tag, json={"removed": True})
    assert stale.status_code == 412


async def test_a_stale_row_is_not_changed(office: Office) -> None:
    ola = office.row("own", "ola")
    first = await patched(office, ola, priority="high")
    tag = {"If-Match": first.headers["ETag"]}
    path = f"/participants/{ola}"
    assert (await office.ask("PATCH", path, "kari", tag, json={"priority": "a"})).status_code == 200
    assert (await office.ask("PATCH", path, "kari", tag, json={"priority": "b"})).status_code == 412


async def test_domain_4_answer_seen_toggle_acknowledge(office: Office) -> None:
    path = f"/participants/{office.row('own', 'per')}"
    seen = await said(office, f"{path}/seen", "per")
    assert (seen["code"], seen["status"]) == (7, "seen")
    assert (await office.ask("POST", f"{path}/seen", "per")).status_code == 200
    answer = await said(office, f"{path}/answer", "per", reply="declined", comment="I am ill")
    assert (answer["code"], answer["comment"], answer["channel"], answer["answered_by"]) == (
        9,
        "I am ill",
        "api",
        "per",
    )
    await said(office, f"{path}/acknowledge", "kari")
    toggled = await said(office, f"{path}/toggle", "kari")
    assert (toggled["code"], toggled["channel"]) == (5, "hand")
    refused = await office.ask("POST", f"{path}/acknowledge", "kari")
    assert problem(refused) == (
        409,
        "Per Hansen has not declined; there is nothing to acknowledge",
    )


async def test_domain_4_what_was_cancelled_before_anybody_was_invited_is_not_answered(
    office: Office,
) -> None:
    """The planner has never seen it, and it is cancelled all the same."""
    row = office.row("own", "per")
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET cancelled = TRUE WHERE key = 'own'")
    for path, body in (("toggle", {}), ("answer", {"reply": "accepted"})):
        refused = await office.ask("POST", f"/participants/{row}/{path}", json=body)
        assert refused.status_code == 409, refused.text
        assert "reinstate it first" in refused.json()["detail"]
    shown = (await office.ask("GET", f"/participants/{row}")).json()
    assert (shown["code"], shown["reply"]) == (10, "needs-action")


async def test_on_behalf_of_somebody_that_users_rules_count(office: Office) -> None:
    path = f"/participants/{office.row('own', 'per')}/answer"
    for_per = {"On-Behalf-Of": "per"}
    answer = await office.ask("POST", path, "crm", for_per, json={"reply": "accepted"})
    assert answer.json()["answered_by"] == "per via crm"
    for_nils = {"On-Behalf-Of": "nils"}
    refused = await office.ask("POST", path, "crm", for_nils, json={"reply": "accepted"})
    assert refused.status_code == 403


async def test_domain_6_a_date_is_named_by_its_original_start(office: Office) -> None:
    with office.store.write() as connection:
        connection.exec_driver_sql(
            "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=3' WHERE key = 'own'"
        )
    path = f"/participants/{office.row('own', 'per')}/answer"
    for text in ("2026-12-08T09:00:00", "2026-12-15T09:00:00+01:00"):
        answer = await said(office, path, "per", reply="accepted", instance=text)
    assert [(one["instance"], one["reply"]) for one in answer["instances"]] == [
        ("2026-12-08T09:00:00+01:00", "accepted"),
        ("2026-12-15T09:00:00+01:00", "accepted"),
    ]
    for text in ("2026-12-09T09:00:00", "no time", "2026-13-01T09:00:00", "9999-12-31T23:59:59"):
        body = {"reply": "accepted", "instance": text}
        wrong = await office.ask("POST", path, "per", json=body)
        assert wrong.status_code == 422
        assert [one["pointer"] for one in wrong.json()["errors"]] == ["/instance"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"address": "no address"}, "/address"),
        ({"priority": "x" * 101}, "/priority"),
        ({"alarm_minutes": 600_000}, "/alarm_minutes"),
        ({"emial": "x"}, "/emial"),
        ({"email_invite": None}, "/email_invite"),
    ],
)
async def test_what_is_wrong_names_the_field(
    office: Office, body: dict[str, Any], pointer: str
) -> None:
    answer = await patched(office, office.row("own", "ola"), **body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_sent_again_once_an_hour_and_else_says_when(office: Office) -> None:
    office.plan()
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE outbox SET state = 'sent'")
        connection.exec_driver_sql(
            "UPDATE invitation SET sent_method = 'REQUEST', sent_sequence = 0, top_sequence = 0,"
            " sent_edition = (SELECT edition FROM outbox WHERE invitation = invitation.id)"
        )
    path = f"/participants/{office.row('own', 'ola')}/resend"
    assert (await said(office, path))["letters"]["request"] == 1
    office.plan()
    refused = await office.ask("POST", path, "kari")
    assert problem(refused) == (
        409,
        "it was sent again within the hour; once more after 2026-11-20T09:00:01Z",
    )


async def test_a_dry_run_keeps_nothing_and_lists_the_letters(office: Office) -> None:
    body: dict[str, Any] = {"add": [{"email": "eva@ext.example"}], "email_invite": True}
    path = "/follow-ups/own/participants?dry_run=true"
    answer = (await office.ask("POST", path, "kari", json=body)).json()
    assert "eva@ext.example" in {one["to"] for one in answer["letters"]["owed"]}
    again = await said(office, "/follow-ups/own/participants", **body)
    assert again["results"][0]["result"] == "added"
