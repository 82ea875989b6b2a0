"""A small world around the planner: a follow-up that people edit, an outbox that may fail at any
step, and the calendars of invitees that take letters by the rules of RFC 5546. It remembers what
the store would, and nothing else decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway import status
from gateway.invite import plan
from gateway.invite.owing import Copy, Invitee, Owed, Queued
from gateway.invite.plan import Plan
from gateway.model import Edition, Kind, Method, Moment, Reply, Role, Standing

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
MEETING = Edition(
    uid="m1@crm.example",
    kind=Kind.MEETING,
    title="Kick-off",
    start=START,
    end=START + timedelta(hours=1),
    timezone="Europe/Oslo",
    organizer="Kari Nordmann",
)


@dataclass(slots=True)
class Letter:
    """An open or closed row of the outbox. `before`: what was held when it was planned."""

    number: int
    owed: Owed
    invitation: int
    participant: int
    tries: int = 0
    state: str = "waiting"


@dataclass(slots=True)
class Held:
    """An invitation: what the gateway believes an address holds."""

    number: int
    participant: int
    address: str
    method: Method | None = None
    edition: Edition | None = None
    top_sequence: int = -1
    top_dtstamp: datetime | None = None
    refused: bool = False
    again: bool = False
    tried: Edition | None = None


@dataclass(slots=True)
class Entry:
    """What stands in an invitee's calendar. `edition` None: cancelled;
    the client remembers at which SEQUENCE.
    """

    sequence: int
    dtstamp: datetime
    edition: Edition | None


@dataclass
class World:
    """`arrived`: letters that reached a mailbox, in order, as (participant, letter)."""

    wanted: Edition | None = MEETING
    now: datetime = NOW
    account: bool = True
    known: Edition | None = None
    rows: dict[int, Invitee] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    calendars: dict[int, Entry] = field(default_factory=dict)
    arrived: list[tuple[int, Owed]] = field(default_factory=list)
    notes: Mapping[int, str] = field(default_factory=dict)
    events: list[tuple[int, str]] = field(default_factory=list)

    # --- what people do ---

    def invite(self, number: int, address: str = "", **values: Any) -> None:
        row = Invitee(
            number,
            Role.INVITED,
            f"P{number}",
            address or f"p{number}@ext.example",
            "",
            "",
            True,
            False,
            {plan.SERIES: Standing()},
        )
        self.rows[number] = replace(row, **values)

    def edit(self, **values: Any) -> None:
        assert self.wanted is not None
        self.wanted = replace(self.wanted, **values)

    def change(self, number: int, **values: Any) -> None:
        self.rows[number] = replace(self.rows[number], **values)

    def delete(self, number: int) -> None:
        self.rows.pop(number, None)

    def answer(self, number: int, reply: Reply, instance: Moment | None = plan.SERIES) -> None:
        standings = dict(self.rows[number].standings)
        standings[instance] = status.answer(standings.get(instance, Standing()), reply)
        self.change(number, standings=standings)

    def code(self, number: int) -> int:
        row = self.rows[number]
        return int(status.code(row.role, row.standings[plan.SERIES]))

    # --- what the gateway does ---

    def copies(self) -> list[Copy]:
        return [
            Copy(
                one.number,
                one.participant,
                one.address,
                one.method,
                one.edition,
                one.top_sequence,
                one.top_dtstamp,
                one.refused,
                one.again,
                tuple(
                    Queued(
                        letter.number,
                        letter.owed.method,
                        letter.owed.edition,
                        letter.owed.before,
                        letter.tries,
                        letter.owed.instance,
                        letter.owed.reply,
                        letter.owed.sequence,
                    )
                    for letter in self.letters
                    if letter.invitation == one.number and letter.state == "waiting"
                ),
                tried=one.tried,
            )
            for one in self.held
        ]

    def look(self) -> Plan:
        """Plan without writing anything."""
        return plan.plan(
            self.wanted,
            self.known,
            list(self.rows.values()),
            self.copies(),
            plan.Sending(self.now, self.account),
        )

    def plan(self) -> list[tuple[int, str, int]]:
        """Plan and keep what follows, as the store does:
        (participant, method, SEQUENCE) of the new letters.
        """
        made = self.look()
        for change in made.changes:
            kept = {**self.rows[change.participant].standings, change.instance: change.standing}
            self.change(
                change.participant,
                standings={date: one for date, one in kept.items() if one is not None},
            )
            self.events.append((change.participant, change.event))
        for number, row in self.rows.items():
            if row.set_status is not None:
                self.change(number, set_status=None)
        self.known, self.notes = made.edition, made.notes
        for one in made.let_go:
            held = self._held(one.invitation)
            held.method, held.edition, held.tried = one.method, one.edition, None
        for letter in self.letters:
            if letter.number in made.superseded:
                assert letter.state == "waiting"
                letter.state = "superseded"
        for owed in made.owed:
            self._put(owed)
        return [(owed.participant, owed.method.value, owed.sequence) for owed in made.owed]

    def _put(self, owed: Owed) -> None:
        if owed.invitation is None:
            assert owed.invitee is not None
            self.held.append(Held(len(self.held) + 1, owed.participant, owed.invitee.address))
            to = self.held[-1]
        else:
            to = self._held(owed.invitation)
        assert to.top_dtstamp is None or owed.dtstamp > to.top_dtstamp
        to.top_dtstamp, to.again = owed.dtstamp, False
        self.letters.append(Letter(len(self.letters) + 1, owed, to.number, to.participant))

    def claim(self, number: int) -> Letter | None:
        """The oldest open letter of a participant, which counts as sent from now on; None where
        none waits or one is on its way.
        """
        letter = next(
            (
                one
                for one in self.letters
                if one.participant == number and one.state in ("waiting", "sending")
            ),
            None,
        )
        if letter is None or letter.state == "sending":
            return None
        letter.state, to = "sending", self._held(letter.invitation)
        to.method = Method.REQUEST if letter.owed.instance is not None else letter.owed.method
        to.edition, to.top_sequence, to.tried = (
            letter.owed.edition,
            max(to.top_sequence, letter.owed.sequence),
            None,
        )
        return letter

    def settle(self, letter: Letter, fate: str) -> None:
        """What the server did: `taken`; `later` (it said no for now); `lost` on the way; `doubtful`
        (taken, and nobody was told); `refused` for good.
        """
        to = self._held(letter.invitation)
        if fate in ("taken", "doubtful"):
            self._arrive(letter)
        if fate in ("taken", "refused"):
            letter.state, to.refused = "closed", fate == "refused"
        else:
            letter.state, letter.tries = "waiting", letter.tries + 1
        if fate in ("later", "refused"):
            before = to.edition = letter.owed.before
            if fate == "later" or to.method is Method.REQUEST:
                to.tried = letter.owed.edition if fate == "refused" else None
                to.method = (
                    None
                    if before is None
                    else Method.CANCEL
                    if before.cancelled
                    else Method.REQUEST
                )

    def deliver(self) -> None:
        """Everything that waits is taken, in order."""
        for number in sorted({one.participant for one in self.letters}):
            while (letter := self.claim(number)) is not None:
                self.settle(letter, "taken")

    def _held(self, number: int) -> Held:
        return next(one for one in self.held if one.number == number)

    # --- what invitees' clients do ---

    def _arrive(self, letter: Letter) -> None:
        """RFC 5546 §2.1.5: a higher SEQUENCE wins, then the later DTSTAMP;
        anything else is old and ignored.
        """
        owed, entry = letter.owed, self.calendars.get(letter.participant)
        self.arrived.append((letter.participant, owed))
        if owed.instance is not None:
            return  # what becomes of single dates is judged by their calendar objects (attendee.py)
        if entry is None and owed.method is Method.CANCEL:
            return
        if entry is None or (owed.sequence, owed.dtstamp) > (entry.sequence, entry.dtstamp):
            edition = owed.edition if owed.method is Method.REQUEST else None
            self.calendars[letter.participant] = Entry(owed.sequence, owed.dtstamp, edition)

    def holds(self, number: int) -> Edition | None:
        entry = self.calendars.get(number)
        return entry.edition if entry is not None else None

    def should_hold(self, number: int) -> bool:
        row = self.rows.get(number)
        return (
            row is not None
            and self.wanted is not None
            and not self.wanted.cancelled
            and row.email_invite
            and not row.removed
            and bool(row.address)
            and row.role is Role.INVITED
        )


def agreed(*numbers: int, **values: Any) -> World:
    """A meeting whose invitees hold the invitation and have accepted."""
    world = World(wanted=replace(MEETING, **values))
    for number in numbers or (1, 2):
        world.invite(number)
    world.plan()
    world.deliver()
    for number in numbers or (1, 2):
        world.answer(number, Reply.ACCEPTED)
    world.arrived.clear()
    world.now += timedelta(hours=1)
    return world
