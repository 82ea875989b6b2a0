"""What mail does this change owe whom: what each invitee should hold, against what he was last
sent.

Pure. Source: itip.md §1-§2, RFC 5546 §2.1.4 (SEQUENCE), §3.2.2 (REQUEST), §3.2.5 (CANCEL). The
planner compares levels, not events: it may run at any time, any number of times, after a crash or a
change by anybody, and owes the same letters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway import status
from gateway.followups import recurrence
from gateway.itip import changes, editions, numbering, owing, reminders
from gateway.itip.changes import Change
from gateway.mail import address
from gateway.model import NO_REMARKS, Edition, Method, Moment, Occasion, Remarks, Reply, Standing

SERIES = changes.SERIES


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from one look at one follow-up. `edition` None: the follow-up is
    gone.

    `let_go`: copies as they are from now on without a letter: the last one was refused and is owed
    no more, or what is held at that address is another row's.
    """

    edition: Edition | None
    changes: tuple[Change, ...] = ()
    owed: tuple[owing.Owed, ...] = ()
    superseded: tuple[int, ...] = ()
    notes: Mapping[int, str] = field(default_factory=dict)
    let_go: tuple[owing.Copy, ...] = ()


NO_ACCOUNT = "no mail account is configured"
NO_ADDRESS = "no valid e-mail address"
OWN_MAILBOX = "a mailbox of this gateway: no letter"
ORGANIZER = "the organizer's own address: no letter"
SUSPENDED = frozenset({NO_ADDRESS, OWN_MAILBOX, ORGANIZER})
"""Notes of a row that no mail can go to. Its switch keeps the wish (domain.md §3)."""
UNREADABLE = "cannot be read: "
NO_DATE = "no date of the series begins then: no letter"
COVERED = "invited to the whole series: no letter about this date"
TWICE = "invited at this address by another row: no letter"


def suspends(note: str) -> bool:
    """Whether a row that says so has a switch without effect."""
    return note in SUSPENDED or note.startswith(UNREADABLE)


def plan(
    wanted: Edition | None,
    known: Edition | None,
    invitees: Sequence[owing.Invitee],
    copies: Sequence[owing.Copy],
    now: datetime,
    *,
    account: bool,
    floor: int = 0,
) -> Plan:
    """What is owed for one follow-up.

    `wanted`: the follow-up as it stands now, its `sequence` that of the import for a new one,
    otherwise ignored; None when it is gone. `known`: the edition that the planner saw last.
    `copies`: every invitation ever made for it, of removed rows too. `account`: whether there is a
    mail account to send from. `floor`: nothing leaves with a lower SEQUENCE, because the store was
    restored and invitees may hold letters that it does not know.
    """
    edition = _lifted(editions.following(wanted, known), floor)
    wanting = _wanting(invitees, editions.Views(edition), copies)
    changed, invitees = changes.standings_of(edition, known, invitees, wanting, copies)
    if edition is not None:
        edition = owing.listed(
            edition, invitees
        )  # with the answers as this very change leaves them
    if not account:
        return Plan(
            edition,
            changed,
            notes={one.participant: NO_ACCOUNT for one in invitees if one.email_invite},
        )
    owed, superseded, notes = list[owing.Owed](), list[int](), owing.warned(edition, invitees)
    by_participant, dates, views = (
        {one.participant: one for one in invitees},
        _Dates(edition),
        editions.Views(edition),
    )
    wanting = _wanting(invitees, views, copies)
    taken = {(address.key(one.address), one.date) for one in invitees if one.participant in wanting}
    kept = {
        (by_participant[one.participant].address.lower(), own.uid, own.recurrence_id)
        for one in copies
        if (own := wanting.get(one.participant)) is not None
        and one.method is Method.REQUEST
        and one.edition is not None
        and _entry(one, one.edition)
        == (address.key(by_participant[one.participant].address), own.uid, own.recurrence_id)
    }
    suspended = _suspended(invitees, views, copies)
    reached, let_go = set[int](), list[owing.Copy]()
    for one in copies:
        invitee, stands = by_participant.get(one.participant), False
        if (
            invitee is not None
            and (own := wanting.get(one.participant)) is not None
            and _same(invitee.address, one.address)
        ):
            reached.add(one.participant)
            # Of the same follow-up, but he is invited to something else now.
            others = [each for each in one.may_hold if each.recurrence_id != invitee.date]
            if stands := not others and _refused(own, invitee, one, dates, now):
                letters = []
            else:
                letters = [
                    *_cancels(views, one, others, now, _reply(invitee), floor),
                    *_requests(own, invitee, one, dates, now),
                ]
        elif one.may_hold and all(_entry(one, each) in kept for each in one.may_hold):
            letters = []  # to take it back would take it away from the other row
            let_go.append(replace(one, method=Method.CANCEL))
        elif one.participant in suspended and (
            one.tried is not None or suspended[one.participant] == one.invitation
        ):  # what was refused stays so, too
            letters, stands = [], True
        else:
            taken_back = [each for each in one.may_hold if _entry(one, each) not in kept]
            letters = _cancels(views, one, taken_back, now, _reply(invitee), floor)
        if past := [
            letter
            for letter in letters
            if owing.pointless(letter.edition, letter.before, letter.instance, now)
        ]:
            letters = _without(letters, past)
            if past[0].instance is not None or not letters:
                notes[one.participant] = owing.why_not(past[0].edition, past[0].instance)
            if past[0].instance is None and not letters:
                running = [each for each in one.may_hold if not recurrence.over(each, now)]
                letters = _cancels(views, one, running, now, _reply(invitee), floor)
        new, replaced = _against_queue(one, letters, now)
        owed += new
        superseded += replaced
        let_go += [one] if one.tried is not None and not stands and not letters else []
    for invitee in invitees:
        if invitee.participant in reached or (own := wanting.get(invitee.participant)) is None:
            continue
        letter = _request(own, invitee, None, dates, now)
        if not owing.pointless(letter.edition, None, None, now):
            owed.append(letter)
        else:
            notes[invitee.participant] = owing.why_not(letter.edition, None)
    notes |= {
        one.participant: TWICE if (address.key(one.address), one.date) in taken else COVERED
        for one in invitees
        if one.participant not in wanting and _wants(views.of(one.date), one)
    }
    notes |= {
        one.participant: NO_DATE
        for one in invitees
        if one.email_invite and not one.removed and _nowhere(edition, one.date)
    }
    notes |= {
        one.participant: one.unreachable or NO_ADDRESS
        for one in invitees
        if one.email_invite and not one.address and not one.removed
    }
    edition, numbered = numbering.number(edition, owed, copies)
    return Plan(
        edition,
        changed,
        tuple(map(owing.assigned, numbering.stamp(numbered, copies))),
        tuple(superseded),
        notes,
        tuple(let_go),
    )


def _lifted(edition: Edition | None, floor: int) -> Edition | None:
    """With a counter of `floor` at least, its components in the order they have. What was
    significant keeps its SEQUENCE: after a restore the first move is most often one that was sent
    before, and the answers to it count.
    """
    if edition is None or editions.counter(edition) >= floor:
        return edition
    return replace(
        edition,
        sequence=edition.sequence + floor,
        date_sequences=tuple(
            (original, own + floor, significant)
            for original, own, significant in edition.date_sequences
        ),
    )


def _wanting(
    invitees: Sequence[owing.Invitee], views: editions.Views, copies: Sequence[owing.Copy]
) -> dict[int, Edition]:
    """The rows that should hold an invitation now, and to what. Whoever is invited to all of it is
    not invited to a date as well.

    A calendar has one entry of a UID, so of several rows with one address one is invited: the one
    that is already, else the first.
    """
    found = {
        one.participant: (one, view)
        for one in invitees
        if _wants(view := views.of(one.date), one) and view is not None
    }
    whole = {address.key(one.address) for one, _ in found.values() if one.date is None}
    holding, first = (
        {
            (one.participant, *_entry(one, one.edition))
            for one in copies
            if one.method is Method.REQUEST and one.edition is not None
        },
        dict[tuple[str, str, Moment | None], int](),
    )
    entries = {
        number: (address.key(one.address), view.uid, one.date)
        for number, (one, view) in found.items()
    }
    for number in sorted(found, key=lambda one: ((one, *entries[one]) not in holding, one)):
        first.setdefault(entries[number], number)
    return {
        number: view
        for number, (one, view) in found.items()
        if first[entries[number]] == number
        and (one.date is None or address.key(one.address) not in whole)
    }


def _entry(copy: owing.Copy, edition: Edition) -> tuple[str, str, Moment | None]:
    """What somebody has in a calendar: at this address, of this UID, all of it or one date."""
    return address.key(copy.address), edition.uid, edition.recurrence_id


def _wants(edition: Edition | None, invitee: owing.Invitee) -> bool:
    """Whether this row should hold an invitation to it, by itself."""
    return _is_on(edition, invitee) and bool(invitee.address)


def _is_on(edition: Edition | None, invitee: owing.Invitee) -> bool:
    """Whether the row's switch is on for something that stands."""
    return (
        edition is not None
        and not edition.cancelled
        and invitee.email_invite
        and not invitee.removed
        and invitee.role not in status.FIXED
    )


def _suspended(
    invitees: Sequence[owing.Invitee], views: editions.Views, copies: Sequence[owing.Copy]
) -> dict[int, int | None]:
    """Rows with the switch on that no mail can go to → the invitation that they keep: a typo in an
    address card takes no meeting away (domain.md §3). None: they hold none.

    What their former addresses hold is taken back, and so is what a former holder of the row has,
    or what is of another UID.
    """
    suspended = dict[int, int | None]()
    for invitee in invitees:
        own = views.of(invitee.date)
        if own is None or invitee.address or invitee.other or not _is_on(own, invitee):
            continue
        kept = [
            copy
            for copy in copies
            if copy.participant == invitee.participant
            and not copy.refused
            and copy.method is Method.REQUEST
            and copy.edition is not None
            and copy.edition.uid == own.uid
        ]
        last = max(kept, key=lambda copy: (copy.counts, copy.invitation), default=None)
        suspended[invitee.participant] = last.invitation if last is not None else None
    return suspended


class _Dates:
    """Letters about single dates, from what somebody holds to what is; made once for all who hold
    the same.
    """

    def __init__(self, edition: Edition | None) -> None:
        self.edition = edition
        self.own = editions.own_dates(edition) if edition is not None else []
        self.made = dict[int, tuple[Edition, list[tuple[Moment, Edition, Edition]]]]()

    def between(self, held: Edition) -> list[tuple[Moment, Edition, Edition]]:
        """(date, what he holds before, and after its letter), in the order of their SEQUENCEs; each
        step changes one date.
        """
        assert self.edition is not None
        known = self.made.get(id(held))
        if known is None:
            steps, before = list[tuple[Moment, Edition, Edition]](), held
            changed, to = editions.changed_dates(held, self.edition), self.edition
            for original in sorted(
                changed, key=lambda one: (editions.sequence(to, one)[0], str(one))
            ):
                after = editions.with_date(before, to, original)
                steps.append((original, before, after))
                before = after
            known = self.made[id(held)] = held, steps
        return known[1]


def _requests(
    wanted: Edition, invitee: owing.Invitee, copy: owing.Copy, dates: _Dates, now: datetime
) -> list[owing.Owed]:
    """What brings a copy up to date, whichever he holds of what may have arrived."""
    letters = _updates(wanted, invitee, copy, dates, now)
    told = {one.instance for one in letters}
    for doubt in copy.doubts:
        other = replace(copy, method=doubt.method, edition=doubt.edition, again=False, queued=())
        lacking = {one.instance for one in _updates(wanted, invitee, other, dates, now)}
        if None not in told and not lacking <= told:
            holds = _holds(copy, invitee)
            return [_request(_for_him(wanted, holds, invitee), invitee, copy, dates, now)]
    return letters


def _holds(copy: owing.Copy, invitee: owing.Invitee) -> Edition | None:
    """What he holds of what he is invited to."""
    if copy.method is not Method.REQUEST or copy.edition is None:
        return None
    return copy.edition if copy.edition.recurrence_id == invitee.date else None


def _updates(
    wanted: Edition, invitee: owing.Invitee, copy: owing.Copy, dates: _Dates, now: datetime
) -> list[owing.Owed]:
    """What brings a copy up to date: one letter about all of it, or one for each date that changed
    by itself (P11).
    """
    holds = _holds(copy, invitee)
    edition = _for_him(wanted, holds, invitee)
    urged = (
        holds is not None and _reply(invitee) is Reply.NEEDS_ACTION and _urges(holds, edition, now)
    )
    if holds is not None and edition.recurrence is None and _lost_nothing(invitee, holds):
        holds = replace(
            holds, significant=edition.significant
        )  # moved and moved back before he was told: he lost no answer by it
    if (
        holds is None
        or (copy.again and copy.again_instance is None)
        or urged
        or editions.whole_differs(holds, edition)
    ):
        return [_request(edition, invitee, copy, dates, now)]
    steps, again = dates.between(holds) if edition.recurrence_id is None else [], _again(copy)
    last = steps[-1][-1] if steps else holds
    steps = [
        *steps,
        *(
            (date, last, last)
            for date in again
            if all(date != one for one, *_ in steps) and editions.takes_place(last, date)
        ),
    ]
    return [
        owing.Owed(
            Method.REQUEST if editions.takes_place(after, date) else Method.CANCEL,
            invitee.participant,
            copy.invitation,
            invitee,
            after,
            before,
            editions.sequence(after, date)[0],
            owing.next_dtstamp(copy.top_dtstamp, now),
            _reply(invitee, date),
            instance=date,
            remarks=Remarks(Occasion.OLD_ANSWER) if date in again else NO_REMARKS,
        )
        for date, before, after in steps
    ]


def _lost_nothing(invitee: owing.Invitee, holds: Edition) -> bool:
    """Whether nothing that he has not been told took away what he said, if he said anything."""
    return invitee.standings.get(SERIES, Standing()).asked <= holds.significant


def _refused(
    wanted: Edition, invitee: owing.Invitee, copy: owing.Copy, dates: _Dates, now: datetime
) -> bool:
    """Whether what he should hold is just what was refused for good: nothing more is owed until
    that changes.
    """
    if copy.tried is None or copy.tried.recurrence_id != wanted.recurrence_id:
        return False
    return not _requests(
        wanted, invitee, replace(copy, method=Method.REQUEST, edition=copy.tried), dates, now
    )


def _urges(before: Edition, after: Edition, now: datetime) -> bool:
    """Whether an answer is wanted by another time than was said. It concerns who has given none,
    while there is time; nobody else.
    """
    return before.answer_by != after.answer_by and reminders.wanted_by(
        before, now
    ) != reminders.wanted_by(after, now)


def _again(copy: owing.Copy) -> list[Moment]:
    """The dates that he is to be asked about once more, those of letters that wait among them."""
    asked = [copy.again_instance] if copy.again else []
    asked += [
        one.instance
        for one in copy.queued
        if one.before is not None and not editions.differs(one.before, one.edition)
    ]
    return list(dict.fromkeys(one for one in asked if one is not None))


def _for_him(edition: Edition, holds: Edition | None, invitee: owing.Invitee) -> Edition:
    """What is raised for the rest of a series asks nobody again who is invited to one date that
    stays as it was.
    """
    if edition.recurrence_id is None:
        return edition
    asked = invitee.standings.get(SERIES, Standing()).asked
    is_new = (
        holds is None
        or holds.recurrence_id != edition.recurrence_id
        or editions.asks_again(holds, edition)
    )
    return replace(
        edition,
        significant=max(
            asked, edition.significant if is_new or holds is None else holds.significant
        ),
    )


def _nowhere(edition: Edition | None, date: Moment | None) -> bool:
    """Whether somebody is invited to a date that the series does not have and that nobody
    cancelled.
    """
    return (
        edition is not None
        and date is not None
        and not edition.cancelled
        and not editions.takes_place(edition, date)
        and date not in editions.named_dates(edition)
    )


def _request(
    edition: Edition, invitee: owing.Invitee, copy: owing.Copy | None, dates: _Dates, now: datetime
) -> owing.Owed:
    before = None
    if (
        copy is not None
        and copy.edition is not None
        and (copy.edition.uid, copy.edition.recurrence_id) == (edition.uid, edition.recurrence_id)
    ):
        # After a cancellation it tells that the follow-up takes place after all; a withdrawal left
        # nothing to compare with.
        before = copy.edition if copy.method is Method.REQUEST or copy.edition.cancelled else None
    return owing.Owed(
        Method.REQUEST,
        invitee.participant,
        copy.invitation if copy else None,
        invitee,
        edition,
        before,
        edition.sequence,
        owing.next_dtstamp(copy.top_dtstamp if copy else None, now),
        _reply(invitee),
        remarks=_remarks(invitee, copy, dates),
    )


def _remarks(invitee: owing.Invitee, copy: owing.Copy | None, dates: _Dates) -> Remarks:
    occasion = copy.because if copy is not None and copy.again else Occasion.PLANNED
    series = _reply(invitee)
    told = ((date, _reply(invitee, date)) for date in dates.own if date in invitee.standings)
    return Remarks(
        occasion,
        invitee.delegated_from,
        invitee.delegated_to if series is Reply.DELEGATED else None,
        date_replies=tuple((date, reply) for date, reply in told if reply is not series),
    )


def _cancels(
    views: editions.Views,
    copy: owing.Copy,
    taken_back: Sequence[Edition],
    now: datetime,
    reply: Reply,
    floor: int,
) -> list[owing.Owed]:
    """Take these back of what was sent. `Copy.may_hold` has nothing that never arrived (itip.md
    §3).
    """
    return [_cancel(views, copy, held, now, reply, floor) for held in taken_back]


def _cancel(
    views: editions.Views,
    copy: owing.Copy,
    held: Edition,
    now: datetime,
    reply: Reply,
    floor: int,
) -> owing.Owed:
    taken = views.of(held.recurrence_id)
    # What waits may tell the last that was said of it before it was deleted, or its date went with
    # the end of the series.
    why = next(
        (
            one.edition.cancel_reason
            for one in copy.queued
            if one.method is Method.CANCEL and one.instance is None
        ),
        "",
    )
    if taken is None or taken.uid != held.uid:
        # Gone, or deleted and made anew under the same key: what he holds is cancelled, by its own
        # UID.
        taken = replace(held, cancelled=True, cancel_reason=why if taken is None else "")
    elif _nowhere(views.edition, held.recurrence_id):
        taken = replace(taken, cancel_reason=why)
    return owing.Owed(
        Method.CANCEL,
        copy.participant,
        copy.invitation,
        None,
        taken,
        held,
        max(editions.counter(taken), copy.top_sequence + 1, floor),
        owing.next_dtstamp(copy.top_dtstamp, now),
        reply,
        withdrawn=not taken.cancelled,
    )


def _without(letters: Sequence[owing.Owed], past: Sequence[owing.Owed]) -> list[owing.Owed]:
    """The letters that are left, each about its own date only: what a past one would have told
    stays untold.
    """
    left = list[owing.Owed]()
    for letter in letters:
        if letter in past:
            continue
        before = left[-1].edition if left else letters[0].before
        if letter.instance is not None and before is not None:
            letter = replace(
                letter,
                before=before,
                edition=editions.with_date(before, letter.edition, letter.instance),
            )
        left.append(letter)
    return left


def _against_queue(
    copy: owing.Copy, letters: Sequence[owing.Owed], now: datetime
) -> tuple[list[owing.Owed], list[int]]:
    """The letters that are really new, and the numbers of the waiting ones that they replace.

    A waiting letter that already says what is owed stays; so does one that may have left and is
    repeated, unless a newer one says all that it says: about everything, or about the same date.
    """
    queue, left = list(copy.queued), list(letters)
    if (
        queue
        and _is_repeat(queue[0], copy, now)
        and not any(_covers(one, queue[0]) for one in left)
    ):
        queue.pop(0)
    replaced = list[owing.Queued]()
    for queued in queue:
        if left and _says(queued, left[0]):
            left.pop(0)
        else:
            replaced.append(queued)
    if left:
        left[0] = _inherit(left[0], replaced)
    return left, [one.letter for one in replaced]


def _covers(letter: owing.Owed, queued: owing.Queued) -> bool:
    """Whether whoever gets this letter needs that one no more."""
    return letter.instance in (None, queued.instance) and _same_entry(letter, queued)


def _same_entry(letter: owing.Owed, queued: owing.Queued) -> bool:
    """Whether they are about the same entry of a calendar: of one follow-up, and of it the same
    date or all.
    """
    one, other = letter.edition, queued.edition
    return (one.uid, one.recurrence_id) == (other.uid, other.recurrence_id)


def _is_repeat(queued: owing.Queued, copy: owing.Copy, now: datetime) -> bool:
    """It counts as sent, or says once more what the copy holds."""
    method = Method.REQUEST if queued.instance is not None else queued.method
    return (
        method is copy.method
        and copy.edition is not None
        and not editions.differs(queued.edition, copy.edition)
        and not (queued.reply is Reply.NEEDS_ACTION and _urges(copy.edition, queued.edition, now))
    )


def _says(queued: owing.Queued, letter: owing.Owed) -> bool:
    if queued.method is not letter.method or queued.instance != letter.instance:
        return False
    if not _same_entry(letter, queued):
        return False
    if letter.withdrawn:
        # It takes back what he holds, whatever became of the follow-up since. With a new SEQUENCE
        # it would stand above the REQUEST at his new address, and both may end in one calendar.
        return not queued.edition.cancelled
    return (
        not editions.differs(queued.edition, letter.edition)
        and (queued.reply is letter.reply or queued.tries > 0)
        and (
            letter.reply is not Reply.NEEDS_ACTION
            or queued.edition.answer_by == letter.edition.answer_by
        )
        and editions.cancel_reason(queued.edition, queued.instance)
        == editions.cancel_reason(letter.edition, letter.instance)
    )


def _inherit(letter: owing.Owed, replaced: Sequence[owing.Queued]) -> owing.Owed:
    """A letter that replaces one that never arrived says what changed since the last one that
    did.
    """
    untold = next(
        (
            queue
            for queue in replaced
            if queue.tries > 0
            and (queue.method, queue.instance) == (letter.method, letter.instance)
            and _same_entry(letter, queue)
        ),
        None,
    )
    return replace(letter, before=untold.before) if untold is not None else letter


def _reply(invitee: owing.Invitee | None, instance: Moment | None = SERIES) -> Reply:
    """What a letter shows as his answer; a date without one of its own shares the series'."""
    if invitee is None:
        return Reply.NEEDS_ACTION
    series = invitee.standings.get(SERIES, Standing())
    return invitee.standings.get(instance, series).reply


def _same(one: str, other: str) -> bool:
    return address.key(one) == address.key(other)
