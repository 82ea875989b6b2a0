"""What people say of a participant row in the CRM itself: the invitee's own answer, and the status
that somebody sets by hand on their behalf (domain.md §4).

Verbs for a `Desk`: each asks for its right, locks the follow-up, changes the row and says in the
journal who did it. An answer is one to the follow-up as it stands, and newer than all that was
applied before; one by mail that is written later overrides it by the usual order (itip.md §5). By
hand nothing of that order changes, so any later answer of the invitee's counts.

On failure nothing was written: `Refused` says what to do first. Unlike an answer by mail, one in
the CRM counts also when the follow-up is over: who gives it sees what it is about.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from gateway import errors, status
from gateway.actions import one_follow_up
from gateway.actions.context import Context
from gateway.actions.desk import Desk
from gateway.answer import answered
from gateway.errors import Refused
from gateway.followups import editions, retrieving
from gateway.followups.permission import Verb
from gateway.i18n import marked
from gateway.invite import plan
from gateway.model import (
    Channel,
    Edition,
    Effect,
    Moment,
    Outcome,
    Progress,
    Reply,
    Standing,
)
from gateway.status import Status
from gateway.store import (
    braked,
    decisions,
    followups,
    invitations,
    journal,
    marks,
    participants,
    stated,
)
from gateway.store.followups import Member
from gateway.store.stated import Site

OWN_WORDS = (Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE)
"""What somebody can say here. Passing an invitation on needs a person, which only mail names."""
DECLINES = frozenset({Status.DECLINED, Status.ASSIGNMENT_DECLINED})
LONGEST_COMMENT = 4000
LONGEST_PRIORITY = 100
MOST_MINUTES = 525_600
"""An alarm rings a year before, at most."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `instance`: to one date of a series; None: to all of it."""

    reply: Reply
    comment: str = ""
    instance: Moment | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """What a participant decides for the own row; None: as it was. `alarm_minutes` below 0 takes
    the alarm away.
    """

    priority: str | None = None
    alarm_minutes: int | None = None
    progress: Progress | None = None


def answer(desk: Desk, number: int, said: Said) -> None:
    """The invitee's own word, or what somebody with the right to it says on their behalf, which
    counts as set by hand.
    """
    if said.reply not in OWN_WORDS:
        words = ", ".join(word.value for word in OWN_WORDS)
        raise errors.wrong(
            "reply", marked("%(reply)r is none of %(words)s"), reply=said.reply.value, words=words
        )
    if len(said.comment) > LONGEST_COMMENT:
        raise errors.wrong(
            "comment",
            marked("has more than %(most)s characters"),
            most=LONGEST_COMMENT,
        )
    row = _asked(desk, number)
    instance = _instance(desk, row, said.instance)
    before = _standing(row, instance)
    _retrievable(desk, row, instance, before)
    if not _is_own(desk, row):
        _by_hand(desk, row, instance, said.reply, said.comment)
        return
    after = status.apply(before, _effect(desk, row, instance, said, before))
    is_said = (before.reply, before.comment) == (after.reply, after.comment)
    if is_said and before.channel is not Channel.HAND:
        return
    _keep(desk, row, instance, after, journal.Entry(Outcome.APPLIED.value, detail=said.comment))


def see(desk: Desk, number: int, instance: Moment | None = None) -> None:
    """The invitation was opened, and closed without an answer. A standing answer stays, and so
    does what nobody is asked about.
    """
    row = desk.participant(number, Verb.OWN)
    if row.role in status.FIXED or row.removed:
        return
    date = _instance(desk, row, instance)
    # A date that was not answered by itself is seen with the series.
    date = date if date in row.standings else plan.SERIES
    after = status.see(row.standings[date])
    if after != row.standings[date]:
        _keep(desk, row, date, after, journal.Entry(Outcome.SEEN.value))


def toggle(desk: Desk, number: int, instance: Moment | None = None) -> None:
    """A click on somebody's status: none → accepted → declined → none (help page 001)."""
    row = _asked(desk, number, Verb.EDIT)
    date = _instance(desk, row, instance)
    shown = row.standings.get(date, row.standings[plan.SERIES])
    _by_hand(desk, row, date, status.clicked(shown.reply), "")


def record(desk: Desk, number: int, said: Said) -> None:
    """Set what the invitee said in other words, on their behalf."""
    row = _asked(desk, number, Verb.EDIT)
    _by_hand(desk, row, _instance(desk, row, said.instance), said.reply, said.comment)


def take_out(desk: Desk, number: int) -> None:
    """Take what one has accepted out of the own diary, which declines it (domain.md §4)."""
    row = _asked(desk, number, Verb.OWN)
    if row.standings[plan.SERIES].reply is not Reply.ACCEPTED:
        raise Refused(
            marked("it stands in no diary, because it was not accepted; decline it instead")
        )
    answer(desk, number, Said(Reply.DECLINED))


def acknowledge(desk: Desk, number: int) -> None:
    """Somebody's decline was taken note of: nothing waits for the owner or assigner any more."""
    row = desk.participant(number, Verb.EDIT)
    codes = {status.code(row.role, standing) for standing in row.standings.values()}
    if not codes & DECLINES:
        raise Refused(
            marked("%(name)s has not declined; there is nothing to acknowledge"),
            name=row.name or row.key,
        )
    open_before = decisions.close_declines(desk.connection, number, desk.actor.by, desk.now)
    heard = max(
        (standing.replied_at for standing in row.standings.values() if standing.replied_at),
        default=None,
    )
    said_before = journal.said_of(desk.connection, number, "acknowledged", heard)
    if open_before or not said_before:
        desk.note(journal.Entry("acknowledged", row.follow_up, number, row.date))


def adjust(desk: Desk, number: int, own: Own) -> None:
    """Priority, alarm and progress of a row, each invitee's own (domain.md §3)."""
    row = desk.participant(number, Verb.ANSWER)
    if row.role in status.FIXED:
        raise Refused(
            marked("the row of the %(role)s has none of its own; change the follow-up's"),
            role=row.role,
        )
    if own.progress is not None:
        row = _with_news(desk, row)
        before = row.standings[plan.SERIES]
        after = status.advance(before, own.progress)
        if after != before:
            _keep(desk, row, plan.SERIES, after, journal.Entry("progress"))
    changes = _changes(own)
    if changes:
        participants.change(desk.connection, [number], changes)
        named = ", ".join(f"{name}: {value}" for name, value in changes.items())
        desk.note(journal.Entry("adjusted", row.follow_up, number, row.date, detail=named))


def _changes(own: Own) -> dict[str, object]:
    changes: dict[str, object] = {}
    if own.priority is not None:
        if len(own.priority) > LONGEST_PRIORITY:
            raise errors.wrong(
                "priority",
                marked("has more than %(most)s characters"),
                most=LONGEST_PRIORITY,
            )
        changes["priority"] = own.priority
    if own.alarm_minutes is not None:
        if own.alarm_minutes > MOST_MINUTES:
            raise errors.wrong(
                "alarm_minutes",
                marked("is more than a year (%(most)s)"),
                most=MOST_MINUTES,
            )
        changes["alarm_minutes"] = own.alarm_minutes if own.alarm_minutes >= 0 else None
    return changes


def _asked(desk: Desk, number: int, verb: Verb = Verb.ANSWER) -> Member:
    """The row of somebody who can answer."""
    row = desk.participant(number, verb)
    if row.removed:
        raise Refused(
            marked("%(name)s takes part no more; add them again first"), name=row.name or row.key
        )
    if row.role in status.NOT_ASKED:
        raise Refused(status.NOT_ASKED[row.role])
    return _with_news(desk, row)


def _with_news(desk: Desk, row: Member) -> Member:
    """The row with what was changed a moment ago, which the planner has not seen: it would take an
    answer to the new time for one to the old. An answer to that time ends the wait for further
    changes, and what is owed because of it is owed now. A refusal takes all of it back.
    """
    connection, key = desk.connection, row.follow_up
    if not marks.is_marked(connection, key):
        return row
    last = followups.known_edition(connection, key)
    planned, current = invitations.editions(connection, [last]).get(last), _edition(desk, row)
    if current is None or not _is_news(planned, current):
        return row
    one_follow_up.update(connection, key, Context.read(connection, desk.settings, desk.now))
    [fresh] = followups.members(connection, ids=[row.id])
    return fresh


def _is_news(planned: Edition | None, current: Edition) -> bool:
    """Whether it changes what an answer may be to. `planned`: the last edition that was planned;
    what never was is news if it is cancelled already.
    """
    if planned is None or planned.cancelled is not current.cancelled:
        return planned is not None or current.cancelled
    return editions.asks_again(planned, current) or _dates(planned, current)


def _dates(planned: Edition, current: Edition) -> bool:
    """Whether single dates were moved, cancelled or came back."""
    return planned.recurrence is not None and bool(editions.changed_dates(planned, current))


def _is_own(desk: Desk, row: Member) -> bool:
    """Whether it is the invitee who speaks. What the CRM says for nobody, it says for the invitee
    that it asked.
    """
    if desk.actor.is_whole_crm:
        return True
    return row.is_associate and desk.actor.associate == row.key


def _instance(desk: Desk, row: Member, instance: Moment | None) -> Moment | None:
    """The date whose standing is meant; None: the row's own."""
    if instance is None or instance == row.date:
        return plan.SERIES
    edition = _edition(desk, row)
    if row.date is not None or edition is None or edition.recurrence is None:
        raise errors.wrong("instance", marked("is said of a row that is not for a series"))
    if not answered.is_date(edition, instance):
        raise errors.wrong("instance", marked("is no date of this series"))
    if not editions.takes_place(edition, instance):
        raise Refused(marked("this date is cancelled; reinstate it first"))
    return instance


def _standing(row: Member, instance: Moment | None) -> Standing:
    series = row.standings[plan.SERIES]
    if instance is plan.SERIES:
        return series
    return status.of_date(series, row.standings.get(instance))


def _edition(desk: Desk, row: Member) -> Edition | None:
    """The follow-up as it stands."""
    mail, key = desk.settings.mail, row.follow_up
    rows = followups.members(desk.connection, key)
    return stated.edition(desk.connection, key, Site(mail.timezone, mail.language), rows)


def _retrievable(desk: Desk, row: Member, instance: Moment | None, before: Standing) -> None:
    """What was declined can be taken up until the day after it takes place (domain.md §4)."""
    if status.code(row.role, before) not in DECLINES:
        return
    edition = _edition(desk, row)
    if edition is None:
        return
    date = instance if instance is not None else row.date
    if not retrieving.is_retrievable(edition, desk.now, date):
        raise Refused(
            marked("it was declined, and is over since; nothing can be taken up any more")
        )


def _effect(
    desk: Desk, row: Member, instance: Moment | None, said: Said, before: Standing
) -> Effect:
    """An answer to what stands now: nothing that was applied before is newer."""
    sent = invitations.answered(desk.connection, row.id, instance)
    sequence = editions.sequence(sent, instance)[0] if sent is not None else 0
    return Effect(
        row.id,
        instance,
        said.reply,
        said.comment,
        max(sequence, before.sequence or 0),
        _no_earlier(desk.now, before.dtstamp),
        _no_earlier(desk.now, before.arrived),
        desk.actor.channel,
        desk.actor.by,
    )


def _no_earlier(now: datetime, last: datetime | None) -> datetime:
    """Clocks of others may be ahead of ours."""
    return now if last is None else max(now, last)


def _by_hand(desk: Desk, row: Member, instance: Moment | None, reply: Reply, comment: str) -> None:
    toggled = status.toggle(_standing(row, instance), reply)
    after = replace(
        toggled,
        comment=comment,
        channel=Channel.HAND,
        address=desk.actor.by,
        replied_at=desk.now,
    )
    entry = journal.Entry("toggled", channel=Channel.HAND, detail=comment)
    _keep(desk, row, instance, after, entry)


def _keep(
    desk: Desk, row: Member, instance: Moment | None, after: Standing, entry: journal.Entry
) -> None:
    """Write the standing and the status that follows from it, and what the journal says."""
    connection, number = desk.connection, row.id
    shown = row.standings.get(instance, row.standings[plan.SERIES])
    before, now = status.code(row.role, shown), status.code(row.role, after)
    code = int(now) if instance is plan.SERIES else None
    followups.write_standing(connection, number, instance, after, code)
    braked.void(connection, [number])
    desk.note(
        replace(
            entry,
            follow_up=row.follow_up,
            participant=number,
            instance=instance or row.date,
            before=before.word,
            after=now.word,
        )
    )
    _look_again(desk, row, after.reply)


def _look_again(desk: Desk, row: Member, reply: Reply) -> None:
    """What is to leave anyway must not ask again somebody who has answered."""
    waiting = invitations.waiting_replies(desk.connection, [row.id]).get(row.id, ())
    if any(shown is not reply for shown in waiting):
        marks.mark(desk.connection, [row.follow_up], desk.now)
        desk.touch(row.follow_up)
