"""The public answer page: what the holder of a link is shown, and what becomes of what they say.

To look writes nothing, so that a program which follows every link does no harm (P5). What is said
is decided as an answer by mail is (`answer.page`), recorded in the inbox without bytes, and carried
out by the same `actions.answers`: journal, decisions, webhooks and the owner's mailbox follow.

On failure: None, whether the link is none of ours, or what it was about is over, called off, taken
back or given to somebody else: nobody learns which. Security: the link stands for one invitation at
one address (`mail.links`); who else is invited is not shown.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from gateway import settings as configuration
from gateway.actions import answers
from gateway.answer import answered, facts, page, reply
from gateway.answer.page import Said
from gateway.followups import editions
from gateway.invite import plan
from gateway.mail import links
from gateway.model import Letter, Method, Moment, Outcome, Remarks, Standing
from gateway.store import candidates, followups, inbox, invitations, meta, proposals
from gateway.store.engine import Connection, Store
from gateway.store.invitations import Invitation
from gateway.store.stated import Site

LONGEST_COMMENT = 4000


@dataclass(frozen=True, slots=True)
class Link:
    """What stands in the address. `date`: "" for all of it; `done`: the form that was sent last."""

    token: str
    date: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the invitee was told last, as the letter that they would get now, with the other time
    that they have asked for; and how they stand. `form`: what a form of it has to say; `is_heard`:
    the one in the address was answered with, and this is still what it was about.
    """

    letter: Letter
    standing: Standing
    form: str
    is_heard: bool


class Done(StrEnum):
    """What came of what was said."""

    HEARD = "heard"
    MOVED = "moved"
    """Nothing: the page showed what is not so any more."""
    UNKNOWN = "unknown"
    """Nothing: the form is none of this page."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A row whose page a link is."""

    invitation: Invitation
    row: facts.Row
    instance: Moment | None
    secret: bytes


def look(store: Store, settings: configuration.Settings, now: datetime, link: Link) -> Shown | None:
    """What the page shows; None where there is nothing to answer."""
    with store.read() as connection:
        target = _find(connection, settings, now, link)
        return None if target is None else _shown(connection, settings, now, link, target)


def answer(
    store: Store,
    settings: configuration.Settings,
    now: datetime,
    link: Link,
    said: Said,
    form: str,
) -> Done | None:
    """Carry out what was said with a form; None where there is nothing to answer. What the form
    showed is said by itself, whatever `said.sequence` is.
    """
    with store.write() as connection:
        secret = meta.site_secret(connection)
        to = invitations.by_token(connection, links.of_page(secret, link.token))
        if to is not None:
            followups.lock(connection, to.follow_up)
        target = _find(connection, settings, now, link)
        if target is None:
            return None
        sequence = links.of_form(target.secret, link.token, link.date, form)
        if sequence is None:
            return Done.UNKNOWN
        said = replace(said, sequence=sequence)
        digest = f"{_half(form)}{_half(str(said))}"
        repeated = bool(inbox.copies(connection, [digest]).get(digest))
        decided = page.decide(target.row, said, target.instance, now, repeated=repeated)
        if decided.conclusion.outcome is Outcome.OLD_ANSWER:
            return Done.MOVED
        number = inbox.record(connection, _record(target, decided, said, digest, now), now)
        effects = answers.Effects(number, reply.foretell([decided]))
        answers.carry_out(connection, [effects], settings, now)
        return Done.HEARD


def _find(
    connection: Connection, settings: configuration.Settings, now: datetime, link: Link
) -> _Found | None:
    secret = meta.site_secret(connection)
    to = invitations.by_token(connection, links.of_page(secret, link.token))
    if to is None:
        return None
    site = Site(settings.mail.timezone, settings.mail.language)
    row = candidates.load(connection, [to.participant], [], site).get(to.participant)
    if row is None or row.key is None:
        return None
    try:
        date = links.date_named(link.date or links.WHOLE)
    except ValueError:
        return None
    instance = plan.SERIES if date == row.current.recurrence_id else date
    if instance is not None and not answered.is_date(row.current, instance):
        return None
    is_closed = reply.is_closed(row, instance, now)
    return None if is_closed else _Found(to, row, instance, secret)


def _shown(
    connection: Connection,
    settings: configuration.Settings,
    now: datetime,
    link: Link,
    target: _Found,
) -> Shown:
    standing = reply.standing_of(target.row, target.instance)
    letter = _letter(target, settings.mail.language, now)
    letter = replace(letter, reply=standing.reply, remarks=_asked(connection, target))
    issued = int(now.timestamp())
    form = links.form(target.secret, link.token, link.date, letter.sequence, issued)
    is_current = letter.sequence == links.of_form(target.secret, link.token, link.date, link.done)
    number = target.invitation.participant
    is_heard = is_current and inbox.has_beginning(connection, number, _half(link.done))
    return Shown(letter, standing, form, is_heard=is_heard)


def _half(text: str) -> str:
    """Half of the digest of what was said: the first tells with which form, the second what."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _letter(target: _Found, language: str, now: datetime) -> Letter:
    """What the invitee was told last, as a letter of now."""
    to, edition = target.invitation, answered.sent_to(target.row)
    sequence, _ = editions.sequence(edition, target.instance)
    return Letter(
        method=Method.REQUEST,
        edition=edition,
        before=None,
        sequence=sequence,
        dtstamp=now,
        message_id="",
        account=to.account,
        address=to.address,
        address_name=to.name,
        organizer_address=to.organizer_address,
        bounce_address="",
        language=to.language or language,
        timezone=to.timezone or edition.timezone,
        token=to.token,
        instance=target.instance,
    )


def _asked(connection: Connection, target: _Found) -> Remarks:
    """The other time that waits for the owner."""
    to = target.invitation
    wishes = [
        proposal
        for proposal in proposals.open(connection, to.follow_up)
        if proposal.participant == to.participant and proposal.instance == _date(target)
    ]
    return Remarks(start=wishes[-1].start, end=wishes[-1].end) if wishes else Remarks()


def _date(target: _Found) -> Moment | None:
    return target.instance or target.row.current.recurrence_id


def _record(
    target: _Found, decided: facts.Answer, said: Said, digest: str, now: datetime
) -> inbox.Record:
    """The row of the inbox. It has no bytes, and lies in no mailbox."""
    conclusion, row = decided.conclusion, target.row
    rules = [[rule.name, rule.text] for rule in conclusion.rules]
    return inbox.Record(
        digest,
        len(said.comment.encode()),
        now,
        conclusion.outcome,
        conclusion.reason,
        from_address=row.address,
        follow_up=row.follow_up,
        participant=row.participant,
        instance=_date(target),
        detail={"rules": rules},
    )
