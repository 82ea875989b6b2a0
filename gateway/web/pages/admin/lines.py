"""A letter of the outbox in a row of the list: to whom, where it stands, and why, in words. Pure,
except for the reader's language.

Security: of a follow-up that is private to others it says key, times and delivery only; servers
like to name the recipient, so that their words are left out there, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.actions import queue
from gateway.i18n import marked
from gateway.invite import brake
from gateway.mail.refusals import REPORT, Said
from gateway.model import LetterState, Method
from gateway.store import outbox
from gateway.store.outbox import Attempt, Queued
from gateway.store.pace import Rest
from gateway.web.pages import reasons
from gateway.web.pages.visit import Visit

STATES = {
    LetterState.WAITING: marked("Waits"),
    LetterState.SENDING: marked("Is being sent"),
    LetterState.SENT: marked("Sent"),
    LetterState.REFUSED: marked("Refused"),
    LetterState.HELD: marked("Held"),
    LetterState.SUPERSEDED: marked("Replaced by a newer one"),
    LetterState.DROPPED: marked("Will not be sent"),
}
TONES = {
    LetterState.WAITING: ("clock", "waits"),
    LetterState.SENDING: ("paper-plane-tilt", "newtime"),
    LetterState.SENT: ("check", "yes"),
    LetterState.REFUSED: ("warning-circle", "lost"),
    LetterState.HELD: ("lock-simple", "maybe"),
    LetterState.SUPERSEDED: ("repeat", "waits"),
    LetterState.DROPPED: ("prohibit", "no"),
}
METHODS = {
    Method.REQUEST: marked("Invitation or change"),
    Method.CANCEL: marked("Cancellation"),
    Method.DECLINECOUNTER: marked("Another time was declined"),
    Method.NONE: marked("Somebody's words, passed on"),
}
VERDICTS = {
    "sent": marked("Taken"),
    "retry": marked("Not now"),
    "refused": marked("Refused"),
    "account": marked("Our account was refused"),
    "connection": marked("The server could not be used"),
}
BY_HAND = marked("An administrator holds it")
BRAKED = marked("The brake holds it: too much changed at once")
UNFIT = marked("Calendars would refuse it: a fault of the gateway")
RESTS = marked("The account rests until %(time)s")
AT_ONCE = marked("It leaves within seconds")
LATER = marked("It leaves at %(time)s")
AGAIN = marked("tried again at %(time)s")
GIVEN_UP = marked("Given up: it was put off for too long")
DROPPED = marked("An administrator dropped it")
TAKEN_BACK = marked("Taken back before it left")
NEEDLESS = marked("Nobody needs it any more")


@dataclass(frozen=True, slots=True)
class Line:
    """`hidden`: it is about what is private to others. `said`: the words of a server, or of the
    gateway to an administrator, behind "Show". `verbs`: what can be done with it.
    """

    number: int
    state: str
    icon: str
    tone: str
    to: str
    key: str
    participant: str
    what: str
    why: str
    said: str
    account: str
    tries: int
    created: str
    hidden: bool
    verbs: Sequence[str]


def of(here: Visit, page: queue.Page) -> list[Line]:
    """The letters of a page, in their order."""
    listing = page.listing
    return [
        line(
            here,
            letter,
            page.tries.get(letter.id, ()),
            listing.resting.get(letter.letter.account),
            listing.keys.get(letter.participant, ""),
            hidden=letter.follow_up not in page.seen,
        )
        for letter in listing.letters
    ]


def rows(listed: Sequence[Line]) -> list[tuple[int, Line]]:
    """What a list says, for its digests (`exchange`)."""
    return [(shown.number, shown) for shown in listed]


def line(
    here: Visit,
    letter: Queued,
    tries: Sequence[Attempt],
    rest: Rest | None,
    participant: str,
    *,
    hidden: bool,
) -> Line:
    icon, tone = TONES[letter.state]
    last = next((tried for tried in reversed(tries) if tried.verdict != "sent"), None)
    method = METHODS.get(letter.letter.method, METHODS[Method.REQUEST])
    state, what = map(here.texts.gettext, (STATES[letter.state], method))
    verbs = [verb.value for verb in queue.Verb if letter.state in queue.STEPS[verb].before]
    public = ("", "", "") if hidden else (letter.letter.address, participant, _said(letter, last))
    to, key, said = public
    return Line(
        number=letter.id,
        state=state,
        icon=icon,
        tone=tone,
        to=to,
        key=letter.follow_up,
        participant=key,
        what=what,
        why=why(here, letter, last, rest),
        said=said,
        account=letter.letter.account,
        tries=letter.tries,
        created=here.ago(letter.created_at),
        hidden=hidden,
        verbs=verbs,
    )


def why(here: Visit, letter: Queued, last: Attempt | None, rest: Rest | None) -> str:
    """Why a letter stands where it does; "" where its state says it all."""
    if letter.state is LetterState.WAITING:
        return _waits(here, letter, last, rest)
    if letter.state is LetterState.HELD:
        by = {outbox.BY_HAND: BY_HAND, brake.REASON: BRAKED}
        return here.texts.gettext(by.get(letter.note, UNFIT))
    if letter.state is LetterState.REFUSED:
        return here.texts.gettext(reasons.of(_refusal(letter, last)))
    if letter.state is LetterState.DROPPED:
        return _dropped(here, letter, last)
    return ""


def attempt(here: Visit, tried: Attempt) -> tuple[str, str]:
    """What a try came to, and why, in words."""
    say = here.texts.gettext
    verdict = say(VERDICTS.get(tried.verdict, VERDICTS["connection"]))
    return verdict, "" if tried.verdict == "sent" else say(reasons.of(as_said(tried)))


def as_said(tried: Attempt) -> Said:
    return Said(tried.step, tried.code, tried.enhanced, tried.text)


def _waits(here: Visit, letter: Queued, last: Attempt | None, rest: Rest | None) -> str:
    say = here.texts.gettext
    if rest is not None and rest.until > here.now:
        return say(RESTS) % {"time": here.ago(rest.until)}
    if letter.due_at <= here.now:
        return say(AT_ONCE)
    if last is None:
        return say(LATER) % {"time": here.ago(letter.due_at)}
    again = say(AGAIN) % {"time": here.ago(letter.due_at)}
    return f"{say(reasons.of(as_said(last)))}; {again}"


def _dropped(here: Visit, letter: Queued, last: Attempt | None) -> str:
    say = here.texts.gettext
    if letter.note.startswith(outbox.GIVEN_UP):
        words = say(GIVEN_UP)
        return f"{words}. {say(reasons.of(as_said(last)))}" if last is not None else words
    by = {queue.STEPS[queue.Verb.DROP].note: DROPPED, outbox.TAKEN_BACK: TAKEN_BACK}
    return say(by.get(letter.note, NEEDLESS))


def _refusal(letter: Queued, last: Attempt | None) -> Said:
    """The last try, or the report that came back later, whose words stand in the note."""
    if last is not None and last.verdict == "refused":
        return as_said(last)
    return Said(REPORT, 550, "", letter.note)


def _said(letter: Queued, last: Attempt | None) -> str:
    ours = (outbox.BY_HAND, outbox.TAKEN_BACK, brake.REASON, queue.STEPS[queue.Verb.DROP].note)
    if letter.note and letter.note not in ours:
        return letter.note
    if last is None or letter.state is LetterState.SENT:
        return ""
    return server_words(last)


def server_words(tried: Attempt) -> str:
    """What the server said, with its codes, which many say in the text once more."""
    enhanced = "" if tried.text.startswith(tried.enhanced) else tried.enhanced
    return " ".join(filter(None, (str(tried.code or ""), enhanced, tried.text)))


def moment(here: Visit, at: datetime | None) -> str:
    """With seconds, for the table of tries."""
    return "" if at is None else f"{here.local(at):%Y-%m-%d %H:%M:%S}"
