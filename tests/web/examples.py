"""What the examples of the API are answered: every route asked once, in a small office that is fresh
for each, and every refusal provoked.

`python -m tests.web.examples` writes them into the document unless a route is refused. What chance
makes (secrets) is written as `…`.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.actions import planning
from gateway.followups import permission
from gateway.followups.permission import Answer
from gateway.model import Actor
from gateway.store.engine import Store
from gateway.web import problems
from gateway.web.api import gate, openapi, table
from gateway.web.api.quotas import Quotas
from gateway.web.api.routes import On, Right
from tests import stores
from tests.web.world import ABOUT_ONE, ROLES, Office, receive

CHANCE = re.compile(
    r"igt_[\w-]{43}|whsec_[\w+/=]+|(?<=token=)[\w-]{43}"
    r"|(?<=sqlite:///)\S+?(?=: )|(?<=no file )[^\"]+"
    r"|(?<=f-)[0-9a-f]{16}|(?<=\"version\":\")[0-9a-f]{32}"
)


def _sql(*statements: str) -> Callable[[Office], None]:
    def run(office: Office) -> None:
        with office.store.write() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    return run


def _arrived(office: Office) -> None:
    """Everybody got the invitation, two days ago."""
    before = office.now - timedelta(days=2)
    planning.plan_due(office.store, office.site.settings, before, everything=True)
    at = f"{before:%Y-%m-%d %H:%M:%S}"
    edition = "SELECT edition FROM outbox WHERE invitation = invitation.id"
    sent = f"sent_edition = ({edition}), sent_method = 'REQUEST', sent_sequence = 0"
    _sql(
        "UPDATE outbox SET state = 'sent'",
        f"UPDATE invitation SET {sent}, top_sequence = 0, sent_at = '{at}', delivery = 'sent'",
        "DELETE FROM change_mark",
    )(office)


def _declined(office: Office) -> None:
    """By Per himself."""
    _sql(
        "INSERT INTO standing (participant, instance, reply) VALUES"
        f" ({office.row('own', 'per')}, '', 'declined')"
    )(office)


def _planned(office: Office) -> None:
    office.plan()


def _held(office: Office) -> None:
    """Letters that somebody holds."""
    _planned(office)
    _sql("UPDATE outbox SET state = 'held', note = 'by hand'")(office)


def _waits(office: Office) -> None:
    """Somebody answered for Ola."""
    _planned(office)
    receive(office, "own", "ola@home.example")


def _known(office: Office) -> None:
    """An address of Ola's was learned."""
    _sql(
        "INSERT INTO known_address (person, address, plain, source, learned_by, learned_at) VALUES"
        " ('ola', 'ola@home.example', 'ola@home.example', 'review', 'operator',"
        f" '{office.now:%Y-%m-%d %H:%M:%S}')"
    )(office)


SERIES = _sql("UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=6' WHERE key = 'own'")
CALL = _sql(
    "UPDATE follow_up SET kind = 'call', start_at = NULL, end_at = NULL,"
    " deadline = '2026-12-04 11:00:00' WHERE key = 'own'"
)
ALONE = _sql("DELETE FROM participant")
DATED = _sql(
    "UPDATE participant SET created_at = '2026-11-20 08:00:00'",
    "UPDATE proposal SET created_at = '2026-11-20 08:00:00'",
)
"""The store's own clock is none of the office's."""
BEFORE: Mapping[str, Callable[[Office], None]] = {
    "DELETE /api/v1/associates/{key}": ALONE,
    "DELETE /api/v1/persons/{key}": ALONE,
    "GET /api/v1/persons/{key}/export": DATED,
    "GET /api/v1/review/proposals": DATED,
    "POST /api/v1/persons/{key}/erase": ALONE,
    "POST /api/v1/follow-ups/{key}/stop": SERIES,
    "POST /api/v1/follow-ups/{key}/split": SERIES,
    "GET /api/v1/follow-ups/{key}/dates": SERIES,
    "PUT /api/v1/follow-ups/{key}/dates/{instance}": SERIES,
    "DELETE /api/v1/follow-ups/{key}/dates/{instance}": SERIES,
    "POST /api/v1/follow-ups/{key}/carry-out": CALL,
    "POST /api/v1/follow-ups/{key}/remind": _arrived,
    "GET /api/v1/follow-ups/{key}.ics": _arrived,
    "GET /api/v1/queue": _planned,
    "GET /api/v1/queue/shape": _planned,
    "POST /api/v1/queue/hold": _planned,
    "POST /api/v1/queue/release": _held,
    "POST /api/v1/queue/retry": _planned,
    "POST /api/v1/queue/drop": _planned,
    "GET /api/v1/review": _waits,
    "POST /api/v1/review/apply": _waits,
    "GET /api/v1/review/known": _known,
    "POST /api/v1/review/known/forget": _known,
    "POST /api/v1/participants/{id}/acknowledge": _declined,
    "POST /api/v1/participants/{id}/resend": _arrived,
}
"""What must be so before, or the route is refused."""
JSON = {"Content-Type": "application/json"}
REFUSED: Mapping[int, tuple[str, str, str, dict[str, Any]]] = {
    400: ("POST", "/tokens", "admin", {"headers": JSON, "content": b'{"name": '}),
    401: ("GET", "/tokens", "", {}),
    403: ("GET", "/tokens", "read", {}),
    404: ("GET", "/tokens/99", "admin", {}),
    410: ("GET", "/changes?after=9999", "crm", {}),
    409: ("POST", "/users", "admin", {"json": {"name": "administrator", "role": "admin"}}),
    412: ("DELETE", "/tokens/1", "admin", {"headers": {"If-Match": '"x"'}}),
    413: ("POST", "/tokens", "admin", {"headers": JSON, "content": b" " * (gate.MOST_BYTES + 1)}),
    415: ("POST", "/tokens", "admin", {"headers": {"Content-Type": "text/plain"}, "content": b"x"}),
    422: ("POST", "/tokens", "admin", {"json": {"name": "Sync", "role": "user"}}),
    428: ("DELETE", "/tokens/1", "admin", {}),
}
STATUSES = sorted([*REFUSED, 429, 503])


def _nothing(office: Office) -> None:
    """Nothing must be so before."""


def rights() -> list[Right]:
    """Those whose answer ends."""
    return [right for right in table.rights() if not right.path.endswith("/events")]


def name(right: Right) -> str:
    return f"{right.method} {right.path}"


def asker(right: Right) -> str:
    """Somebody who may."""
    if right.on in (On.OWN, On.DECISION):
        return "kari"
    for role in ("crm", "admin"):
        actor = Actor(*ROLES[role], name=role)
        if right.on in ABOUT_ONE or permission.may(actor, right.verb) is Answer.YES:
            return role
    return "kari"


async def answered(office: Office, right: Right, sample: Mapping[str, str]) -> httpx.Response:
    """What the example of a route is answered."""
    path, said = right.path.removeprefix("/api/v1"), dict(sample)
    for parameter in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{parameter}}}", said.pop(parameter))
    headers = {"If-Match": "*"} if right.method in openapi.CHANGES else {}
    body = {} if right.example is None else {"json": right.example}
    return await office.ask(right.method, path, asker(right), headers, params=said, **body)


def written(response: httpx.Response) -> Any:
    """A body as the document shows it."""
    text = CHANCE.sub("…", response.text)
    return json.loads(text) if "json" in response.headers.get("content-type", "") else text


async def answer(office: Office, right: Right) -> dict[str, Any]:
    BEFORE.get(name(right), _nothing)(office)
    sample = office.parameters(right, "own")
    response = await answered(office, right, sample)
    return {
        "by": asker(right),
        "parameters": sample,
        "status": response.status_code,
        "kind": response.headers.get("content-type", "").partition(";")[0],
        "body": written(response),
    }


async def refusal(office: Office, status: int) -> Any:
    """A problem of that status, provoked."""
    if status == 429:
        office.site.quotas = Quotas(1)
        await office.ask("GET", "/tokens", "admin")
    if status == 503:
        office.store.close()
        assert office.store.path is not None
        office.store.path.rename(office.store.path.with_suffix(".away"))
    method, path, by, options = REFUSED.get(status, ("GET", "/tokens", "admin", {}))
    response = await office.ask(method, path, by, **options)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    return written(response)


async def everything(template: Path, store: Store) -> dict[str, Any]:
    """All answers and problems."""
    answers, refused = {}, {}
    for right in rights():
        office = Office(stores.renew(store, template)).begin()
        answers[name(right)] = await answer(office, right)
    for status in STATUSES:
        office = Office(stores.renew(store, template)).begin()
        refused[str(status)] = await refusal(office, status)
    return {"answers": answers, "problems": refused}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template.db")
        stores.upgraded(f"sqlite:///{template}")
        store = Store(f"sqlite:///{folder}/store.db")
        said = asyncio.run(everything(template, store))
        store.close()
    refused = [
        f"{route} {answer['status']} {json.dumps(answer['body'])[:300]}"
        for route, answer in said["answers"].items()
        if answer["status"] >= 300
    ]
    if refused:
        sys.exit("\n".join([*refused, "nothing is written while a route is refused"]))
    text = json.dumps(said, indent=1, ensure_ascii=False, sort_keys=True)
    openapi.EXAMPLES.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
