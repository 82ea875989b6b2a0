"""What one answer does to one row: the order of answers, dates of a series, closed doors (itip.md
§4, §5; RFC 5546 §3.2.3).

Whose row it is and who may speak for it has been decided before (`answer.correlate`).
Everything here is a function of the row's facts, the answer and when it reached the mailbox, so the
same answers end the same in any order of arrival.

The order: per row and instance, (SEQUENCE, DTSTAMP, arrival) of the invitee's last applied answer.
It is compared with that only, never with our own DTSTAMPs: their clocks are not ours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway import status
from gateway.answer import answered, facts, moments
from gateway.followups import editions, recurrence
from gateway.ical import read
from gateway.mail import address, quoting
from gateway.model import Effect, Moment, Outcome, Reply, Role, Standing

CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far a sender's DTSTAMP may lie behind its arrival. A later DTSTAMP is of a wrong clock, which
would win for ever.
"""

SLOW = timedelta(days=1)
"""How far behind a sender's clock is believed: a clock that is slow, or writes its own hours as
those of UTC, is wrong every time, and the sender's answers keep their order by it.
"""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No answer is older: .NET's least time is of the year 1, Claws writes the year 0, a clock without
battery 1970 or 1980.
"""

PARTSTATS = {
    "NEEDS-ACTION": Reply.NEEDS_ACTION,
    "ACCEPTED": Reply.ACCEPTED,
    "DECLINED": Reply.DECLINED,
    "TENTATIVE": Reply.TENTATIVE,
    "DELEGATED": Reply.DELEGATED,
}


def foretell(answers: Iterable[facts.Answer]) -> tuple[facts.Consequence, ...]:
    """What the answers of a message do, in their order: each to what the answers before it left."""
    standings = dict[int, dict[Moment | None, Standing]]()
    consequences = list[facts.Consequence]()
    for answer in answers:
        row = answer.row
        if row is None or row.key is None:
            consequences.append(facts.Consequence(answer))
            continue
        standings_of_row = standings.setdefault(row.participant, {None: row.standing})
        for date, standing in row.date_standings.items():
            standings_of_row.setdefault(date, standing)
        consequences.append(_foretold(answer, row, row.key, standings_of_row))
    return tuple(consequences)


def _foretold(
    answer: facts.Answer, row: facts.Row, key: str, standings: dict[Moment | None, Standing]
) -> facts.Consequence:
    """One answer, after which `standings` is what the row has."""
    instance, effect = answer.conclusion.instance, answer.conclusion.effect
    before = standings.get(instance) or standing_of(row, instance)
    # A date that was not answered by itself has the status of the series.
    shown = standings.get(instance) or standings[None]
    code_before = code_after = status.code(row.role, shown)
    after = before
    if effect is not None:
        after = status.apply(before, effect)
        code_after = status.code(row.role, after)
    standings[instance] = after
    changed = after if after != before else None
    return facts.Consequence(answer, key, code_before.word, code_after.word, changed, code_after)


def standing_of(row: facts.Row, instance: Moment | None) -> Standing:
    """The row's own standing on the series or on one date; a date without a standing is open, and
    shares the series' fate.
    """
    if instance is None:
        return row.standing
    return status.of_date(row.standing, row.date_standings.get(instance))


def decide_all(
    row: facts.Row, components: Sequence[read.Component], about: facts.Circumstances
) -> tuple[facts.Conclusion, ...]:
    """A REPLY with its VEVENTs, series first, then dates (itip.md §4). What is good applies; what
    is wrong with the rest is said beside it.
    """
    chosen = _one_each(row, components, about)
    has_dates = any(component.recurrence_id_text for component in chosen)
    conclusions = list[facts.Conclusion]()
    for component in sorted(chosen, key=lambda component: component.recurrence_id_text != ""):
        conclusion = decide(row, component, about, beside_dates=has_dates)
        conclusions.append(conclusion)
        if conclusion.effect is not None:
            row = _after(row, conclusion.effect)
    return tuple(conclusions)


def decide(
    row: facts.Row,
    component: read.Component,
    about: facts.Circumstances,
    beside_dates: bool = False,
) -> facts.Conclusion:
    """One VEVENT of a REPLY. `beside_dates`: others of its object name dates, so one without
    RECURRENCE-ID is the series.
    """
    if component.kind != "VEVENT":
        return _told(
            Outcome.NOT_AN_ANSWER,
            f"an answer about a {component.kind}, where we asked about an event",
        )
    attendee = attendee_of(row, component, about.senders)
    if attendee is None:
        listed = len(component.attendees)
        reason = "no ATTENDEE, so nothing says what he answers"
        if listed:
            reason = f"{listed} ATTENDEEs, none of them the invitee"
        return _told(Outcome.MALFORMED, reason)
    claimed = PARTSTATS.get(attendee.partstat)
    if claimed is None:
        reason = "no PARTSTAT, so nothing says what he answers"
        if attendee.partstat:
            reason = f"PARTSTAT {attendee.partstat!r} is no answer"
        return _told(Outcome.MALFORMED, reason)
    comment = comment_of(component, attendee, about.remark)
    instance, trouble = answered.instance(row, component, about, beside_dates)
    if trouble is not None:
        late = _late_anyway(row, component, claimed, about, trouble)
        return replace(late or trouble, claimed=claimed, comment=comment)
    proposal = _proposal(row, attendee.proposed, component, about, comment)
    conclusion = _ordered(row, instance, claimed, component, about, comment)
    if conclusion.outcome is Outcome.APPLIED and claimed is Reply.DELEGATED:
        conclusion = _delegated(row, component, attendee, about, conclusion)
    if proposal is not None and conclusion.outcome is not Outcome.CLOSED:
        return replace(conclusion, proposal=proposal)
    return conclusion


def _late_anyway(
    row: facts.Row,
    component: read.Component,
    claimed: Reply,
    about: facts.Circumstances,
    trouble: facts.Conclusion,
) -> facts.Conclusion | None:
    """Closed or old, where an answer without RECURRENCE-ID is that whatever it is about: then there
    is nothing to ask a person.
    """
    if trouble.outcome is not Outcome.HELD or component.recurrence_id_text:
        return None
    decisions = [
        _ordered(row, instance, claimed, component, about, "")
        for instance in answered.may_mean(row)
    ]
    too_late = {Outcome.CLOSED, Outcome.OLD_ANSWER}
    return decisions[0] if all(conclusion.outcome in too_late for conclusion in decisions) else None


def decide_counter(
    row: facts.Row, components: Sequence[read.Component], about: facts.Circumstances
) -> tuple[facts.Conclusion, ...]:
    """A COUNTER: another time is asked for. `seen`; a standing yes or no stays (domain.md §4)."""
    conclusions = list[facts.Conclusion]()
    for component in _one_each(row, components, about):
        attendee = attendee_of(row, component, about.senders) or read.Attendee("")
        comment = comment_of(component, attendee, about.remark)
        if component.kind != "VEVENT" or component.dtstart is None:
            conclusions.append(
                _told(Outcome.MALFORMED, "a counter-proposal without a time", comment=comment)
            )
            continue
        instance, trouble = answered.instance(row, component, about, beside_dates=False)
        if trouble is None:
            trouble = _closed(row, instance, about.arrived)
        if trouble is not None:
            conclusions.append(replace(trouble, comment=comment))
            continue
        proposal = _proposal(row, component.dtstart, component, about, comment)
        if proposal is not None:
            proposal = replace(proposal, location=component.location)
        conclusions.append(_asks(row, instance, component, about, comment, proposal))
    return tuple(conclusions)


def _asks(
    row: facts.Row,
    instance: Moment | None,
    component: read.Component,
    about: facts.Circumstances,
    comment: str,
    proposal: facts.Proposal | None,
) -> facts.Conclusion:
    """A wish is kept whatever it answers (P4), but a wish from before the last move does not show
    that the move was seen.
    """
    rules = [
        facts.Rule("counter", "COUNTER asks for another time; the time of the follow-up stays (P4)")
    ]
    significant = editions.sequence(answered.sent_to(row), instance)[1]
    is_old = component.sequence is not None and component.sequence < significant
    if is_old:
        rules.append(
            facts.Rule(
                "old_time",
                f"SEQUENCE {component.sequence} is from before the last move (SEQUENCE"
                f" {significant}) (P7)",
            )
        )
    effect = None if is_old else _seen(row, instance, about)
    return facts.Conclusion(
        Outcome.PROPOSAL,
        "asks for another time",
        tuple(rules),
        instance,
        effect,
        comment=comment,
        proposal=proposal,
    )


def decide_refresh(
    row: facts.Row, components: Sequence[read.Component], about: facts.Circumstances
) -> facts.Conclusion:
    """A REFRESH: the current REQUEST is due again (the store limits how often). Where each date is
    an invitation by itself, it is the REQUEST of the date that the REFRESH names.
    """
    closed = _closed(row, None, about.arrived)
    dates = (answered.named(row.current, component, about) for component in components if row.apart)
    instance = next(dates, None)
    rule = facts.Rule("refresh", "REFRESH asks for the current invitation; no status changes")
    return closed or facts.Conclusion(
        Outcome.REFRESHED,
        "asks for the invitation again",
        (rule,),
        instance,
        ask_again=not about.automatic,
    )


def decide_direct(
    row: facts.Row,
    claimed: Reply,
    instance: Moment | None,
    sequence: int,
    about: facts.Circumstances,
    comment: str = "",
) -> facts.Conclusion:
    """An answer by mail link or answer page: like a REPLY of that SEQUENCE and instance, ordered by
    its arrival.
    """
    instance, trouble = _of_own_row(row, instance)
    if trouble is not None:
        return replace(trouble, claimed=claimed, comment=comment)
    component = read.Component("VEVENT", row.uid, sequence=sequence)
    return _ordered(row, instance, claimed, component, about, comment)


def decide_wish(
    row: facts.Row,
    wish: facts.Proposal,
    instance: Moment | None,
    about: facts.Circumstances,
) -> facts.Conclusion:
    """Another time asked for on the answer page, without an answer: like a COUNTER."""
    instance, trouble = _of_own_row(row, instance)
    trouble = trouble or _closed(row, instance, about.arrived)
    if trouble is not None:
        return replace(trouble, comment=wish.comment)
    component = read.Component("VEVENT", row.uid, sequence=wish.sequence)
    return _asks(row, instance, component, about, wish.comment, wish)


def decide_words(
    row: facts.Row, words: str, instance: Moment | None, about: facts.Circumstances
) -> facts.Conclusion:
    """A message to the owner from the answer page, without an answer: like words by mail (P23)."""
    instance, trouble = _of_own_row(row, instance)
    trouble = trouble or _closed(row, instance, about.arrived)
    if trouble is not None:
        return replace(trouble, comment=words)
    rule = facts.Rule("text", "a person's own words never change a status by themselves (P23)")
    return facts.Conclusion(
        Outcome.COMMENT, "wrote a message", (rule,), instance, comment=words, pass_on=True
    )


def _of_own_row(
    row: facts.Row, instance: Moment | None
) -> tuple[Moment | None, facts.Conclusion | None]:
    """The date that a link speaks of, as the row has it, or what is wrong with it."""
    if row.current.recurrence_id is not None and instance == row.current.recurrence_id:
        return None, None  # the answer to a single date is that of its row
    is_date = instance is None or answered.is_date(row.current, instance)
    if row.current.recurrence_id is None and is_date:
        return instance, None
    return instance, _told(Outcome.UNKNOWN_INVITATION, f"{instance} is no date of this follow-up")


def is_closed(row: facts.Row, instance: Moment | None, now: datetime) -> bool:
    """Whether nothing can be answered any more."""
    return _closed(row, instance, now) is not None


def decide_seen(
    row: facts.Row, message_ids: Iterable[str], about: facts.Circumstances
) -> facts.Conclusion:
    """A read receipt. It counts for the latest letter of its row only (itip.md §2)."""
    letters = set(message_ids) & row.message_ids
    if letters and row.latest_message_id and row.latest_message_id not in letters:
        return _told(Outcome.UNCHANGED, "a read receipt for a letter that a newer one has replaced")
    closed = _closed(row, None, about.arrived)
    rule = facts.Rule("receipt", "a read receipt says that the letter was displayed (RFC 8098)")
    return closed or facts.Conclusion(
        Outcome.SEEN, "the letter was displayed", (rule,), effect=_seen(row, None, about)
    )


def attendee_of(
    row: facts.Row, component: read.Component, senders: Sequence[str]
) -> read.Attendee | None:
    """The ATTENDEE line that is the invitee's own, never another person's (RFC 5546 §3.2.3 wants
    exactly one line).
    """
    own = {row.address, *row.known}
    for addresses in (own, senders):
        for attendee in component.attendees:
            if address.among(attendee.address, addresses):
                return attendee
    # One line alone speaks of the invitee: under an alias that we do not know, or without any
    # address (Gnus).
    return component.attendees[0] if len(component.attendees) == 1 else None


def comment_of(component: read.Component, attendee: read.Attendee, remark: str = "") -> str:
    """The invitee's reason: the first of the places where clients put it that says anything."""
    places = ("\n".join(component.comments), attendee.comment, component.private_comment, remark)
    comments = (quoting.visible(place).strip() for place in places)
    return next((comment for comment in comments if comment), "")


def _one_each(
    row: facts.Row, components: Sequence[read.Component], about: facts.Circumstances
) -> list[read.Component]:
    """One component per date. Of two for the same date (Google's attachment names another guest)
    the one that names the invitee counts.
    """
    own = {row.address, *row.known, *about.senders}
    chosen = dict[str, read.Component]()
    for component in components:
        before = chosen.get(component.recurrence_id_text)
        if before is None or (_names(component, own) and not _names(before, own)):
            chosen[component.recurrence_id_text] = component
    return list(chosen.values())


def _names(component: read.Component, addresses: Iterable[str]) -> bool:
    """Whether one of the ATTENDEE lines has one of these addresses."""
    return any(address.among(attendee.address, addresses) for attendee in component.attendees)


def _ordered(
    row: facts.Row,
    instance: Moment | None,
    claimed: Reply,
    component: read.Component,
    about: facts.Circumstances,
    comment: str,
) -> facts.Conclusion:
    """Closed, old, overtaken, repeated or applied (itip.md §5, Order)."""
    closed = _closed(row, instance, about.arrived)
    if closed is not None:
        return replace(closed, claimed=claimed, comment=comment)
    edition = answered.sent_to(row)
    top, significant = editions.sequence(edition, instance)
    start = answered.start(edition, instance)
    if claimed is Reply.NEEDS_ACTION:
        return _undecided(row, instance, component, start, about, comment)
    sequence = component.sequence
    if sequence is None:
        # RFC 5546 §2.1.4: missing is 0. mutt-ical never writes it, so where 0 would be old the
        # current start shows what was meant.
        is_current = significant > 0 and moments.fits(
            edition, component.dtstart, start, about.offsets
        )
        sequence = top if is_current else 0
    if sequence < significant:
        rule = facts.Rule(
            "old_time",
            f"SEQUENCE {sequence} is from before the last move (SEQUENCE {significant}), "
            "as last sent to him (P7)",
        )
        return facts.Conclusion(
            Outcome.OLD_ANSWER,
            "answered the old time",
            (rule,),
            instance,
            claimed=claimed,
            comment=comment,
            ask_again=not about.automatic,
            deferred=_deferred(row, instance, claimed, component, about, comment),
        )
    stamp, source = _stamp(row, component.dtstamp, about.arrived)
    effect = Effect(
        row.participant,
        instance,
        claimed,
        comment,
        min(sequence, top),
        stamp,
        about.arrived,
        about.channel,
        about.speaker,
    )
    return _compared(standing_of(row, instance), effect, source)


def _deferred(
    row: facts.Row,
    instance: Moment | None,
    claimed: Reply,
    component: read.Component,
    about: facts.Circumstances,
    comment: str,
) -> Effect | None:
    """What an answer does to what the invitee holds, while a move of it waits and may still be
    undone.
    """
    if row.held is None or row.held is row.sent or instance is not None:
        return None
    top, significant = editions.sequence(row.held, None)
    sequence = component.sequence or 0
    if sequence < significant or claimed is Reply.DELEGATED:
        return None
    stamp, _ = _stamp(row, component.dtstamp, about.arrived)
    return Effect(
        row.participant,
        None,
        claimed,
        comment,
        min(sequence, top),
        stamp,
        about.arrived,
        about.channel,
        about.speaker,
    )


def _compared(standing: Standing, effect: Effect, source: facts.Rule) -> facts.Conclusion:
    """The answer against the last applied one: higher SEQUENCE, then newer DTSTAMP, then later
    arrival (RFC 5546 §2.1.5).
    """

    def concluded(
        outcome: Outcome, reason: str, rule: facts.Rule, effective: bool
    ) -> facts.Conclusion:
        return facts.Conclusion(
            outcome,
            reason,
            (source, rule),
            effect.instance,
            effect if effective else None,
            claimed=effect.reply,
            comment=effect.comment,
        )

    same = (standing.reply, standing.comment) == (effect.reply, effect.comment)
    if standing.sequence is not None and standing.dtstamp is not None:
        key = (effect.sequence, effect.dtstamp)
        last = (standing.sequence, standing.dtstamp)
        last_arrival = standing.arrived or standing.dtstamp
        if key < last or (key == last and effect.arrived < last_arrival):
            rule = facts.Rule(
                "overtaken", f"{_key(key)} is older than the answer applied last, {_key(last)}"
            )
            reason = "a later answer is already recorded"
            return concluded(Outcome.OLD_ANSWER, reason, rule, effective=False)
        if key == last and same:
            rule = facts.Rule(
                "same_key", f"{_key(key)} with the same words has been applied already"
            )
            # Its arrival counts, too: another answer of this key may have come between the two.
            return concluded(Outcome.DUPLICATE, "the same answer again", rule, effective=True)
        rule = facts.Rule(
            "newer", f"{_key(key)} is newer than the answer applied last, {_key(last)} (P8)"
        )
    else:
        rule = facts.Rule(
            "first", f"the first answer of this row, {_key((effect.sequence, effect.dtstamp))}"
        )
    if same and standing.seen:
        return concluded(Outcome.UNCHANGED, "the same answer as before", rule, effective=True)
    word = effect.reply.value if effect.reply is not None else ""
    return concluded(Outcome.APPLIED, word, rule, effective=True)


def _undecided(
    row: facts.Row,
    instance: Moment | None,
    component: read.Component,
    start: Moment | None,
    about: facts.Circumstances,
    comment: str,
) -> facts.Conclusion:
    """NEEDS-ACTION changes nothing; with another DTSTART it is KMail's way to ask for another
    time.
    """
    edition = answered.sent_to(row)
    _, significant = editions.sequence(edition, instance)
    # KMail omits SEQUENCE at 0. In an answer from before the last move the other start is only the
    # old start: nobody wishes it back.
    is_current = (component.sequence or 0) >= significant
    has_start = component.dtstart is not None and start is not None
    same_start = moments.fits(edition, component.dtstart, start, about.offsets)
    if is_current and has_start and not same_start:
        rule = facts.Rule(
            "reply_as_counter",
            "PARTSTAT=NEEDS-ACTION with another DTSTART: a proposal at most (KMail)",
        )
        return facts.Conclusion(
            Outcome.PROPOSAL,
            "asks for another time",
            (rule,),
            instance,
            _seen(row, instance, about),
            Reply.NEEDS_ACTION,
            comment,
            proposal=_proposal(row, component.dtstart, component, about, comment),
        )
    rule = facts.Rule("needs_action", "PARTSTAT=NEEDS-ACTION answers nothing")
    return facts.Conclusion(
        Outcome.UNCHANGED,
        "has not answered yet",
        (rule,),
        instance,
        claimed=Reply.NEEDS_ACTION,
        comment=comment,
    )


def _closed(row: facts.Row, instance: Moment | None, arrived: datetime) -> facts.Conclusion | None:
    """Cancelled, removed or over when the answer reached the mailbox: recorded, and nothing is
    resurrected (P10).
    """
    reason = _closed_because(row, instance, arrived)
    if not reason:
        return None
    rule = facts.Rule("closed", f"{reason}: recorded, nothing changes")
    return facts.Conclusion(Outcome.CLOSED, reason, (rule,), instance)


def _closed_because(row: facts.Row, instance: Moment | None, arrived: datetime) -> str:
    """Why nothing can be answered any more; "" where it can."""
    if row.removed:
        return "he is no longer a participant"
    if row.current.cancelled or row.standing.cancelled:
        return "the follow-up is cancelled"
    if instance is not None and _is_cancelled(row, instance):
        return "this date is cancelled"
    if row.role in (Role.OWNER, Role.RESOURCE):
        return f"the row of the {row.role.value} is never asked"
    if instance is None:
        end = recurrence.last_end(row.current)
        return "the follow-up is over" if end is not None and end <= arrived else ""
    end = recurrence.end_of(row.current, instance)
    return "this date is over" if end is not None and end <= arrived else ""


def _is_cancelled(row: facts.Row, instance: Moment) -> bool:
    """Whether a date was cancelled for everybody, or for this row."""
    for_all = editions.is_cancelled(row.current, instance)
    return for_all or standing_of(row, instance).cancelled


def _stamp(
    row: facts.Row, dtstamp: datetime | None, arrived: datetime
) -> tuple[datetime, facts.Rule]:
    """The time part of an answer's key. Arrival stands in for a DTSTAMP that cannot be the sender's
    own.
    """
    if dtstamp is None:
        return arrived, facts.Rule(
            "dtstamp_missing", "DTSTAMP is missing or unreadable: arrival stands in"
        )
    # A store that was restored may have sent its letters again after an answer came.
    before = [stamp for stamp in row.sent_dtstamps if stamp <= arrived]
    if dtstamp < min(before, default=EARLIEST) - SLOW:
        return arrived, facts.Rule(
            "dtstamp_early", "DTSTAMP lies long before our first letter: arrival stands in"
        )
    if dtstamp in row.sent_dtstamps:
        return arrived, facts.Rule(
            "dtstamp_echoed", "DTSTAMP is that of our own letter (SOGo): arrival stands in"
        )
    if dtstamp > arrived + CLOCK_TOLERANCE:
        return arrived, facts.Rule(
            "dtstamp_future", "DTSTAMP lies in the future: arrival stands in"
        )
    return dtstamp, facts.Rule("dtstamp", f"DTSTAMP {dtstamp:%Y-%m-%d %H:%M:%S} orders the answer")


def _seen(row: facts.Row, instance: Moment | None, about: facts.Circumstances) -> Effect:
    return Effect(
        row.participant,
        instance,
        None,
        "",
        0,
        about.arrived,
        about.arrived,
        about.channel,
        about.speaker,
    )


def _proposal(
    row: facts.Row,
    start: read.When | None,
    component: read.Component,
    about: facts.Circumstances,
    comment: str,
) -> facts.Proposal | None:
    zone = row.current.timezone
    begins = moments.first_reading(start, zone, about.offsets)
    if begins is None:
        return None
    ends = None
    if start == component.dtstart:
        ends = moments.first_reading(component.dtend, zone, about.offsets)
    if ends is None and component.duration is not None:
        ends = begins + component.duration
    sequence = min(component.sequence or 0, answered.sent_to(row).sequence)
    return facts.Proposal(begins, ends, comment, sequence=sequence)


def _delegated(
    row: facts.Row,
    component: read.Component,
    attendee: read.Attendee,
    about: facts.Circumstances,
    conclusion: facts.Conclusion,
) -> facts.Conclusion:
    """The invitee delegated to DELEGATED-TO, or without it to those who name the invitee in
    DELEGATED-FROM (RFC 5546 §3.2.2.3). Never the organizer, us, or the invitee.
    """
    own = {row.address, *row.known}
    deputies = attendee.delegated_to or _deputies(component, own)
    refused = [
        deputy
        for deputy in deputies
        if address.is_ours(deputy, about.mailboxes)
        or address.same(deputy, component.organizer)
        or address.among(deputy, own)
    ]
    invited = tuple(deputy for deputy in deputies if deputy not in refused)
    text = f"delegated to {', '.join(deputies) or 'nobody named'}"
    if refused:
        text += f"; {', '.join(refused)} cannot be invited"
    rule = facts.Rule("delegated", text)
    return replace(
        conclusion,
        outcome=Outcome.DELEGATED,
        reason=rule.text,
        rules=(*conclusion.rules, rule),
        delegates=invited[:1],  # one per row (itip.md §4)
    )


def _deputies(component: read.Component, givers: Iterable[str]) -> tuple[str, ...]:
    """Those of the ATTENDEEs whose DELEGATED-FROM names one of these addresses."""
    return tuple(
        attendee.address
        for attendee in component.attendees
        if any(address.among(giver, givers) for giver in attendee.delegated_from)
    )


def _after(row: facts.Row, effect: Effect) -> facts.Row:
    changed = status.apply(standing_of(row, effect.instance), effect)
    if effect.instance is None:
        return replace(row, standing=changed)
    return replace(row, date_standings={**row.date_standings, effect.instance: changed})


def _told(
    outcome: Outcome,
    reason: str,
    *rules: facts.Rule,
    claimed: Reply | None = None,
    comment: str = "",
    ask_again: bool = False,
) -> facts.Conclusion:
    return facts.Conclusion(
        outcome,
        reason,
        rules or (facts.Rule(outcome.value, reason),),
        claimed=claimed,
        comment=comment,
        ask_again=ask_again,
    )


def _key(key: tuple[int, datetime]) -> str:
    return f"(SEQUENCE {key[0]}, {key[1]:%Y-%m-%d %H:%M:%S})"
