"""What is wrong with an installation, in words for its administrator; one place for all of them.

A *condition* is one thing that can be wrong: its subject, how bad it is, and a sentence that says
what happened, since when, what becomes of letters and answers meanwhile, and what to do. The same
sentences stand in `/readyz`, `status`, `queue shape` and systemd's STATUS line, and on the page in
its reader's language (`i18n.Phrase`); docs/operations.md explains each subject. Pure, except for
`Board`, which remembers.
"""

import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from gateway import accounts, metrics, sections
from gateway.i18n import Instant, Phrase, Quote, counted, marked

UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
"""OpenSSL's X509_V_ERR_ codes for a chain that ends in nobody we trust: self-signed, and without an
issuer that is found here.
"""
GRACE = timedelta(seconds=20)
"""A machine that boots brings up its network and its servers beside us, and a queue of yesterday is
dealt with one letter after the other.
"""


class State(StrEnum):
    """How bad a condition is. A warning needs a look some time; what failed needs a person now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Delay(StrEnum):
    """Why a letter waits beyond its time, in words."""

    NOBODY = marked("nobody sends it (is invite-gateway run there?)")
    RESTS = marked("the account rests")
    SPENT = marked("outbound.per_day letters have left in 24 hours; it goes when these are over")
    SLOW = marked("letters leave, but more slowly than they are written (outbound.per_minute?)")


RESTART = marked(", or at once after: systemctl restart invite-gateway")

DISKS = {"store": marked("the store"), "log": marked("the log")}
"""What has a file system that must have room."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be wrong. `subject`: what, e.g. `mailbox` or `mailbox sales`; `words`: a
    `Phrase` where pages say it, too.
    """

    subject: str
    state: State
    words: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process measures of itself: how often each role ended unasked, when the mailbox of
    each account was looked at last, and when the certificates end that servers showed.
    """

    stops: Mapping[str, int] = field(default_factory=dict)
    looks: Mapping[str, datetime] = field(default_factory=dict)
    certificates: Mapping[str, datetime] = field(default_factory=dict)


class Board:
    """What this process itself knows to be wrong, by subject. Writing on it never fails and never
    waits; `daemon.health` carries it to the store. To be used from the event loop's thread.
    """

    def __init__(self, started: datetime | None = None) -> None:
        self.began = datetime.now(UTC)
        """When this process did, which makes its board first."""
        self.started = started
        """When the parts of this process began; None: nobody says."""
        self._conditions: dict[str, Condition] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called after each change."""
        self.stops: Counter[str] = Counter()
        """How often each role of this process ended unasked."""
        self.looks: dict[str, Callable[[], datetime | None]] = {}
        """When the mailbox of each account that this process reads was looked at last."""

    def report(self, condition: Condition) -> None:
        """Say how a subject is now."""
        if self._conditions.get(condition.subject) != condition:
            self._conditions[condition.subject] = condition
            self.changed()

    def clear(self, subject: str) -> None:
        """Say nothing about a subject any longer."""
        if self._conditions.pop(subject, None) is not None:
            self.changed()

    def vitals(self) -> Vitals:
        """What this process measures of itself."""
        looks = {account: look() for account, look in self.looks.items()}
        times_by_account = {account: at for account, at in looks.items() if at is not None}
        return Vitals(dict(self.stops), times_by_account, dict(metrics.CERTIFICATES))

    def conditions(self) -> list[Condition]:
        """All that was said, in the order in which it began."""
        return list(self._conditions.values())


def subject(kind: str, account: str) -> str:
    """The subject of what an account has of its own: `mailbox`, `mailbox sales`."""
    return kind if account == accounts.DEFAULT else f"{kind} {account}"


def settling(started: datetime | None, now: datetime) -> bool:
    """Whether a gateway that started then has not had the time yet to find out what is wrong: what
    may pass by itself is no alarm so soon.
    """
    return started is not None and started <= now < started + GRACE


def troubles(conditions: Iterable[Condition]) -> list[Condition]:
    """Those that are not ok, what failed first."""
    bad = [condition for condition in conditions if condition.state is not State.OK]
    return sorted(bad, key=lambda condition: condition.state is not State.FAILED)


def worst(conditions: Iterable[Condition]) -> State:
    """The state of the whole."""
    states = {condition.state for condition in conditions}
    return next((state for state in (State.FAILED, State.WARNING) if state in states), State.OK)


def line(conditions: Iterable[Condition], otherwise: str) -> str:
    """All troubles as one line, for systemd; `otherwise` where there are none."""
    words = [condition.words for condition in troubles(conditions)]
    return f"running; {'; '.join(words)}" if words else otherwise


def lasting(new: Sequence[Condition], old: Sequence[Condition]) -> list[Condition]:
    """`new`, where each goes on since the moment at which the same subject left "ok" in `old`."""
    since = {condition.subject: condition.since for condition in old if condition.state != State.OK}
    return [
        replace(condition, since=since.get(condition.subject) or condition.since)
        for condition in new
    ]


def clock(moment: datetime, now: datetime) -> Instant:
    """A moment as people read it: `11:23 UTC`, with the date where it is not today's."""
    day = "" if moment.date() == now.date() else f"{moment:%Y-%m-%d} "
    return Instant(f"{day}{moment:%H:%M} UTC", moment)


@dataclass(frozen=True, slots=True)
class Failure:
    """What goes wrong again and again: since when, how often, why, and when it is tried next."""

    since: datetime
    tries: int
    why: str
    again: datetime


def mailbox(
    account: str, failure: Failure, *, lost: bool = False, refused: bool = False
) -> Condition:
    """The mailbox cannot be read. `lost`: it worked until now, and nobody knows yet whether the
    next try cures it; `refused`: the sign-in, whose password is read at the start.
    """
    words = Phrase(
        marked(
            "the mailbox%(of)s has not been read since %(since)s (%(tries)s): %(why)s Answers wait"
            " there; none is lost. Next try %(again)s%(restart)s"
        ),
        of=_of(account),
        since=clock(failure.since, failure.again),
        tries=_tries(failure.tries),
        why=_cause(failure.why),
        again=clock(failure.again, failure.again),
        restart=Phrase(RESTART) if refused else "",
    )
    state = State.WARNING if lost else State.FAILED
    return Condition(subject("mailbox", account), state, words, failure.since)


def not_moved(account: str, folder: str, why: str) -> Condition:
    """Messages that are dealt with cannot be moved."""
    words = Phrase(
        marked(
            "messages stay in the mailbox%(of)s, for the folder %(folder)s does not take them:"
            " %(why)s. Answers count all the same"
        ),
        of=_of(account),
        folder=repr(folder),
        why=Quote(why),
    )
    return Condition(subject("folders", account), State.WARNING, words)


def another(account: str, folder: str) -> Condition:
    """A gateway with another store, or with a copy of this one, reads the mailbox, too."""
    words = Phrase(
        marked(
            "another gateway with a store of its own reads the folder %(folder)s%(of)s: it wrote"
            " there to see whether answers arrive. Mail that names no invitation of ours is left"
            " where it lies, for it may be the other's. Give each store a mailbox of its own"
            " (docs/operations.md, Several gateways)"
        ),
        of=_of(account),
        folder=repr(folder),
    )
    return Condition(subject("another gateway", account), State.WARNING, words)


def webhook(
    number: int, why: str, since: datetime | None, waiting: int, now: datetime
) -> Condition:
    """A program that wants to be told of answers does not take them, or has said that it is gone
    (`since` None).
    """
    if since is None:
        words = Phrase(
            marked(
                "webhook %(number)s is switched off, for its receiver says that it is gone: %(why)s"
                " If it is there again: invite-gateway webhook change %(number)s --on"
            ),
            number=number,
            why=_cause(why),
        )
    else:
        words = Phrase(
            marked(
                "webhook %(number)s has taken nothing since %(since)s: %(why)s %(waiting)s, each up"
                " to three days. See: invite-gateway webhook deliveries %(number)s; when it is"
                " mended: invite-gateway webhook change %(number)s --on"
            ),
            number=number,
            since=clock(since, now),
            why=_cause(why),
            waiting=counted("%(num)d event waits", "%(num)d events wait", waiting),
        )
    return Condition(subject("webhook", str(number)), State.WARNING, words, since)


def sending(account: str, failure: Failure, now: datetime, *, sure: bool) -> Condition:
    """The account rests. `sure`: a person is needed; otherwise one failure may pass by itself."""
    words = Phrase(
        marked(
            "sending%(of)s has rested since %(since)s (%(tries)s): %(why)s Letters wait; none is"
            " lost. Next try %(until)s%(restart)s"
        ),
        of=_of(account),
        since=clock(failure.since, now),
        tries=_tries(failure.tries),
        why=_cause(failure.why),
        until=clock(failure.again, now),
        restart=Phrase(RESTART) if sure else "",
    )
    state = State.FAILED if sure or failure.tries > 1 else State.WARNING
    return Condition(subject("sending", account), state, words, failure.since)


def paused(since: datetime | None, by: str, now: datetime) -> Condition:
    """Somebody lets no letter leave. `since`: None where the settings say so."""
    if since is None:
        words = Phrase(
            marked(
                "sending is paused by the settings (outbound.paused): letters are planned and wait."
                " Take it out and restart to let them leave"
            )
        )
    else:
        words = Phrase(
            marked(
                "sending is paused since %(since)s by %(by)s: letters are planned and wait. Let"
                " them leave: invite-gateway queue resume"
            ),
            since=clock(since, now),
            by=by,
        )
    return Condition("paused", State.WARNING, words, since)


def letters(count: int, first: int, why: str, *, every: bool) -> Condition:
    """Letters that preflight holds. `first`: the oldest one's number; `every`: none has passed
    since.
    """
    words = counted(
        "%(num)d letter is held, for clients would refuse it: %(why)s This is a fault of the"
        " gateway, not of the record. See: invite-gateway queue show %(first)s",
        "%(num)d letters are held, for clients would refuse them: %(why)s This is a fault of the"
        " gateway, not of the record. See: invite-gateway queue show %(first)s",
        count,
        why=_cause(why),
        first=first,
    )
    if every:
        words = Phrase(marked("no letter passes preflight: %(held)s"), held=words)
    return Condition("letters", State.FAILED if every else State.WARNING, words)


def brake(letters: int, follow_ups: int, since: datetime | None, now: datetime) -> Condition:
    """The brake holds letters. `since`: when the first of their follow-ups was changed."""
    words = counted(
        "%(num)d letter about %(about)s is held%(since)s: too many were cancelled or moved within a"
        " minute. See: invite-gateway queue list --brake. If it is meant, let them leave:"
        " invite-gateway queue release --brake. If not, put the record back, and nobody hears of"
        " it",
        "%(num)d letters about %(about)s are held%(since)s: too many were cancelled or moved within"
        " a minute. See: invite-gateway queue list --brake. If it is meant, let them leave:"
        " invite-gateway queue release --brake. If not, put the record back, and nobody hears of"
        " it",
        letters,
        about=counted("%(num)d follow-up", "%(num)d follow-ups", follow_ups),
        since=_begun(since, now),
    )
    return Condition("brake", State.FAILED, words, since)


def review(shrunk: int, megabytes: int) -> Condition:
    """More waits for review than is kept."""
    words = counted(
        "of %(num)d mail that waits for review only the header is kept: more than %(megabytes)s MB"
        " waited (inbound.review_megabytes), or they have waited for too long"
        " (retention.review_days). The mails lie whole in the mailbox. Decide on them:"
        " invite-gateway review list",
        "of %(num)d mails that wait for review only the header is kept: more than %(megabytes)s MB"
        " waited (inbound.review_megabytes), or they have waited for too long"
        " (retention.review_days). The mails lie whole in the mailbox. Decide on them:"
        " invite-gateway review list",
        shrunk,
        megabytes=megabytes,
    )
    return Condition("review", State.WARNING, words)


def queue(account: str, waits: datetime, now: datetime, why: Delay) -> Condition:
    """A letter has been due for long. Red where nothing leaves, and nobody wanted it so."""
    words = Phrase(
        marked("a letter%(of)s has waited since %(since)s: %(why)s"),
        of=_of(account),
        since=clock(waits, now),
        why=Phrase(why.value),
    )
    state = State.WARNING if why in (Delay.SPENT, Delay.SLOW) else State.FAILED
    return Condition(subject("queue", account), state, words, waits)


def store(why: str, since: datetime | None, now: datetime) -> Condition:
    """The store cannot be written. `since` is None for a caller that looks only once."""
    words = Phrase(
        marked(
            "the store cannot be written%(since)s: %(why)s Letters and answers wait; none is lost"
        ),
        since=_begun(since, now),
        why=_cause(why),
    )
    return Condition("store", State.FAILED, words, since)


def disk(folder: str, free: int, total: int, *, full: bool) -> Condition:
    """The file system of the store or of the log has little room. `free`, `total`: in bytes."""
    text = (
        marked("the disk of %(what)s is full: %(free)s of %(total)s are free")
        if full
        else marked("the disk of %(what)s is nearly full: %(free)s of %(total)s are free")
    )
    words = Phrase(text, what=Phrase(DISKS[folder]), free=_size(free), total=_size(total))
    return Condition(f"disk of the {folder}", State.FAILED if full else State.WARNING, words)


def role(name: str, since: datetime, failures: int, why: str, again: datetime) -> Condition:
    """A part of the daemon stopped unasked and is started again."""
    words = counted(
        "the role %(name)s has stopped %(num)d time since %(since)s: %(why)s It starts again at"
        " %(again)s",
        "the role %(name)s has stopped %(num)d times since %(since)s: %(why)s It starts again at"
        " %(again)s",
        failures,
        name=name,
        since=clock(since, again),
        why=_cause(why),
        again=Instant(f"{again:%H:%M:%S} UTC", again),
    )
    state = State.FAILED if failures > 1 else State.WARNING
    return Condition(f"role {name}", state, words, since)


def job(name: str, since: datetime, why: str) -> Condition:
    """Something that is done by the clock failed; it is tried at its next time."""
    words = Phrase(
        marked("the job %(name)s has failed since %(since)s: %(why)s"),
        name=name,
        since=clock(since, since),
        why=Quote(why),
    )
    return Condition(f"job {name}", State.WARNING, words, since)


def time_zones(releases: Sequence[str]) -> Condition:
    """Gateways of one store use different time zone data; the last release is the newest."""
    *old, newest = sorted(releases)
    words = Phrase(
        marked(
            "gateways of this store use different time zone data (%(old)s and %(newest)s): where a"
            " government changed its clocks, their letters tell different times. Update the"
            " gateways that log another release than %(newest)s when they start"
        ),
        old=", ".join(old),
        newest=newest,
    )
    return Condition("time zones", State.WARNING, words)


def untrusted(host: str, error: ssl.SSLCertVerificationError, setting: str) -> str:
    """Why a server's certificate is not accepted; `setting`: what names other authorities."""
    words = f"the certificate of {host} is not accepted: {error.verify_message}"
    if error.verify_code in UNKNOWN_AUTHORITY:
        words += f"; its authority is not known here: {setting} names another"
    return words


def refused_sign_in(account: sections.Smtp | sections.Imap, key: str, host: str, words: str) -> str:
    """The server's words with what they leave out: who signed in where, and which setting says with
    what. `key`: the section's, for the message; `host`: as it was reached.
    """
    if account.sign_in == "xoauth2":
        by = f'{key}.sign_in = "xoauth2"'
    elif not account.username:
        by = f"no {key}.username"
    elif account.password_file:
        by = f'{key}.password_file = "{account.password_file}"'
    else:
        by = f"{key}.password" if account.password.get_secret_value() else f"no {key}.password_file"
    return f"{host or account.host} refused the sign-in of {account.username!r} ({by}): {words}"


def sentence(why: str) -> str:
    """Words of others, which may or may not end in a full stop."""
    return why if why.endswith((".", "!", "?")) else f"{why}."


def _cause(why: str) -> Quote:
    return Quote(sentence(why))


def _of(account: str) -> str:
    if account == accounts.DEFAULT:
        return ""
    return Phrase(marked(" of the account %(account)s"), account=account)


def _begun(since: datetime | None, now: datetime) -> str:
    return Phrase(marked(" since %(since)s"), since=clock(since, now)) if since is not None else ""


def _tries(number: int) -> Phrase:
    return counted("%(num)d try", "%(num)d tries", number)


def _size(octets: int) -> str:
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets // 1000} kB"
