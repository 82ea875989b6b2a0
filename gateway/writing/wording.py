"""What a letter says, in words: what happened, when and where, what is different from the last
letter.

Pure: from a letter and a catalogue. The templates only arrange what is decided here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.followups import editions, rules, texts
from gateway.i18n import Catalogue, marked
from gateway.ical import ics, zones
from gateway.mail import links
from gateway.model import Edition, Guest, Kind, Letter, Method, Moment, Reply
from gateway.writing import news, repeats
from gateway.writing.news import Change

MOST_DATES = 10
MOST_GUESTS = 50
HALF_YEAR = timedelta(days=182)


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was different in what the reader holds; `before` is empty where the old text
    would help nobody (a long agenda).
    """

    label: str
    before: tuple[str, ...]
    now: tuple[str, ...]


TITLES = {
    Change.INVITATION: marked("Invitation"),
    Change.REINSTATED: marked("Invitation"),
    Change.MOVED: marked("Moved"),
    Change.UPDATED: marked("Updated"),
    Change.CANCELLED: marked("Cancelled"),
    Change.WITHDRAWN: marked("Withdrawn"),
    Change.ASKED_AGAIN: marked("Please answer again"),
    Change.STANDS: marked("Please answer again"),
    Change.REMINDER: marked("Reminder"),
    Change.PROPOSAL_DECLINED: marked("Proposal declined"),
}
TITLES_OF_TASKS = {
    Change.MOVED: TITLES[Change.UPDATED],
    Change.CANCELLED: marked("Task withdrawn"),
}
"""A task is not called off like a meeting, nor moved."""
NEW_DEADLINE = marked("New deadline")
LEADS = {
    (Change.INVITATION, Kind.MEETING): marked("%(owner)s invites you to a meeting."),
    (Change.INVITATION, Kind.TASK): marked("%(owner)s invites you to take part in a task."),
    (Change.INVITATION, Kind.CALL): marked("%(owner)s invites you to a call."),
    (Change.REINSTATED, Kind.MEETING): marked(
        "The meeting takes place after all. %(owner)s invites you again."
    ),
    (Change.REINSTATED, Kind.TASK): marked(
        "The task is to be done after all. %(owner)s invites you again."
    ),
    (Change.REINSTATED, Kind.CALL): marked(
        "The call takes place after all. %(owner)s invites you again."
    ),
    (Change.MOVED, Kind.MEETING): marked("%(owner)s has moved this meeting. Please answer again."),
    (Change.MOVED, Kind.TASK): marked("%(owner)s has changed this task. Please answer again."),
    (Change.MOVED, Kind.CALL): marked("%(owner)s has moved this call. Please answer again."),
    (Change.UPDATED, Kind.MEETING): marked("%(owner)s has changed this meeting."),
    (Change.UPDATED, Kind.TASK): marked("%(owner)s has changed this task."),
    (Change.UPDATED, Kind.CALL): marked("%(owner)s has changed this call."),
    (Change.CANCELLED, Kind.MEETING): marked("%(owner)s has cancelled this meeting."),
    (Change.CANCELLED, Kind.TASK): marked("%(owner)s has withdrawn this task."),
    (Change.CANCELLED, Kind.CALL): marked("%(owner)s has cancelled this call."),
    (Change.WITHDRAWN, Kind.MEETING): marked(
        "%(owner)s has withdrawn this invitation. The meeting itself is not cancelled."
    ),
    (Change.WITHDRAWN, Kind.TASK): marked(
        "%(owner)s has withdrawn this invitation. The task itself still stands."
    ),
    (Change.WITHDRAWN, Kind.CALL): marked(
        "%(owner)s has withdrawn this invitation. The call itself is not cancelled."
    ),
    (Change.ASKED_AGAIN, Kind.MEETING): marked(
        "You answered an earlier time of this meeting, so your answer does not count. Please answer"
        " for the time below."
    ),
    (Change.ASKED_AGAIN, Kind.TASK): marked(
        "You answered an earlier date of this task, so your answer does not count. Please answer"
        " for the date below."
    ),
    (Change.ASKED_AGAIN, Kind.CALL): marked(
        "You answered an earlier time of this call, so your answer does not count. Please answer"
        " for the time below."
    ),
    (Change.STANDS, Kind.MEETING): marked(
        "The meeting takes place as planned. Please answer again."
    ),
    (Change.STANDS, Kind.TASK): marked("The task is to be done as planned. Please answer again."),
    (Change.STANDS, Kind.CALL): marked("The call takes place as planned. Please answer again."),
    **dict.fromkeys(
        [(Change.REMINDER, kind) for kind in Kind],
        marked("%(owner)s has not received an answer to this invitation from you yet."),
    ),
    (Change.PROPOSAL_DECLINED, Kind.MEETING): marked(
        "%(owner)s cannot follow your proposal. The meeting stays as it is."
    ),
    (Change.PROPOSAL_DECLINED, Kind.TASK): marked(
        "%(owner)s cannot follow your proposal. The task stays as it is."
    ),
    (Change.PROPOSAL_DECLINED, Kind.CALL): marked(
        "%(owner)s cannot follow your proposal. The call stays as it is."
    ),
}
NEW_DEADLINES = {
    Kind.TASK: marked("%(owner)s has set a new deadline for this task. Please answer again."),
    Kind.CALL: marked("%(owner)s has set a new deadline for this call. Please answer again."),
}
BEFORE_TIME = marked("Please answer before the time below.")
BEFORE_DATE = marked("Please answer before the date below.")
"""What a reminder says where the owner has named no time by which they want an answer."""
STANDINGS = {
    Reply.ACCEPTED: marked("Your answer stands: yes."),
    Reply.TENTATIVE: marked("Your answer stands: maybe."),
    Reply.DECLINED: marked("Your answer stands: no."),
    Reply.DELEGATED: marked("You have passed this invitation on."),
}
REPLIES = {
    Reply.ACCEPTED: marked("yes"),
    Reply.TENTATIVE: marked("maybe"),
    Reply.DECLINED: marked("no"),
    Reply.DELEGATED: marked("passed on"),
    Reply.NEEDS_ACTION: marked("not answered"),
}
NAMELESS = {Kind.MEETING: marked("Meeting"), Kind.TASK: marked("Task"), Kind.CALL: marked("Call")}
COMPARED = (Change.MOVED, Change.UPDATED, Change.REINSTATED, Change.ASKED_AGAIN, Change.REMINDER)
"""Letters that say what is different from the last one."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Puts the facts of one letter into words; `organisation` stands in for an owner without a
    name.
    """

    letter: Letter
    words: Catalogue
    organisation: str = ""

    def owner(self) -> str:
        name = ics.common_name(ics.facts(self.letter).organizer)
        return name or self.organisation or self.letter.organizer_address

    def title(self) -> str:
        shown = ics.facts(self.letter)
        return texts.line(shown.title) or self.words.gettext(NAMELESS[shown.kind])

    def signed(self) -> str:
        """ "Kari Nordmann, Firma AS": an unknown name alone looks like phishing."""
        owner, organisation = self.owner(), self.organisation
        names_it = not organisation or organisation.casefold() in owner.casefold()
        return owner if names_it else f"{owner}, {organisation}"

    def heading(self) -> str:
        """ "Moved": the word of the subject."""
        change = news.of(self.letter)
        if self._new_deadline():
            return self.words.gettext(NEW_DEADLINE)
        of_tasks = TITLES_OF_TASKS if ics.facts(self.letter).kind is Kind.TASK else {}
        return self.words.gettext(of_tasks.get(change, TITLES[change]))

    def _new_deadline(self) -> bool:
        """Whether everybody is asked again because what has no time has another deadline."""
        before, now = self.letter.before, self.letter.edition
        return (
            news.of(self.letter) is Change.MOVED
            and now.kind in NEW_DEADLINES
            and before is not None
            and before.start is None
            and now.start is None
            and before.deadline != now.deadline
        )

    def subject(self) -> str:
        values = {
            "what": self.heading(),
            "title": texts.clip(self.title(), 120),
            "when": self.short(),
        }
        return links.defused(self.words.gettext("%(what)s: %(title)s (%(when)s)") % values)

    def lead(self) -> str:
        change, kind = news.of(self.letter), ics.facts(self.letter).kind
        lead = NEW_DEADLINES[kind] if self._new_deadline() else LEADS[change, kind]
        owner = self.signed()
        if owner != self.owner():
            owner += ","
        sentence = self.words.gettext(lead) % {"owner": owner}
        if (
            change in (Change.UPDATED, Change.PROPOSAL_DECLINED)
            and self.letter.reply is not Reply.NEEDS_ACTION
        ):
            sentence += " " + self._standing()
        if change is Change.REMINDER and not self._answer_by(self.letter.edition):
            sentence += self._in_time()
        giver = self.letter.remarks.delegated_from
        if (
            giver is not None
            and self.letter.method is Method.REQUEST
            and self.letter.reply is Reply.NEEDS_ACTION
        ):
            name = ics.common_name(giver.name) or giver.address
            passed_on = self.words.gettext("%(name)s has passed this invitation on to you.")
            sentence += " " + passed_on % {"name": name}
        return sentence

    def _in_time(self) -> str:
        """Nothing where what is shown is no end: a day lasts, and a series may have begun long
        ago.
        """
        shown = ics.facts(self.letter)
        if shown.start is None:
            return " " + self.words.gettext(BEFORE_DATE)
        ahead = isinstance(shown.start, datetime) and shown.start > self.letter.dtstamp
        return " " + self.words.gettext(BEFORE_TIME) if ahead else ""

    def _standing(self) -> str:
        passed_on = self.letter.remarks.delegated_to
        if self.letter.reply is not Reply.DELEGATED or passed_on is None:
            return self.words.gettext(STANDINGS[self.letter.reply])
        name = ics.common_name(passed_on.name) or passed_on.address
        sentence = self.words.gettext("You have passed this invitation on to %(name)s.")
        return sentence % {"name": name}

    def agenda_label(self) -> str:
        """A task or a call has no agenda."""
        meeting = ics.facts(self.letter).kind is Kind.MEETING
        return self.words.gettext("Agenda") if meeting else self.words.gettext("Description")

    def scope(self) -> str:
        """What a letter about one date of a series says about that; "" for any other letter."""
        if self.letter.instance is None:
            return ""
        return self.words.gettext("This concerns only this one date of a series.")

    def reason(self) -> str:
        """Why it is cancelled; "" where nobody said."""
        why = ics.cancel_reason(self.letter)
        return self.words.gettext("Reason: %(reason)s") % {"reason": why} if why else ""

    def facts(self) -> list[Fact]:
        """Label and lines, in the order in which people look for them; the agenda is shown
        apart.
        """
        _, instance = self.words.gettext, self.letter.instance
        guests = tuple(self._guests(ics.guests(self.letter, instance)))
        facts = [
            *self.occasion(),
            Fact(_("Organizer"), (self.signed(),)),
            Fact(_("Participants"), guests),
        ]
        return [fact for fact in facts if fact.lines]

    def occasion(self) -> list[Fact]:
        """When and where."""
        _ = self.words.gettext
        shown, instance = ics.facts(self.letter), self.letter.instance
        when = self.when(_begun(shown, instance), instance)
        facts = [
            Fact(self._when_label(shown), when),
            Fact(_("You proposed"), self._proposed(shown)),
            Fact(_("Please answer by"), self._answer_by(shown)),
        ]
        if instance is None and shown.recurrence is not None:
            facts.append(Fact(_("Repeats"), self._rule(shown)))
            facts.append(Fact(_("Also on"), tuple(self._added(shown))))
            facts.append(Fact(_("Changed dates"), tuple(self._dates(shown))))
        facts.append(Fact(_("Where"), texts.lines(shown.location)))
        return [fact for fact in facts if fact.lines]

    def differences(self) -> list[Difference]:
        """Old and new of everything visible that is not as it was; empty for a first invitation and
        a cancellation.
        """
        before, now = self.letter.before, self.letter.edition
        if before is None or news.of(self.letter) not in COMPARED:
            return []
        nothing = self._nothing()
        visible = self._compared(before, now)
        if self.letter.instance is None:
            visible += self._compared_series(before, now)
        changed = [
            self._filled(fact, nothing)
            for fact in visible
            if " ".join(fact.before) != " ".join(fact.now)
        ]
        return changed + self._replaced(before, now)

    def _compared(self, before: Edition, now: Edition) -> list[Difference]:
        """What is told of any follow-up, and of a date."""
        _, lines, instance = self.words.gettext, texts.lines, self.letter.instance
        titles = lines(before.title), lines(now.title)
        times = self.when(before, instance), self.when(now, instance)
        places = lines(before.location), lines(now.location)
        videos = lines(before.video_url), lines(now.video_url)
        deadlines = self._answer_by(before), self._answer_by(now)
        return [
            Difference(_("Title"), *titles),
            Difference(self._when_label(now), *times),
            Difference(_("Time zone"), *self._zones(before, now)),
            Difference(_("Where"), *places),
            Difference(_("Video meeting"), *videos),
            Difference(_("Answers wanted by"), *deadlines),
        ]

    def _compared_series(self, before: Edition, now: Edition) -> list[Difference]:
        """What is told of a series only."""
        _ = self.words.gettext
        added = tuple(self._added(before, now)), tuple(self._added(now, before))
        dates = tuple(self._dates(before, now)), tuple(self._dates(now, before))
        return [
            Difference(_("Repeats"), *self._rules(before, now)),
            Difference(_("Also on"), *added),
            Difference(_("Changed dates"), *dates),
        ]

    def _nothing(self) -> dict[str, str]:
        """What is written where there is or was nothing, by label; elsewhere "none"."""
        _ = self.words.gettext
        missing = _("not given")
        return {
            _("Title"): missing,
            _("Where"): missing,
            _("Video meeting"): missing,
            _("Answers wanted by"): missing,
            _("Repeats"): _("only once"),
        }

    def _filled(self, fact: Difference, nothing: Mapping[str, str]) -> Difference:
        _ = self.words.gettext
        empty = (nothing.get(fact.label, _("none")),)
        return Difference(fact.label, fact.before or empty, fact.now or empty)

    def _replaced(self, before: Edition, now: Edition) -> list[Difference]:
        """What is told without its old words: an agenda, and who may see the guest list."""
        _ = self.words.gettext
        replaced = list[Difference]()
        if texts.text(before.agenda) != texts.text(now.agenda):
            text = _("new text below") if now.agenda.strip() else _("removed")
            replaced.append(Difference(self.agenda_label(), (), (text,)))
        if before.guest_list_public != now.guest_list_public:
            text = _("no longer visible to the participants")
            if now.guest_list_public:
                text = _("visible to all participants")
            replaced.append(Difference(_("Guest list"), (), (text,)))
        return replaced

    def when(self, edition: Edition, instance: Moment | None) -> tuple[str, ...]:
        """The time in the reader's zone, and beneath it in the owner's where the clocks differ."""
        span = ics.span(edition, instance)
        if not isinstance(span.start, datetime):
            return (self._days(span),)
        end = span.end if isinstance(span.end, datetime) else None
        is_series = instance is None and edition.recurrence is not None
        return self._in_zones(edition, span.start, end, series=is_series)

    def _in_zones(
        self, edition: Edition, start: datetime, end: datetime | None, *, series: bool = False
    ) -> tuple[str, ...]:
        owners = edition.timezone
        mine = self.letter.timezone or owners
        times = [self._clocks(start, end, mine)]
        if _differ(start, end, mine, owners, series=series):
            times.append(self._clocks(start, end, owners))
        return tuple(times)

    def _zones(self, before: Edition, now: Edition) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those of the owner, where only their name tells them apart at that time."""
        instance = self.letter.instance
        if self.when(before, instance) != self.when(now, instance):
            return (), ()
        if editions.zone(before) == editions.zone(now):
            return (), ()
        old, new = (
            zones.display_name(edition.timezone, edition.start, str(self.words.locale))
            if isinstance(edition.start, datetime)
            else ""
            for edition in (before, now)
        )
        return ((old,), (new,)) if old != new else ((before.timezone,), (now.timezone,))

    def _answer_by(self, edition: Edition) -> tuple[str, ...]:
        by = news.wanted_by(self.letter, edition)
        return self._in_zones(edition, by, None) if by is not None else ()

    def _proposed(self, shown: Edition) -> tuple[str, ...]:
        """The time that the invitee asked for, in a letter that turns it down."""
        start, end = self.letter.remarks.start, self.letter.remarks.end
        if start is None:
            return ()
        proposal = replace(
            shown,
            start=start,
            end=end,
            all_day=not isinstance(start, datetime),
            recurrence=None,
            dates=(),
        )
        return self.when(proposal, None)

    def _rule(self, edition: Edition) -> tuple[str, ...]:
        series = edition.recurrence
        if series is None:
            return ()
        if series.rrule:
            return (repeats.said(edition, self.words),)
        more = len({*series.rdates} - {edition.start, *series.exdates})
        if not more:
            return ()
        text = self.words.ngettext("on %(count)d more date", "on %(count)d more dates", more)
        return (text % {"count": more},)

    def _rules(self, before: Edition, now: Edition) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Old and new rule; nothing where one only spells the other in another way."""
        old, new = self._rule(before), self._rule(now)
        if rules.same(before, now):
            has_rule = before.recurrence is not None and bool(before.recurrence.rrule)
            return ((), ()) if has_rule else (old, new)
        if old != new:
            return old, new
        return old, (self.words.gettext("in another way than before"),)

    def _dates(self, edition: Edition, other: Edition | None = None) -> Iterator[str]:
        """Dates that are not as the rule says: moved, cancelled. `other`: leave out what is shown
        of it, too.
        """
        shown_of_other = news.changed_dates(other).items() if other is not None else ()
        ordered = sorted(
            (item for item in news.changed_dates(edition).items() if item not in shown_of_other),
            key=lambda item: item[0],
        )
        for original, change in ordered[:MOST_DATES]:
            yield self._date(edition, original, change)
        yield from self._more(len(ordered) - MOST_DATES)

    def _added(self, edition: Edition, other: Edition | None = None) -> Iterator[str]:
        """Dates beside those of the rule, or those after the first of a list of dates. `other`:
        leave out what is shown of it, too.
        """
        shown_of_other = news.added_dates(other).items() if other is not None else ()
        further = sorted(
            original
            for original, span in news.added_dates(edition).items()
            if (original, span) not in shown_of_other
        )
        for original in further[:MOST_DATES]:
            yield self.when(edition, original)[0]
        yield from self._more(len(further) - MOST_DATES)

    def _more(self, count: int) -> Iterator[str]:
        if count > 0:
            yield self.words.ngettext("and %(count)d more", "and %(count)d more", count) % {
                "count": count
            }

    def _date(self, edition: Edition, original: Moment, change: ics.Span | str) -> str:
        shown_date = original
        if isinstance(original, datetime):
            zone = zones.zone(self.letter.timezone or edition.timezone)
            shown_date = original.astimezone(zone)
        day = self.words.short_day(shown_date)
        if isinstance(change, ics.Span):
            same_day = self._same_day(edition, original, change)
            if same_day:
                return same_day
            when = self.when(edition, original)[0]
            return self.words.gettext("%(day)s: now %(when)s") % {"day": day, "when": when}
        if edition.kind is Kind.TASK:
            return self._left_out(day, change)
        if change:
            return self.words.gettext("%(day)s: cancelled (%(reason)s)") % {
                "day": day,
                "reason": change,
            }
        return self.words.gettext("%(day)s: cancelled") % {"day": day}

    def _left_out(self, day: str, reason: str) -> str:
        if reason:
            return self.words.gettext("%(day)s: left out (%(reason)s)") % {
                "day": day,
                "reason": reason,
            }
        return self.words.gettext("%(day)s: left out") % {"day": day}

    def _same_day(self, edition: Edition, original: Moment, now: ics.Span) -> str:
        """A date that stays on its day, as the reader's clocks have it, with the hours that it had;
        "" for any other.
        """
        usual = ics.span(replace(edition, dates=()), original)
        zone = zones.zone(self.letter.timezone or edition.timezone)
        clocks = [moment.astimezone(zone) for moment in (*_bounds(now), *_bounds(usual))]
        if len({clock.date() for clock in clocks}) != 1 or len(clocks) not in (2, 4):
            return ""
        hours = [self.words.clock(clock) for clock in clocks]
        day = self.words.short_day(clocks[0])
        if len(clocks) == 2:
            return self.words.gettext("%(day)s: %(start)s instead of %(old_start)s") % {
                "day": day,
                "start": hours[0],
                "old_start": hours[1],
            }
        return self.words.gettext(
            "%(day)s: %(start)s–%(end)s instead of %(old_start)s–%(old_end)s"
        ) % dict(zip(("start", "end", "old_start", "old_end"), hours, strict=True), day=day)

    def _guests(self, guests: Sequence[Guest]) -> Iterator[str]:
        for guest in guests[:MOST_GUESTS]:
            name = texts.line(guest.name) or guest.address
            yield f"{name} ({self.words.gettext(REPLIES[guest.reply])})"
        if (more := len(guests) - MOST_GUESTS) > 0:
            yield self.words.ngettext("and %(count)d more", "and %(count)d more", more) % {
                "count": more
            }

    def _when_label(self, edition: Edition) -> str:
        if edition.start is None:
            return self.words.gettext("Deadline")
        return self.words.gettext("When")

    def _days(self, span: ics.Span) -> str:
        last = span.start
        if span.end is not None and span.end > span.start:
            last = span.end - ics.ONE_DAY
        if last <= span.start:
            return self.words.day(span.start)
        return self.words.gettext("%(first)s – %(last)s") % {
            "first": self.words.day(span.start),
            "last": self.words.day(last),
        }

    def _clocks(self, start: datetime, end: datetime | None, zone: str) -> str:
        first = start.astimezone(zones.zone(zone))
        last = end.astimezone(zones.zone(zone)) if end is not None and end > start else None
        values = {
            "day": self.words.day(first),
            "start": self.words.clock(first),
            "zone": zones.display_name(zone, start, str(self.words.locale)),
        }
        if last is None:
            return self.words.gettext("%(day)s, %(start)s (%(zone)s)") % values
        values |= {"end_day": self.words.day(last), "end": self.words.clock(last)}
        if last.date() == first.date():
            return self.words.gettext("%(day)s, %(start)s–%(end)s (%(zone)s)") % values
        return self.words.gettext("%(day)s, %(start)s – %(end_day)s, %(end)s (%(zone)s)") % values

    def short(self) -> str:
        """Day and hour in a few words, for subjects."""
        edition = _begun(ics.facts(self.letter), self.letter.instance)
        span = ics.span(edition, self.letter.instance)
        if not isinstance(span.start, datetime):
            return self.words.short_day(span.start)
        first = span.start.astimezone(zones.zone(self.letter.timezone or edition.timezone))
        return self.words.gettext("%(day)s, %(start)s") % {
            "day": self.words.short_day(first),
            "start": self.words.clock(first),
        }


def _differ(start: datetime, end: datetime | None, mine: str, owners: str, *, series: bool) -> bool:
    """Whether two zones show different clocks at that time; of a series, at any time of the
    year.
    """
    moments = [start, end or start] + ([start + HALF_YEAR] if series else [])
    return any(
        moment.astimezone(zones.zone(mine)).utcoffset()
        != moment.astimezone(zones.zone(owners)).utcoffset()
        for moment in moments
    )


def _bounds(span: ics.Span) -> Iterator[datetime]:
    """The instants of its start and of its end, as far as there are such."""
    if isinstance(span.start, datetime):
        yield span.start
        if isinstance(span.end, datetime) and span.end > span.start:
            yield span.end


def _begun(edition: Edition, instance: Moment | None) -> Edition:
    """A series as of its first date that takes place: nobody is to come on a date that is
    cancelled.
    """
    first = editions.first(edition) if instance is None else None
    if first is None or first == edition.start or edition.start is None:
        return edition
    end = first + (edition.end - edition.start) if edition.end is not None else None
    return replace(edition, start=first, end=end)
