"""The letters of a plan: which bring one copy up to date, which take it back, and what each of them
says.

Pure. Source: itip.md §1-§3, RFC 5546 §3.2.2 (REQUEST), §3.2.5 (CANCEL). Their SEQUENCEs are
`numbering`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.followups import editions
from gateway.invite import owing, reminders
from gateway.invite.changes import SERIES
from gateway.model import NO_REMARKS, Edition, Method, Moment, Occasion, Remarks, Reply, Standing


@dataclass(frozen=True, slots=True)
class DateStep:
    """What a letter about one date changes: the series as it is held before it, and after."""

    date: Moment
    before: Edition
    after: Edition


class Writer:
    """Writes what one look at a follow-up owes. The steps from what an invitee holds to what is now
    are made once for all who hold the same.

    `floor`: no CANCEL leaves with a lower SEQUENCE.
    """

    def __init__(self, edition: Edition | None, now: datetime, floor: int) -> None:
        self.edition = edition
        self.views = editions.Views(edition)
        self.own_dates = editions.own_dates(edition) if edition is not None else []
        self.now = now
        self.floor = floor
        self._steps = dict[int, tuple[Edition, list[DateStep]]]()

    def invitation(
        self, edition: Edition, invitee: owing.Invitee, copy: owing.Copy | None = None
    ) -> owing.Owed:
        """A REQUEST about all that the invitee is invited to. No copy: there is none yet at this
        address.
        """
        return owing.Owed(
            Method.REQUEST,
            invitee.participant,
            copy.invitation if copy else None,
            invitee,
            edition,
            _compared_with(edition, copy),
            edition.sequence,
            owing.next_dtstamp(copy.top_dtstamp if copy else None, self.now),
            shown_reply(invitee),
            remarks=self._remarks(invitee, copy),
        )

    def updates(
        self, target: Edition, invitee: owing.Invitee, copy: owing.Copy
    ) -> list[owing.Owed]:
        """What brings a copy up to date, whichever the invitee holds of what may have arrived."""
        letters = self._updates(target, invitee, copy)
        about = {letter.instance for letter in letters}
        if SERIES in about:
            return letters
        for doubt in copy.doubts:
            as_doubted = replace(
                copy, method=doubt.method, edition=doubt.edition, again=False, queued=()
            )
            lacking = {letter.instance for letter in self._updates(target, invitee, as_doubted)}
            if not lacking <= about:
                edition = _for_invitee(target, _holds(copy, invitee), invitee)
                return [self.invitation(edition, invitee, copy)]
        return letters

    def is_refused(self, target: Edition, invitee: owing.Invitee, copy: owing.Copy) -> bool:
        """Whether what the invitee should hold is just what was refused for good: nothing more is
        owed until that changes.
        """
        if copy.tried is None or copy.tried.recurrence_id != target.recurrence_id:
            return False
        as_if_arrived = replace(copy, method=Method.REQUEST, edition=copy.tried)
        return not self.updates(target, invitee, as_if_arrived)

    def cancels(
        self, copy: owing.Copy, taken_back: Sequence[Edition], invitee: owing.Invitee | None
    ) -> list[owing.Owed]:
        """Take these back of what was sent. `Copy.may_hold` has nothing that never arrived (itip.md
        §3).
        """
        return [self._cancel(copy, edition, invitee) for edition in taken_back]

    def _updates(
        self, target: Edition, invitee: owing.Invitee, copy: owing.Copy
    ) -> list[owing.Owed]:
        """One letter about all of it, or one for each date that changed by itself (P11)."""
        holds = _holds(copy, invitee)
        edition = _for_invitee(target, holds, invitee)
        holds = _as_asked(holds, edition, invitee)
        if holds is None or self._concerns_all(holds, edition, invitee, copy):
            return [self.invitation(edition, invitee, copy)]
        dates_again = _dates_again(copy)
        steps = self._changed_steps(holds) if edition.recurrence_id is None else []
        return [
            self._about_date(step, invitee, copy, again=step.date in dates_again)
            for step in [*steps, *_unchanged_steps(steps, holds, dates_again)]
        ]

    def _concerns_all(
        self, holds: Edition, edition: Edition, invitee: owing.Invitee, copy: owing.Copy
    ) -> bool:
        """Whether a letter is owed about all of it, not about single dates."""
        is_asked_again = copy.again and copy.again_instance is None
        is_overtaken = holds.sequence <= copy.above
        is_urged = shown_reply(invitee) is Reply.NEEDS_ACTION and reminders.urges(
            holds, edition, self.now
        )
        is_older = is_overtaken or editions.whole_differs(holds, edition)
        return is_asked_again or is_urged or is_older

    def _changed_steps(self, holds: Edition) -> list[DateStep]:
        """A step for each date that changed, in the order of their SEQUENCEs."""
        assert self.edition is not None
        steps = self._steps.get(id(holds))
        if steps is None:
            steps = self._steps[id(holds)] = holds, _steps(holds, self.edition)
        return steps[1]

    def _about_date(
        self, step: DateStep, invitee: owing.Invitee, copy: owing.Copy, *, again: bool
    ) -> owing.Owed:
        """A letter about one date of a series: as it stands now, or cancelled."""
        stands = editions.takes_place(step.after, step.date)
        sequence, _ = editions.sequence(step.after, step.date)
        return owing.Owed(
            Method.REQUEST if stands else Method.CANCEL,
            invitee.participant,
            copy.invitation,
            invitee,
            step.after,
            step.before,
            sequence,
            owing.next_dtstamp(copy.top_dtstamp, self.now),
            shown_reply(invitee, step.date),
            instance=step.date,
            remarks=Remarks(Occasion.OLD_ANSWER) if again else NO_REMARKS,
        )

    def _cancel(
        self, copy: owing.Copy, holds: Edition, invitee: owing.Invitee | None
    ) -> owing.Owed:
        shown = self._cancelled(copy, holds)
        return owing.Owed(
            Method.CANCEL,
            copy.participant,
            copy.invitation,
            None,
            shown,
            holds,
            max(editions.counter(shown), copy.top_sequence + 1, self.floor),
            owing.next_dtstamp(copy.top_dtstamp, self.now),
            shown_reply(invitee),
            withdrawn=not shown.cancelled,
        )

    def _cancelled(self, copy: owing.Copy, holds: Edition) -> Edition:
        """What a CANCEL shows of what is taken back."""
        stands = self.views.of(holds.recurrence_id)
        if stands is None:
            return replace(holds, cancelled=True, cancel_reason=_last_reason(copy))
        if stands.uid != holds.uid:
            # Deleted and made anew under the same key: what is held is cancelled by its own UID.
            return replace(holds, cancelled=True, cancel_reason="")
        if editions.lacks_date(self.edition, holds.recurrence_id):
            return replace(stands, cancel_reason=_last_reason(copy))
        return stands

    def _remarks(self, invitee: owing.Invitee, copy: owing.Copy | None) -> Remarks:
        series = shown_reply(invitee)
        dates = [date for date in self.own_dates if date in invitee.standings]
        replies = [(date, shown_reply(invitee, date)) for date in dates]
        return Remarks(
            copy.because if copy is not None and copy.again else Occasion.PLANNED,
            invitee.delegated_from,
            invitee.delegated_to if series is Reply.DELEGATED else None,
            date_replies=tuple((date, reply) for date, reply in replies if reply is not series),
        )


def shown_reply(invitee: owing.Invitee | None, instance: Moment | None = SERIES) -> Reply:
    """What a letter shows as the invitee's answer; a date without one of its own shares the
    series'.
    """
    if invitee is None:
        return Reply.NEEDS_ACTION
    series = invitee.standings.get(SERIES, Standing())
    return invitee.standings.get(instance, series).reply


def without(letters: Sequence[owing.Owed], past: Sequence[owing.Owed]) -> list[owing.Owed]:
    """The letters that are left, each about its own date only: what a past letter would have said
    stays unsaid.
    """
    remaining = list[owing.Owed]()
    for letter in letters:
        if letter in past:
            continue
        before = remaining[-1].edition if remaining else letters[0].before
        if letter.instance is not None and before is not None:
            after = editions.with_date(before, letter.edition, letter.instance)
            letter = replace(letter, before=before, edition=after)
        remaining.append(letter)
    return remaining


def _holds(copy: owing.Copy, invitee: owing.Invitee) -> Edition | None:
    """What the invitee holds of what the row is invited to."""
    if copy.method is not Method.REQUEST or copy.edition is None:
        return None
    return copy.edition if copy.edition.recurrence_id == invitee.date else None


def _for_invitee(edition: Edition, holds: Edition | None, invitee: owing.Invitee) -> Edition:
    """What is raised for the rest of a series does not ask an invitee of one date again where that
    date stays as it was.
    """
    if edition.recurrence_id is None:
        return edition
    is_the_same = (
        holds is not None
        and holds.recurrence_id == edition.recurrence_id
        and not editions.asks_again(holds, edition)
    )
    significant = holds.significant if holds is not None and is_the_same else edition.significant
    asked = invitee.standings.get(SERIES, Standing()).asked
    return replace(edition, significant=max(asked, significant))


def _as_asked(holds: Edition | None, edition: Edition, invitee: owing.Invitee) -> Edition | None:
    """What is held, as up to date as the answer: a meeting that was moved, and moved back before
    the invitee was told, took no answer away.
    """
    if holds is None or edition.recurrence is not None:
        return holds
    if holds.significant == edition.significant:
        return holds
    lost_answer = invitee.standings.get(SERIES, Standing()).asked > holds.significant
    return holds if lost_answer else replace(holds, significant=edition.significant)


def _dates_again(copy: owing.Copy) -> list[Moment]:
    """The dates that the invitee is to be asked about once more, those of letters that wait among
    them.
    """
    waiting = [
        queued.instance
        for queued in copy.queued
        if queued.before is not None and not editions.differs(queued.before, queued.edition)
    ]
    dates = [copy.again_instance, *waiting] if copy.again else waiting
    return list(dict.fromkeys(date for date in dates if date is not None))


def _steps(holds: Edition, edition: Edition) -> list[DateStep]:
    """From what is held to what is, one date at a time, in the order of their SEQUENCEs."""
    changed = sorted(
        editions.changed_dates(holds, edition),
        key=lambda date: (editions.sequence(edition, date)[0], str(date)),
    )
    steps, before = list[DateStep](), holds
    for date in changed:
        after = editions.with_date(before, edition, date)
        steps.append(DateStep(date, before, after))
        before = after
    return steps


def _unchanged_steps(
    steps: Sequence[DateStep], holds: Edition, dates: Sequence[Moment]
) -> list[DateStep]:
    """Steps that change nothing, for dates that are only asked about again."""
    last = steps[-1].after if steps else holds
    changed = [step.date for step in steps]
    return [
        DateStep(date, last, last)
        for date in dates
        if date not in changed and editions.takes_place(last, date)
    ]


def _compared_with(edition: Edition, copy: owing.Copy | None) -> Edition | None:
    """What a letter tells the differences from. After a cancellation it tells that the follow-up
    takes place after all; a withdrawal left nothing to compare with.
    """
    if copy is None or copy.edition is None:
        return None
    holds = copy.edition
    if (holds.uid, holds.recurrence_id) != (edition.uid, edition.recurrence_id):
        return None
    return holds if copy.method is Method.REQUEST or holds.cancelled else None


def _last_reason(copy: owing.Copy) -> str:
    """Why it is cancelled, where only a letter that waits still says so: the follow-up was deleted
    since, or the date went with the end of its series.
    """
    reasons = (
        queued.edition.cancel_reason
        for queued in copy.queued
        if queued.method is Method.CANCEL and queued.instance is None
    )
    return next(reasons, "")
