"""Another time, asked for by an invitee: kept beside their answer until the owner accepts it,
refuses it, or moves the meeting.

RFC 5546 §3.2.7 (COUNTER), §3.2.8 (DECLINECOUNTER). To accept is to reschedule the record: who is
asked again is the planner's business, as for any other move. Everything here is part of the
caller's transaction.
"""

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from gateway import settings as configuration
from gateway.actions import deciding, queueing
from gateway.actions.context import Context
from gateway.answer import facts
from gateway.errors import NotFound, Refused
from gateway.followups import decisions, editions, recurrence
from gateway.followups.decisions import Choice
from gateway.i18n import marked
from gateway.invite import owing, plan
from gateway.model import (
    Edition,
    Method,
    Moment,
    Outcome,
    ProposalState,
    Recurrence,
    Remarks,
    Reply,
)
from gateway.store import (
    codec,
    columns,
    followups,
    invitations,
    journal,
    marks,
    proposals,
    records,
    stated,
    timing,
)
from gateway.store.decisions import Verdict
from gateway.store.engine import Connection
from gateway.store.proposals import Proposal


def keep(connection: Connection, answer: facts.Answer, message: int, now: datetime) -> None:
    """Store what an answer asks for;
    it takes the place of what the same invitee asked for before.
    """
    row, asked = answer.row, answer.conclusion.proposal
    if (
        row is None
        or asked is None
        or asked.start is None
        or answer.conclusion.outcome is Outcome.DUPLICATE
    ):
        return
    proposals.put(connection, row, answer, asked, message, now)
    journal.write(
        connection,
        [
            journal.Entry(
                "proposed",
                row.follow_up,
                row.participant,
                answer.date,
                by=answer.address,
                message=message,
                detail=_words(asked.start, asked.end, asked.location),
            )
        ],
        now,
    )


def accept(
    connection: Connection,
    number: int,
    settings: configuration.Settings,
    now: datetime,
    by: str = "",
) -> Proposal:
    """Move the follow-up, or the one date, to what was proposed. Everybody with the switch on is
    asked again.

    Raises `NotFound` where there is no such proposal; `Refused` where it is decided already or
    cannot be: cancelled, over, or a series whose rule does not give the proposed day.
    """
    proposal, edition = _undecided(connection, number, settings)
    if edition.cancelled:
        raise Refused(marked("the follow-up is cancelled; reinstate it first"))
    since = marks.newest_number(connection)
    if proposal.instance is None:
        followups.reschedule(connection, proposal.follow_up, _series(edition, proposal, now))
    else:
        start, end = _date(edition, proposal, proposal.instance, now)
        timing.move_date(connection, proposal.follow_up, proposal.instance, start, end)
    marks.single_since(connection, since)
    records.stamp(connection, [proposal.follow_up], now, by)
    _settle(connection, proposal, ProposalState.ACCEPTED, by, now)
    return proposal


def decline(
    connection: Connection,
    number: int,
    settings: configuration.Settings,
    now: datetime,
    by: str = "",
) -> Proposal:
    """Refuse a proposal. The invitee is told so in a DECLINECOUNTER, if they hold an invitation at
    an address that takes mail.

    Raises `NotFound` where there is no such proposal, `Refused` where it is decided already.
    """
    proposal, _ = turn_down(connection, number, settings, now, by)
    return proposal


def turn_down(
    connection: Connection,
    number: int,
    settings: configuration.Settings,
    now: datetime,
    by: str = "",
) -> tuple[Proposal, list[int]]:
    """`decline`, with the numbers of the letters that tell of it."""
    proposal, _ = _undecided(connection, number, settings)
    _settle(connection, proposal, ProposalState.DECLINED, by, now)
    to, last = (
        invitations.holding(connection, proposal.participant, proposal.instance),
        followups.known_edition(connection, proposal.follow_up),
    )
    planned = invitations.editions(connection, [last]).get(last)
    context = Context.read(connection, settings, now)
    if (
        to is None
        or last is None
        or planned is None
        or planned.cancelled
        or to.account not in context.accounts
    ):
        return proposal, []
    [member] = followups.members(connection, ids=[proposal.participant])
    standing = member.standings.get(proposal.instance, member.standings[plan.SERIES])
    view = editions.seen(planned, to.date)
    owed = owing.Owed(
        Method.DECLINECOUNTER,
        proposal.participant,
        to.id,
        None,
        view,
        None,
        proposal.sequence,
        owing.next_dtstamp(to.top_dtstamp, now),
        Reply.NEEDS_ACTION if standing.cancelled else standing.reply,
        instance=proposal.instance if to.date is None else None,
        remarks=Remarks(start=proposal.start, end=proposal.end),
    )
    numbers = queueing.Numbers(connection, proposal.follow_up, {planned: last}, now)
    invited = queueing.Known(invitations.of_participants(connection, [proposal.participant]))
    return proposal, queueing.queue(
        connection, proposal.follow_up, [owed], numbers, invited, context
    )


def _undecided(
    connection: Connection, number: int, settings: configuration.Settings
) -> tuple[Proposal, Edition]:
    """The proposal and the follow-up as it stands, which nobody else moves meanwhile."""
    proposal = proposals.get(connection, number)
    if proposal is None:
        raise NotFound(marked("there is no proposal %(number)s"), number=number)
    followups.lock(connection, proposal.follow_up)
    site = stated.Site(settings.mail.timezone, settings.mail.language)
    edition = stated.edition(
        connection, proposal.follow_up, site, followups.members(connection, proposal.follow_up)
    )
    now_standing = proposals.get(connection, number)
    if edition is None or now_standing is None:
        raise NotFound(marked("follow-up %(follow_up)s is gone"), follow_up=proposal.follow_up)
    if now_standing.state is not ProposalState.OPEN:
        raise Refused(
            marked("proposal %(number)s is %(state)s already"),
            number=number,
            state=now_standing.state,
        )
    return now_standing, edition


def _settle(
    connection: Connection, proposal: Proposal, state: ProposalState, by: str, now: datetime
) -> None:
    proposals.settle(connection, proposal.id, state, by, now)
    journal.write(
        connection,
        [
            journal.Entry(
                f"proposal_{state.value}",
                proposal.follow_up,
                proposal.participant,
                proposal.instance,
                by=by,
                detail=_words(proposal.start, proposal.end, proposal.location),
            )
        ],
        now,
    )
    choice = Choice.MOVE if state is ProposalState.ACCEPTED else Choice.KEEP
    verdict = Verdict(by, choice, decisions.of_proposal(proposal.id))
    deciding.follow(connection, [proposal.follow_up], now, [proposal.participant], verdict)


def _series(edition: Edition, proposal: Proposal, now: datetime) -> dict[str, Any]:
    """The columns of the follow-up that change."""
    place = {"location": proposal.location} if proposal.location else {}
    if edition.start is None:  # a task or planned call, which went out as a day: its deadline moves
        day = (
            proposal.start.astimezone(ZoneInfo(edition.timezone)).date()
            if isinstance(proposal.start, datetime)
            else proposal.start
        )
        _not_over(replace(edition, deadline=day), now)
        return place | {
            "deadline": datetime.combine(day, time(), ZoneInfo(edition.timezone)).astimezone(UTC)
        }
    all_day = not isinstance(proposal.start, datetime)
    end = _end(proposal, edition.start, edition.end)
    moved = replace(edition, start=proposal.start, end=end, all_day=all_day, dates=())
    if edition.recurrence is not None:
        if all_day != edition.all_day:
            raise Refused(
                marked(
                    "a series of days cannot become one of hours, nor the reverse, by a proposal"
                )
            )
        bare = replace(moved, recurrence=Recurrence(edition.recurrence.rrule))
        if edition.recurrence.rrule and not recurrence.is_instance(bare, proposal.start):
            raise Refused(
                marked(
                    "the rule of the series does not give the proposed day; change the rule instead"
                )
            )
    _not_over(moved, now)
    return place | {
        "start_at": columns.instant(proposal.start),
        "end_at": columns.optional(end),
        "all_day": all_day,
    }


def _date(
    edition: Edition, proposal: Proposal, original: Moment, now: datetime
) -> tuple[Moment, Moment | None]:
    """The times of one date of a series; its place is the series'."""
    if not recurrence.is_instance(edition, original):
        raise Refused(marked("the series has no such date any more"))
    if isinstance(proposal.start, datetime) == edition.all_day:
        raise Refused(
            marked(
                "one date of a series cannot be a day where the others are hours, nor the reverse"
            )
        )
    end = _end(proposal, edition.start, edition.end)
    _not_over(replace(edition, start=proposal.start, end=end, recurrence=None, dates=()), now)
    return proposal.start, end


def _end(proposal: Proposal, start: Moment | None, end: Moment | None) -> Moment | None:
    """The proposed end; where none was named, or none that can be,
    the follow-up is as long as before.
    """
    if (
        proposal.end is not None
        and isinstance(proposal.end, datetime) == isinstance(proposal.start, datetime)
        and proposal.end > proposal.start
    ):
        return proposal.end
    if (
        start is None
        or end is None
        or isinstance(start, datetime) != isinstance(proposal.start, datetime)
    ):
        return None
    return proposal.start + (end - start)


def _not_over(moved: Edition, now: datetime) -> None:
    if recurrence.over(moved, now):
        raise Refused(marked("the proposed time is over"))


def _words(start: Moment, end: Moment | None, location: str) -> str:
    return " – ".join(filter(None, (codec.moment(start), codec.moment(end)))) + (
        f", {location}" if location else ""
    )
