"""Robot invitees: they read the letters in their mailboxes and answer by real SMTP, each as its own
mail program would.

Standards: none of their own; what they send is shaped in `clients`, what they understand in
`reading`. On failure: a letter that a robot cannot read or answer stops the demonstration with the
reason, as it would fail its reader. Security: they send to the built-in server only. Limits: one
answer at a time per step, a letter answered once per SEQUENCE.
"""

import asyncio
import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.sandbox import clients, mailserver, reading
from gateway.sandbox.clients import Client, Invitee, Word

SMTP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Step:
    """One answer: what is said, and how many seconds after the letter
    (or after the step before).
    """

    word: Word
    comment: str = ""
    after: float = 1.0
    client: Client | None = None
    """Another mail program than the usual one, for example the free words
    of a human before they find the link.
    """
    who: Invitee | None = None
    """Somebody else who answers from this letter: another address of the invitee, or somebody to
    whom they showed it.
    """


@dataclass(frozen=True, slots=True)
class Robot:
    """An invitee with habits.

    `first`: what follows the first letter of a meeting; more than one step is a second thought.
    `again`: what follows each later letter with a higher SEQUENCE (moved). Empty: no answer.
    `about`: what follows the first letter of a meeting with this title, in the place of `first`.
    """

    who: Invitee
    client: Client
    first: tuple[Step, ...] = ()
    again: tuple[Step, ...] = ()
    about: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What a robot has seen: the highest SEQUENCE answered per UID."""

    answered: dict[str, int] = field(default_factory=dict)

    def steps(self, robot: Robot, event: reading.Event | None) -> tuple[Step, ...]:
        """What this robot does about a letter.
        A cancellation or a letter without news is read and not answered.
        """
        if event is None or event.method != "REQUEST":
            return ()
        uid, sequence = event.value("UID"), event.sequence
        before = self.answered.get(uid)
        if before is not None and sequence <= before:
            return ()
        self.answered[uid] = sequence
        if before is not None:
            return robot.again
        return robot.about.get(reading.text_value(event.value("SUMMARY")), robot.first)


async def run(robots: Sequence[Robot], server: mailserver.MailServer) -> None:
    """All robots at work until cancelled."""
    # Every mailbox is watched before the first robot waits, so that no letter is missed.
    inboxes = [(robot, server.listen(robot.who.address)) for robot in robots]
    async with asyncio.TaskGroup() as group:
        for robot, inbox in inboxes:
            group.create_task(_live(robot, inbox, server.smtp_port, group))


async def _live(
    robot: Robot, inbox: asyncio.Queue[mailserver.Arrival], port: int, group: asyncio.TaskGroup
) -> None:
    memory = Memory()
    while True:
        arrival = await inbox.get()
        invitation = reading.read(arrival.content)
        steps = memory.steps(robot, invitation.event)
        if steps:
            # On its own, so that a slow thought about one letter keeps nobody waiting for the next.
            group.create_task(_answer(robot, invitation, steps, port))


async def _answer(
    robot: Robot, invitation: reading.Invitation, steps: tuple[Step, ...], port: int
) -> None:
    for step in steps:
        await asyncio.sleep(step.after)
        client = step.client or robot.client
        who = step.who or robot.who
        answer = client(invitation, who, step.word, step.comment, datetime.now(UTC))
        await asyncio.to_thread(send, answer, port)


def send(answer: clients.Answer, port: int) -> None:
    """Hand one answer to the built-in server. Raises smtplib.SMTPException where it is refused."""
    with smtplib.SMTP(
        mailserver.HOST,
        port,
        local_hostname=f"mail.{answer.sender.rpartition('@')[2]}",
        timeout=SMTP_SECONDS,
    ) as smtp:
        smtp.sendmail(
            answer.sender, [answer.recipient], answer.content, mail_options=["BODY=8BITMIME"]
        )
