"""The gateway of a scene: a real store, the real planner, the real outbox and renderer, the real
judge of received mail.

Only the clock is ours: every step happens at the moment that the script names. Marks that triggers
set with the database's own clock are brought to that moment too.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import time_machine

from gateway import sections
from gateway import settings as configuration
from gateway.actions import deliveries, load, planning, reminders
from gateway.ical import preflight
from gateway.inbound import process
from gateway.mail import address
from gateway.model import Delivery, Letter, LetterState, Moment
from gateway.outbound import receipts, retry, worker
from gateway.sandbox import reading
from gateway.shapes import StatusRow
from gateway.store import followups, leases, meta, proposals, schema, views
from gateway.store.engine import Store
from gateway.store.inbox import Place
from gateway.store.outbox import Attempt, Settlement
from gateway.store.pace import Room
from gateway.writing import render

MAILBOX = "invites@crm.example"
AUTHSERV = "mx.crm.example"
GATEWAY = "dialogue"
KARI = {"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example", "group": "Sales"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A letter that left, and how an outsider reads it."""

    letter: Letter
    content: bytes
    invitation: reading.Invitation


@dataclass
class World:
    """`letters`: everything that left, oldest first. `refusals`: addresses that the mail server
    will not take, with its words.
    """

    store: Store
    now: datetime
    settings: configuration.Settings
    document: dict[str, dict[str, Any]] = field(default_factory=dict)
    persons: dict[str, dict[str, Any]] = field(default_factory=dict)
    letters: list[Sent] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    server_up: bool = True
    held: list[str] = field(default_factory=list)
    _uid: int = 0

    def set(self, section: str, name: str, value: Any) -> None:
        """Change one setting, as after a restart."""
        part = getattr(self.settings, section)
        part = type(part).model_validate(part.model_dump() | {name: value})
        self.settings = self.settings.model_copy(update={section: part})

    def write(self) -> None:
        """Put the record into the store as the CRM does: one document, whole follow-ups."""
        document = {
            "associates": [KARI],
            "persons": list(self.persons.values()),
            "follow_ups": list(self.document.values()),
        }
        with self.store.write() as connection:
            load.load(connection, document, self.settings, self.now)

    def reread(self, key: str) -> None:
        """What the CRM sees when it looks at its record again:
        times that the gateway has written.
        """
        with self.store.read() as connection:
            row = connection.execute(
                sa.select(schema.follow_up).where(schema.follow_up.c.key == key)
            ).one()
        if not row.all_day and row.start_at is not None:
            self.document[key] |= {"start": row.start_at.isoformat(), "end": row.end_at.isoformat()}

    def sql(self, statement: str, **values: Any) -> None:
        """What the load format has no word for, as the CRM writes it: plain SQL."""
        with self.store.write() as connection:
            connection.execute(sa.text(statement), values)

    def post(self) -> list[Sent]:
        """Plan what is owed and hand it to the mail server. Returns what left."""
        with self.store.write() as connection:
            connection.execute(sa.update(schema.change_mark).values(at=self.now))
            secret = meta.site_secret(connection)
        planning.plan_due(self.store, self.settings, self.now, everything=True)
        reminders.remind(self.store, self.settings, leases.identity(), lambda: self.now)
        left = list[Sent]()
        while self.server_up and (
            claimed := deliveries.claim(self.store, GATEWAY, self.now, Room(500))
        ):
            settled = [self._hand_over(queued, secret, left) for queued in claimed]
            deliveries.settle(self.store, GATEWAY, settled, self.now)
        self.letters += left
        return left

    def receive(self, raw: bytes, arrived: datetime) -> process.Result:
        """A message out of the mailbox. `explain` must have foretold the same."""
        with time_machine.travel(self.now, tick=False):
            processor = process.Processor(self.store, self.settings)
            self._uid += 1
            received = process.Received(
                raw, arrived, len(raw), place=Place("default", "INBOX", 1, self._uid)
            )
            foretold = processor.explain(received)
            result = processor.receive([received])[0]
        assert result.outcome is not None, f"the gateway failed on the message: {result.reason}"
        assert not result.reason.startswith("this program failed"), result.reason
        assert foretold.outcome is result.outcome, (
            f"explain said {foretold.outcome}, receive {result.outcome}"
        )
        return result

    def destination(self) -> str:
        """The folder that the last message goes to."""
        with self.store.read() as connection:
            row = connection.execute(
                sa.select(schema.inbox.c.destination).order_by(schema.inbox.c.id.desc()).limit(1)
            ).one()
        return str(row.destination)

    def proposals(self) -> list[tuple[str, Moment, Moment | None]]:
        """Open ones: whose (his key), start, end."""
        with self.store.read() as connection:
            found = proposals.open(connection)
            keys = (
                {
                    one.id: one.key
                    for one in followups.members(connection, ids=[one.participant for one in found])
                }
                if found
                else {}
            )
        return [(keys[one.participant], one.start, one.end) for one in found]

    def rows(self, follow_up: str | None = None) -> list[StatusRow]:
        """What `status` prints."""
        with self.store.read() as connection:
            return views.status_rows(connection, follow_up)

    def _hand_over(
        self, queued: Any, secret: bytes, left: list[Sent]
    ) -> tuple[Any, Settlement, Attempt | None]:
        """One letter, by the worker's own rules, to a server that refuses whom the script says."""
        letter = queued.letter
        if (settlement := worker.dropped(queued, self.now)) is not None:
            return queued, settlement, None
        content = render.render(
            letter, self.settings.mail, secret, receipt=self.settings.outbound.request_receipt
        )
        problems = preflight.check(content, letter, self.settings.mail.address)
        if problems:
            words = "; ".join(f"{one.rule}: {one.text}" for one in problems)
            self.held.append(words)
            return (
                queued,
                Settlement(queued.id, LetterState.HELD, False, Delivery.QUEUED, note=words),
                None,
            )
        refusal = next(
            (words for one, words in self.refusals.items() if address.same(one, letter.address)), ""
        )
        code, _, text = refusal.partition(" ")
        receipt = receipts.Receipt(
            step=receipts.Step.RCPT if refusal else receipts.Step.BODY,
            code=int(code or 250),
            text=text or "2.0.0 ok",
            enhanced=receipts.enhanced(text),
            host="mail.crm.example",
            started=self.now,
            ended=self.now,
        )
        verdict = retry.judge(receipt)
        attempt = Attempt(
            queued.id,
            self.now,
            0.0,
            verdict,
            receipt.step,
            receipt.code,
            receipt.enhanced,
            receipt.text,
            receipt.host,
        )
        if verdict is retry.Verdict.SENT:
            left.append(Sent(letter, content, reading.read(content)))
        words = f"{receipt.code} {receipt.text}"
        limits = self.settings.outbound
        due = retry.again(queued.created_at, queued.tries + 1, self.now, limits, 0.0)
        return queued, worker.settle(queued, verdict, receipt, words, due), attempt


def begin(store: Store, now: datetime) -> World:
    """A fresh gateway, whose store is empty."""
    settings = configuration.Settings(
        store=sections.Store(url=str(store.url)),
        mail=sections.Mail(address=MAILBOX, name="Firma AS"),
        policy=sections.Policy(authserv_id=AUTHSERV),
    )
    return World(store, now, settings)
