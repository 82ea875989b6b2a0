"""The pages of administrators, without JavaScript: what each shows and does, and that what
strangers wrote stays text on every one of them (page.md §2, docs/page.md §7).
"""

import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import queue
from gateway.model import Access, Delivery, LetterState
from gateway.store import (
    claims,
    journal,
    outbox,
    pace,
    schema,
    schema_access,
    schema_domain,
    schema_webhooks,
    users,
)
from gateway.store.outbox import Queued, Selection, Settlement
from gateway.store.schema_letters import attempt
from gateway.store.schema_letters import outbox as letters
from gateway.web.pages.admin import rules
from tests.core.test_papers import ROOT
from tests.web.test_pages import Reader, signed_in
from tests.web.world import SETTINGS, Office, receive

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&{{7*7}}"
HELD_BY = "An administrator holds it"


@pytest.fixture
def chief(office: Office) -> Reader:
    return signed_in(office, "chief", Access.ADMIN)


def letter_of(office: Office, follow_up: str) -> Queued:
    with office.store.read() as connection:
        return outbox.find(connection, Selection(follow_up=follow_up))[0]


def run(office: Office, *statements: sa.Executable) -> None:
    with office.store.write() as connection:
        for statement in statements:
            connection.execute(statement)


# --- letters ---


async def test_a_letter_is_looked_at_held_and_released(office: Office, chief: Reader) -> None:
    office.plan()
    letter = letter_of(office, "own")
    listed = await chief.get("/admin/letters")
    assert letter.letter.address in listed.text
    shown = await chief.get(f"/admin/letters/{letter.id}")
    assert "Title of own" in shown.text
    assert f'sandbox src="/admin/letters/{letter.id}/html"' in shown.text
    asked = await chief.get(f"/admin/queue/hold?n={letter.id}")
    assert "until somebody releases them" in asked.text
    assert letter_of(office, "own").state is LetterState.WAITING
    done = await chief.post("/admin/queue/hold", n=letter.id)
    assert done.status_code == 303, done.text
    assert HELD_BY in (await chief.get(done.headers["location"])).text
    assert HELD_BY in (await chief.get("/admin/letters?view=held")).text
    assert HELD_BY not in (await chief.get("/admin/letters?view=waiting")).text
    await chief.post("/admin/queue/release", n=letter.id)
    assert letter_of(office, "own").state is LetterState.WAITING
    with office.store.read() as connection:
        [entry] = [
            one for one in journal.newest_of(connection, "own", 50) if one.event == "released"
        ]
    assert entry.by == "chief-page"


async def test_all_of_a_domain_are_dropped_and_tried_again(office: Office, chief: Reader) -> None:
    office.plan()
    asked = await chief.get("/admin/queue/drop?domain=EXT.example")
    assert "Drop: 3 letters" in asked.text
    done = await chief.post("/admin/queue/drop", domain="EXT.example")
    assert done.headers["location"].startswith("/admin/letters?domain=EXT.example&done=")
    everything = await chief.get("/admin/letters?view=all&domain=ext.example")
    assert everything.text.count(">An administrator dropped it<") == 3
    with office.store.read() as connection:
        assert {one.state for one in outbox.find(connection, Selection(domain="ext.example"))} == {
            LetterState.DROPPED
        }
    nothing = await chief.post("/admin/queue/drop")
    assert nothing.status_code == 422
    assert "Choose letters first" in nothing.text


async def test_the_frame_of_a_letter_may_do_nothing(office: Office, chief: Reader) -> None:
    office.plan()
    number = letter_of(office, "own").id
    framed = await chief.get(f"/admin/letters/{number}/html")
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'; style-src 'unsafe-inline'; ")
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert framed.headers["x-frame-options"] == "SAMEORIGIN"
    assert "Title of own" in framed.text
    page = await chief.get(f"/admin/letters/{number}")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]


async def test_of_a_private_follow_up_an_administrator_sees_only_that_a_letter_goes(
    office: Office, chief: Reader
) -> None:
    """Key, times and delivery (docs/api.md, "Who may")."""
    office.plan()
    letter = letter_of(office, "private")
    run(
        office,
        sa.update(letters).where(letters.c.id == letter.id).values(state="refused", note=HOSTILE),
        sa.insert(attempt).values(
            letter=letter.id,
            started_at=office.now,
            seconds=1.0,
            verdict="refused",
            step="rcpt",
            code=550,
            enhanced="5.1.1",
            text=f"{letter.letter.address} unknown",
            host="mx.example",
        ),
    )
    number = receive(office, "private", "stranger@far.example", "Secret words")
    for path in (
        "/admin/letters?view=all",
        f"/admin/letters/{letter.id}",
        f"/admin/queue/retry?n={letter.id}",
        "/admin/review",
        f"/admin/review/{number}",
    ):
        text = (await chief.get(path)).text
        assert "private" in text, path
        rows = [row for row in text.split("<li") if not re.search("/follow-ups/(own|foreign)", row)]
        for secret in ("Title of private", "ola@ext.example", "Ola", "stranger", "Secret words"):
            assert not any(secret in row for row in rows), (path, secret)
    assert "The address does not exist" in (await chief.get(f"/admin/letters/{letter.id}")).text
    assert (await chief.get(f"/admin/letters/{letter.id}/html")).status_code == 404
    refused = await chief.post(f"/admin/review/{number}/reject")
    assert refused.status_code == 403
    assert (await chief.post("/admin/queue/retry", n=letter.id)).status_code == 303


async def test_an_account_that_rests_says_since_when_and_tries_now(
    office: Office, chief: Reader
) -> None:
    office.plan()
    until = office.now + timedelta(hours=1)
    rest = pace.Rest("default", office.now, until, 3, "account", "535 no")
    with office.store.write() as connection:
        pace.begin_rest(connection, rest)
    text = (await chief.get("/admin/letters?view=rests")).text
    assert "The account default rests since today 09:00" in text
    assert "6 letters wait for it." in text
    assert "3 tries in a row failed." in text
    assert "535 no" in text
    done = await chief.post("/admin/accounts/try", account="default")
    assert done.status_code == 303
    with office.store.read() as connection:
        rested = pace.rest_of(connection, "default")
    assert rested is not None
    assert rested.until == office.now
    assert (await chief.post("/admin/accounts/try", account="none")).status_code == 409


async def test_a_long_list_goes_on(
    office: Office, chief: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.pages.admin.entrance.PAGE", 4)
    office.plan()
    first = await chief.get("/admin/letters")
    assert first.text.count('name="n"') == 4
    [more] = re.findall(r'href="([^"]+)" rel="next"', first.text)
    rest = await chief.get(more.replace("&amp;", "&"))
    assert rest.text.count('name="n"') == 2
    assert 'rel="next"' not in rest.text


# --- review ---


async def test_a_held_answer_is_explained_and_learned(office: Office, chief: Reader) -> None:
    office.plan()
    number = receive(office, "own", "ola@home.example")
    listed = await chief.get("/admin/review")
    assert "ola@home.example answered for ola@ext.example. Is it the same person?" in listed.text
    shown = await chief.get(f"/admin/review/{number}")
    assert "The token, but an address that is not known: the same person?" in shown.text
    assert "Gladly" in shown.text
    assert "The answer was yes." in shown.text
    token = letter_of(office, "own").letter.token
    assert token not in shown.text
    done = await chief.post(f"/admin/review/{number}/learn")
    assert "It still waits" not in (await chief.get(done.headers["location"])).text
    assert "Nothing waits." in (await chief.get("/admin/review")).text
    assert "Comes" in (await chief.get("/follow-ups/own")).text
    decided = await chief.get("/admin/review?view=decided")
    assert f"/admin/review/{number}" in decided.text
    again = await chief.get(f"/admin/review/{number}")
    assert "chief-page" in again.text


async def test_trust_is_overridden_for_one_message_by_name(office: Office, chief: Reader) -> None:
    office.plan()
    number = receive(office, "own", "ola@home.example")
    nobody = await chief.post(f"/admin/review/{number}/as")
    assert nobody.status_code == 422
    done = await chief.post(f"/admin/review/{number}/as", participant="per")
    assert done.status_code == 303, done.text
    page = (await chief.get("/follow-ups/own")).text
    assert re.search(r"Per Hansen.*?Comes", page, re.DOTALL)


async def test_rejected_with_a_reason_it_changes_nothing(office: Office, chief: Reader) -> None:
    office.plan()
    number = receive(office, "own", "ola@home.example")
    await chief.post(f"/admin/review/{number}/reject", reason="A trick")
    shown = await chief.get(f"/admin/review/{number}")
    assert "A trick" in shown.text
    assert "Comes" not in (await chief.get("/follow-ups/own")).text
    assert (await chief.get("/admin/review/999")).status_code == 404


def test_every_rule_that_is_explained_has_words() -> None:
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    table = text.partition("## Names in `explain`")[2]
    names = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert len(names) > 50
    assert names == set(rules.RULES)


# --- the brake ---


async def test_the_brake_says_who_and_is_released(office: Office, chief: Reader) -> None:
    office.plan()
    empty = await chief.get("/admin/brake")
    assert "The brake holds nothing." in empty.text
    run(
        office,
        sa.update(letters).values(state="held", note="brake", changed_at=office.now),
        sa.update(schema.follow_up).values(changed_by="SQL"),
    )
    shown = await chief.get("/admin/brake")
    assert "6 letters are held" in shown.text
    assert "another program, which wrote into the tables" in shown.text
    asked = await chief.get("/admin/queue/release?brake=yes")
    assert "Release: 6 letters" in asked.text
    done = await chief.post("/admin/queue/release", brake="yes")
    assert done.headers["location"].startswith("/admin/brake")
    assert "The brake holds nothing." in (await chief.get("/admin/brake")).text
    assert letter_of(office, "own").state is LetterState.WAITING


async def test_records_that_were_changed_by_mistake_are_put_back(
    office: Office, chief: Reader
) -> None:
    assert (await chief.get("/admin/brake/put-back")).status_code == 409
    office.plan()
    deliver(office)
    brake = {"outbound": {"brake_follow_ups": 1, "coalesce_seconds": 0}}
    office.site.settings = configuration.load(overrides={**SETTINGS, **brake})
    office.later(hours=2)
    run(office, sa.update(schema.follow_up).values(cancelled=True))
    office.plan()
    assert "6 cancellations" in (await chief.get("/admin/brake")).text
    waits = (await chief.get("/")).text
    who = "another program, which wrote into the tables"
    assert f"<b>6 cancellations are held: {who}, " in waits
    assert re.findall(r'<a class="button.*?" href="(.*?)">(.*?)</a>', waits)[-4:] == [
        ("/admin/brake", "See them"),
        ("/admin/queue/release?brake=yes", "Release the letters"),
        ("/admin/brake/put-back", "Put the record back"),
        ("/admin/queue/drop?brake=yes", "Drop the letters"),
    ]
    assert "again what the invitees were told" in (await chief.get("/admin/brake/put-back")).text
    done = await chief.post("/admin/brake/put-back")
    assert done.headers["location"].startswith("/admin/brake?done=put-back"), done.text
    assert "Cancelled" not in (await chief.get("/follow-ups/own")).text
    assert "The brake holds nothing." in (await chief.get("/admin/brake")).text


def deliver(office: Office) -> None:
    """All letters leave, and are taken."""
    with office.store.write() as connection:
        taken = claims.take(connection, "g1", office.now + timedelta(days=1), 100)
        sent = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in taken]
        claims.settle(connection, sent, [], "g1", office.now)


# --- connections and users ---


async def test_a_token_is_shown_once_and_revoked(office: Office, chief: Reader) -> None:
    made = await chief.post("/admin/tokens", name="The CRM", role="crm")
    [secret] = re.findall(r"igt_[\w-]+", made.text)
    assert secret not in (await chief.get("/admin/connections")).text
    bearer = {"Authorization": f"Bearer {secret}"}
    assert (await office.ask("GET", "/follow-ups", "", bearer)).status_code == 200
    listed = (await chief.get("/admin/connections")).text
    number = re.findall(r"/admin/tokens/(\d+)/revoke", listed)[-1]
    assert "Revoke the token The CRM?" in (await chief.get(f"/admin/tokens/{number}/revoke")).text
    await chief.post(f"/admin/tokens/{number}/revoke")
    assert (await office.ask("GET", "/follow-ups", "", bearer)).status_code == 401
    wrong = await chief.post("/admin/tokens", name="Kari's", role="user")
    assert wrong.status_code == 422
    assert "associate" in wrong.text


async def test_a_webhook_is_made_tested_switched_and_its_secret_rotated(
    office: Office, chief: Reader
) -> None:
    made = await chief.post("/admin/webhooks", url="https://a.example/x", kind="decision.opened")
    [secret] = re.findall(r"whsec_[\w+/=]+", made.text)
    assert "https://a.example/x" in (await chief.get("/admin/connections")).text
    number = 2
    page = f"/admin/webhooks/{number}"
    await chief.post(f"{page}/test")
    assert "evt_test_" in (await chief.get(page)).text
    assert "is told what it missed" in (await chief.get(f"{page}/off")).text
    await chief.post(f"{page}/off")
    assert f"{page}/on" in (await chief.get(page)).text
    assert (await chief.post(f"{page}/test")).status_code == 409
    await chief.post(f"{page}/on")
    rotated = await chief.post(f"{page}/rotate")
    assert "whsec_" in rotated.text
    assert secret not in rotated.text
    wrong = await chief.post(f"{page}/change", url="http://a.example/x")
    assert wrong.status_code == 422
    await chief.post(f"{page}/change", url="https://b.example/x", kind="participant.moved")
    assert "https://b.example/x" in (await chief.get(page)).text
    await chief.post(f"{page}/remove")
    assert (await chief.get(page)).status_code == 404


async def test_a_user_is_made_signs_in_by_link_and_is_switched_off(
    office: Office, chief: Reader
) -> None:
    made = await chief.post("/admin/users", name="Eva", role="user", associate="per")
    [secret] = re.findall(r"/sign-in/link\?token=([\w-]+)", made.text)
    entered = await office.client.get(f"/sign-in/link?token={secret}")
    assert entered.status_code == 303, entered.text
    listed = (await chief.get("/admin/users")).text
    assert "Signed in today 09:00" in listed
    session = entered.headers["set-cookie"].partition("session=")[2].partition(";")[0]
    eva = Reader(office, session)
    assert (await eva.get("/")).status_code == 200
    assert (await eva.get("/admin/users")).status_code == 403
    await chief.post("/admin/users/sign-out", name="eva")
    assert (await eva.get("/")).status_code == 303
    assert "cannot sign in again" in (await chief.get("/admin/users/off?name=eva")).text
    await chief.post("/admin/users/off", name="eva")
    assert (await chief.post("/admin/users/link", name="eva")).status_code == 409
    await chief.post("/admin/users/on", name="eva")
    assert "/sign-in/link" in (await chief.post("/admin/users/link", name="eva")).text


async def test_nobody_switches_themselves_off(office: Office, chief: Reader) -> None:
    assert "Nobody switches themselves off" in (await chief.get("/admin/users")).text
    refused = await chief.post("/admin/users/off", name="chief-page")
    assert refused.status_code == 409
    assert (await chief.get("/admin/users")).status_code == 200


# --- settings ---


async def test_a_type_is_defined_changed_and_deleted(office: Office, chief: Reader) -> None:
    said = {"name_nb": "Salgsmøte", "name_en": "Sales meeting", "kind": "meeting"}
    new = {"key": "sales", "colour": "#aa1122", "position": "2", **said}
    made = await chief.post("/admin/settings/types/new", **new)
    assert made.status_code == 303, made.text
    listed = (await chief.get("/admin/settings")).text
    assert "Sales meeting" in listed
    assert 'fill="#aa1122"' in listed
    twice = await chief.post("/admin/settings/types/new", **new)
    assert twice.status_code == 422
    assert 'value="Salgsmøte"' in twice.text
    wrong = await chief.post("/admin/settings/types/sales", **said, colour="red", position="1")
    assert wrong.status_code == 422
    assert "colour" in wrong.text
    await chief.post("/admin/settings/types/sales", **said, colour="#112233", position="1")
    assert "#112233" in (await chief.get("/admin/settings/types/sales")).text
    asked = await chief.get("/admin/settings/types/sales/delete")
    assert "keep what they say" in asked.text
    await chief.post("/admin/settings/types/sales/delete")
    assert (await chief.get("/admin/settings/types/sales")).status_code == 404


async def test_a_field_is_defined_with_its_choices(office: Office, chief: Reader) -> None:
    region = (await chief.get("/admin/settings/fields/region")).text
    assert "north\nsouth" in region
    said = {
        "name_en": "Region",
        "type": "choice",
        "choices": "north\r\n\r\neast",
        "required": "yes",
    }
    done = await chief.post("/admin/settings/fields/region", **said)
    assert done.status_code == 303, done.text
    answer = await office.ask("GET", "/fields/region")
    assert answer.json()["choices"] == ["north", "east"]
    assert answer.json()["required"] is True
    none = await chief.post("/admin/settings/fields/region", type="choice", choices="")
    assert none.status_code == 422
    assert (await chief.get("/admin/settings/fields/none")).status_code == 404


async def test_what_the_site_prefers_counts_for_everybody(office: Office, chief: Reader) -> None:
    page = (await chief.get("/admin/settings/preferences")).text
    assert "As it comes: 60" in page
    hours = {"own_hours": "yes", "monday_from": "09:00", "monday_to": "15:00"}
    done = await chief.post("/admin/settings/preferences", meeting_minutes="45", **hours)
    assert done.status_code == 303, done.text
    assert 'value="45"' in (await chief.get("/admin/settings/preferences")).text
    answer = (await office.ask("GET", "/site/preferences")).json()
    assert answer["meeting_minutes"] == 45
    assert answer["working_hours"] == {"monday": ["09:00", "15:00"]}
    assert "As the site: 45" in (await signed_in(office, "kari").get("/me")).text
    wrong = await chief.post("/admin/settings/preferences", monday_from="09:00", own_hours="yes")
    assert wrong.status_code == 422
    await chief.post("/admin/settings/preferences")
    assert (await office.ask("GET", "/site/preferences")).json()["meeting_minutes"] == 60


async def test_the_configuration_is_shown_with_secrets_masked(
    office: Office, chief: Reader
) -> None:
    secret = {
        "smtp": {"host": "mail.crm.example", "password": "p4ss"},
        "mail": {"address": "a@b.example"},
    }
    office.site.settings = configuration.load(overrides=secret)
    page = (await chief.get("/admin/settings/configuration")).text
    assert "mail.crm.example" in page
    assert "p4ss" not in page
    assert "***" in page


async def test_sending_is_paused_and_goes_on(office: Office, chief: Reader) -> None:
    assert "until somebody lets it go on" in (await chief.get("/admin/sending/pause")).text
    await chief.post("/admin/sending/pause")
    paused = (await chief.get("/admin/letters")).text
    assert "Sending is paused since today 09:00 by chief-page" in paused
    await chief.post("/admin/sending/resume")
    assert "is paused" not in (await chief.get("/admin/letters")).text


# --- all of them ---


async def test_what_strangers_wrote_stays_text_on_every_page(office: Office, chief: Reader) -> None:
    """Every column that a page of theirs shows says it, in both languages."""
    office.plan()
    number = receive(office, "own", "ola@home.example", HOSTILE)
    poison(office)
    held = letter_of(office, "own").id
    paths = [
        "/admin",
        "/admin/letters?view=all&account=%22%3E%3Cscript%3Ealert(1)",
        "/admin/letters?view=all",
        f"/admin/letters/{held}",
        f"/admin/letters/{held}/html",
        f"/admin/queue/hold?n={held}&follow_up=%22%3E%3Cscript%3Ealert(1)",
        "/admin/review",
        f"/admin/review/{number}",
        "/admin/review?view=decided",
        "/admin/brake",
        "/admin/connections",
        "/admin/webhooks/1",
        "/admin/users",
        "/admin/settings",
        "/admin/settings/preferences",
        "/admin/settings/types/external",
        "/admin/settings/fields/region",
        "/admin/settings/configuration",
    ]
    for language in ("nb", "en"):
        chief.language = language
        for path in paths:
            answer = await chief.get(path)
            assert answer.status_code == 200, (path, answer.text)
            assert "<script>alert" not in answer.text, path
            assert "<img src=x" not in answer.text, path
            assert "&gt;49" not in answer.text, path
    chief.language = "en"
    for path in paths[2:4] + paths[6:8] + paths[9:14] + paths[15:17]:
        assert "alert(1)" in (await chief.get(path)).text, f"{path} shows nothing of it"


def poison(office: Office) -> None:
    """Hostile words wherever strangers, servers and other programs can write."""
    says = {"state": "held", "note": "brake", "changed_at": office.now, "address_name": HOSTILE}
    first = sa.select(sa.func.min(letters.c.id)).scalar_subquery()
    with office.store.write() as connection:
        pace.begin_rest(connection, pace.Rest(HOSTILE, office.now, office.now, 1, "x", HOSTILE))
    run(
        office,
        sa.update(letters).values(says),
        sa.insert(attempt).from_select(
            ["letter", "started_at", "seconds", "verdict", "step", "code", "text", "host"],
            sa.select(
                first,
                sa.literal(office.now, attempt.c.started_at.type),
                sa.literal(1.0),
                sa.literal("retry"),
                sa.literal("rcpt"),
                sa.literal(450),
                sa.literal(HOSTILE),
                sa.literal(HOSTILE),
            ),
        ),
        sa.update(schema.inbox).values(subject=HOSTILE, reason=HOSTILE, from_address=HOSTILE),
        sa.update(schema.follow_up).values(title=HOSTILE, changed_by=HOSTILE),
        sa.update(schema.associate).values(name=HOSTILE),
        sa.update(schema_domain.follow_up_type).values(
            name_nb=HOSTILE, name_en=HOSTILE, colour=HOSTILE
        ),
        sa.update(schema_domain.field_definition).values(
            name_nb=HOSTILE, name_en=HOSTILE, choices=json.dumps([HOSTILE])
        ),
        sa.update(schema_access.api_token).values(name=HOSTILE, created_by=HOSTILE),
        sa.update(schema_access.site_user).values(created_by=HOSTILE),
        sa.update(schema_webhooks.webhook).values(
            url=HOSTILE, trouble=HOSTILE, created_by=HOSTILE, failing_since=office.now
        ),
        sa.update(schema_webhooks.webhook_delivery).values(
            words=HOSTILE, type=HOSTILE, follow_up=HOSTILE
        ),
    )


async def test_the_menu_and_what_is_wrong_are_for_administrators(
    office: Office, chief: Reader
) -> None:
    assert 'href="/admin"' in (await chief.get("/")).text
    assert 'href="/admin"' not in (await signed_in(office, "kari").get("/")).text
    overview = (await chief.get("/admin")).text
    assert "Nothing is wrong with the gateway." in overview


def test_a_verb_of_the_queue_has_its_words() -> None:
    from gateway.web.pages.admin import letters as page

    assert set(page.VERBS) == set(page.FOLLOWS) == set(queue.Verb)


async def test_a_user_is_given_another_role_and_signed_out(office: Office, chief: Reader) -> None:
    eva = signed_in(office, "kari")
    assert (await eva.get("/")).status_code == 200
    assert "Another role" in (await chief.get("/admin/users")).text
    name = "kari-page"
    wrong = await chief.post("/admin/users/role", name=name, role="read", associate="kari")
    assert wrong.status_code == 422
    done = await chief.post("/admin/users/role", name=name, role="admin")
    assert done.status_code == 303
    assert (await eva.get("/")).status_code == 303
    with office.store.read() as connection:
        user = users.of(connection, name)
    assert user is not None
    assert (user.role, user.associate) == (Access.ADMIN, "")
    own = await chief.post("/admin/users/role", name="chief-page", role="read")
    assert own.status_code == 409
