"""A person's own words to a token address: passed on to the owner, once, in their own mailbox
(P23).

They leave through the outbox like every letter, as plain text in the gateway's name, marked with
who really wrote them. A status never comes of them; what they seem to answer is only mentioned.
Part of the caller's transaction. Security: nothing automatic is passed on, nothing to a mailbox of
ours or to its own writer, at most `MOST` for a row and UTC day; replies go to the invitee, no
matter who wrote.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time

from gateway import accounts, sections
from gateway import settings as configuration
from gateway.actions import queueing
from gateway.answer import facts
from gateway.invite import owing, plan
from gateway.mail import address, syntax
from gateway.model import Guest, Method, Outcome, Remarks, Reply
from gateway.store import enqueue, followups, invitations, journal, meta, outbox
from gateway.store.engine import Connection
from gateway.store.followups import Owner
from gateway.store.invitations import Invitation

MOST = 5
"""Texts of one row that are passed on in a day (quality.md §3)."""


def forward(
    connection: Connection,
    answers: Sequence[facts.Answer],
    message: int,
    settings: configuration.Settings,
    now: datetime,
) -> None:
    """Queue for the owner what people wrote. `message`: its number in the inbox."""
    for answer in answers:
        row, conclusion = answer.row, answer.conclusion
        if row is None or conclusion.outcome is not Outcome.COMMENT:
            continue
        owner, to = (
            followups.owner(connection, row.follow_up),
            invitations.counting(connection, row.participant),
        )
        account = accounts.configured(settings).get(to.account) if to is not None else None
        refusal = _refusal(connection, answer, owner, accounts.mailboxes(settings), now)
        if refusal or owner is None or to is None or account is None:
            entry = journal.Entry(
                "not_forwarded",
                row.follow_up,
                row.participant,
                message=message,
                detail=refusal or ("no invitation" if to is None else plan.NO_ACCOUNT),
            )
        else:
            words = _Words(answer, row, owner, to, account.mail)
            letter = _queue(connection, words, message, now)
            entry = journal.Entry(
                "queued",
                row.follow_up,
                row.participant,
                letter=letter,
                message=message,
                detail="to the owner",
            )
        journal.write(connection, [entry], now)


def _refusal(
    connection: Connection,
    answer: facts.Answer,
    owner: Owner | None,
    ours: Sequence[str],
    now: datetime,
) -> str:
    """Why a text is filed but not passed on; "" where it is. `ours`: every mailbox of ours."""
    if not answer.conclusion.pass_on:
        return "a machine may have sent it"
    if owner is None or syntax.problem(owner.address):
        return "the owner has no address that mail can go to"
    if address.is_ours(owner.address, ours) or address.is_ours(answer.address, ours):
        return "it would come back to this mailbox"
    if address.same(owner.address, answer.address):
        return "the owner wrote it"
    midnight = datetime.combine(now.date(), time(), now.tzinfo)
    sent_on = (
        outbox.passed_on(connection, answer.row.participant, midnight)
        if answer.row is not None
        else 0
    )
    return f"{MOST} of this row have been passed on today" if sent_on >= MOST else ""


@dataclass(frozen=True, slots=True)
class _Words:
    """What somebody wrote about a row, and its owner, who gets that."""

    answer: facts.Answer
    row: facts.Row
    owner: Owner
    to: Invitation
    mail: sections.Mail


def _queue(connection: Connection, words: _Words, message: int, now: datetime) -> int:
    """Put them into the outbox. Returns the number of the letter."""
    answer, row, to = words.answer, words.row, words.to
    owner, mail, conclusion = words.owner, words.mail, answer.conclusion
    is_known = address.among(answer.address, {row.address, *row.known})
    invitee = Guest(to.name, row.address)
    remarks = Remarks(
        words=conclusion.comment,
        writer=Guest(to.name if is_known else "", answer.address),
        row=None if is_known else invitee,
        reply_to=answer.address if is_known and not syntax.problem(answer.address) else row.address,
    )
    owed = owing.Owed(
        Method.NONE,
        row.participant,
        to.id,
        None,
        row.current,
        None,
        0,
        now.replace(microsecond=0),
        conclusion.claimed or Reply.NEEDS_ACTION,
        remarks=remarks,
    )
    edition = invitations.keep_edition(
        connection,
        row.follow_up,
        row.current,
        followups.known_edition(connection, row.follow_up),
        now,
    )
    # The bare mailbox as envelope sender: a report about the owner's mailbox says nothing of the
    # invitee's.
    addressed = replace(
        to,
        address=owner.address,
        name=owner.name,
        language=owner.language or mail.language,
        bounce_address=mail.address,
    )
    message_id = queueing.message_id(
        meta.site_secret(connection),
        # The number of a message may mean another after a restore.
        (to.token, "forward", str(message), f"{owed.dtstamp:%Y%m%dT%H%M%S}"),
        to,
    )
    timezone = owner.timezone or row.current.timezone
    letter = enqueue.Letter(owed, addressed, edition, None, message_id, timezone)
    [number] = enqueue.put(connection, [letter], now)
    return number
