"""What is wrong with an installation, in words for its administrator; one place for all of them.

A *condition* is one thing that can be wrong: its subject, how bad it is, and a sentence that says
what happened, since when, what becomes of letters and answers meanwhile, and what to do. The same
sentences stand in `/readyz`, `status`, `queue shape`, systemd's STATUS line and on the page, and
docs/operations.md explains each subject. Pure, except for `Board`, which remembers.
"""

import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gateway import accounts, sections

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

    NOBODY = "nobody sends it (is invite-gateway run there?)"
    RESTS = "the account rests"
    SPENT = "outbound.per_day letters have left in 24 hours; it goes when these are over"
    SLOW = "letters leave, but more slowly than they are written (outbound.per_minute?)"


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be wrong. `subject`: what, e.g. `mailbox` or `mailbox sales`."""

    subject: str
    state: State
    words: str = ""
    since: datetime | None = None


class Board:
    """What this process itself knows to be wrong, by subject. Writing on it never fails and never
    waits; `daemon.health` carries it to the store. To be used from the event loop's thread.
    """

    def __init__(self, started: datetime | None = None) -> None:
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

    def conditions(self) -> list[Condition]:
        """All that was said, in the order in which it began."""
        return list(self._conditions.values())


def subject(what: str, account: str) -> str:
    """The subject of what an account has of its own: `mailbox`, `mailbox sales`."""
    return what if account == accounts.DEFAULT else f"{what} {account}"


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
    before = {condition.subject: condition for condition in old}
    return [
        replace(condition, since=known.since)
        if (known := before.get(condition.subject)) is not None
        and known.state is not State.OK
        and known.since is not None
        else condition
        for condition in new
    ]


def clock(moment: datetime, now: datetime) -> str:
    """A moment as people read it: `11:23 UTC`, with the date where it is not today's."""
    return f"{moment:%H:%M} UTC" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M} UTC"


def mailbox(
    account: str, since: datetime, tries: int, why: str, again: datetime, *, lost: bool = False
) -> Condition:
    """The mailbox cannot be read. `again`: when it is tried next; `lost`: it worked until now, and
    nobody knows yet whether the next try cures it.
    """
    words = (
        f"the mailbox{_of(account)} has not been read since {clock(since, again)}"
        f" ({_times(tries, 'try', 'tries')}): {sentence(why)}"
        f" Answers wait there; none is lost. Next try {clock(again, again)}"
    )
    state = State.WARNING if lost else State.FAILED
    return Condition(subject("mailbox", account), state, words, since)


def not_moved(account: str, folder: str, why: str) -> Condition:
    """Messages that are dealt with cannot be moved."""
    words = (
        f"messages stay in the mailbox{_of(account)}, for the folder {folder!r} does not take them:"
        f" {why}. Answers count all the same"
    )
    return Condition(subject("folders", account), State.WARNING, words)


def another(account: str, folder: str) -> Condition:
    """A gateway with another store, or with a copy of this one, reads the mailbox, too."""
    words = (
        f"another gateway with a store of its own reads the folder {folder!r}{_of(account)}: it"
        " wrote there to see whether answers arrive. Mail that names no invitation of ours is left"
        " where it lies, for it may be the other's. Give each store a mailbox of its own"
        " (docs/operations.md, Several gateways)"
    )
    return Condition(subject("another gateway", account), State.WARNING, words)


def webhook(
    number: int, why: str, since: datetime | None, waiting: int, now: datetime
) -> Condition:
    """A program that wants to be told of answers does not take them, or has said that it is gone
    (`since` None).
    """
    again = f"invite-gateway webhook change {number} --on"
    if since is None:
        words = (
            f"webhook {number} is switched off, for its receiver says that it is gone:"
            f" {sentence(why)} If it is there again: {again}"
        )
    else:
        words = (
            f"webhook {number} has taken nothing since {clock(since, now)}: {sentence(why)}"
            f" {_times(waiting, 'event waits', 'events wait')}, each up to three days. See:"
            f" invite-gateway webhook deliveries {number}; when it is mended: {again}"
        )
    return Condition(subject("webhook", str(number)), State.WARNING, words, since)


def sending(
    account: str,
    since: datetime,
    until: datetime,
    failures: int,
    why: str,
    now: datetime,
    *,
    sure: bool,
) -> Condition:
    """The account rests. `sure`: a person is needed; otherwise one failure may pass by itself."""
    words = (
        f"sending{_of(account)} has rested since {clock(since, now)}"
        f" ({_times(failures, 'try', 'tries')}): {sentence(why)}"
        f" Letters wait; none is lost. Next try {clock(until, now)}"
    )
    if sure:
        words += ", or at once after: systemctl restart invite-gateway"
    state = State.FAILED if sure or failures > 1 else State.WARNING
    return Condition(subject("sending", account), state, words, since)


def paused(since: datetime | None, by: str, now: datetime) -> Condition:
    """Somebody lets no letter leave. `since`: None where the settings say so."""
    if since is None:
        words = (
            "sending is paused by the settings (outbound.paused): letters are planned and wait."
            " Take it out and restart to let them leave"
        )
    else:
        words = (
            f"sending is paused since {clock(since, now)} by {by}: letters are planned and wait."
            " Let them leave: invite-gateway queue resume"
        )
    return Condition("paused", State.WARNING, words, since)


def letters(held: int, first: int, why: str, *, every: bool) -> Condition:
    """Letters that preflight holds. `first`: the oldest one's number; `every`: none has passed
    since.
    """
    words = (
        f"{_times(held, 'letter is', 'letters are')} held, for clients would refuse"
        f" {'it' if held == 1 else 'them'}: {sentence(why)} This is a fault of the gateway, not"
        f" of the record. See: invite-gateway queue show {first}"
    )
    if every:
        words = f"no letter passes preflight: {words}"
    return Condition("letters", State.FAILED if every else State.WARNING, words)


def brake(letters: int, follow_ups: int, since: datetime | None, now: datetime) -> Condition:
    """The brake holds letters. `since`: when the first of their follow-ups was changed."""
    begun = f" since {clock(since, now)}" if since is not None else ""
    about = _times(follow_ups, "follow-up", "follow-ups")
    words = (
        f"{_times(letters, 'letter', 'letters')} about {about}"
        f" {'is' if letters == 1 else 'are'} held{begun}: too many were cancelled or moved within a"
        " minute. See: invite-gateway queue list --brake. If it is meant, let them leave:"
        " invite-gateway queue release --brake. If not, put the record back, and nobody hears of it"
    )
    return Condition("brake", State.FAILED, words, since)


def review(shrunk: int, megabytes: int) -> Condition:
    """More waits for review than is kept."""
    words = (
        f"of {_times(shrunk, 'mail', 'mails')} that {'waits' if shrunk == 1 else 'wait'} for review"
        f" only the header is kept: more than {megabytes} MB waited (inbound.review_megabytes), or"
        " they have waited for too long (retention.review_days). The mails lie whole in the"
        " mailbox. Decide on them: invite-gateway review list"
    )
    return Condition("review", State.WARNING, words)


def queue(account: str, waits: datetime, now: datetime, why: Delay) -> Condition:
    """A letter has been due for long. Red where nothing leaves, and nobody wanted it so."""
    words = f"a letter{_of(account)} has waited since {clock(waits, now)}: {why}"
    state = State.WARNING if why in (Delay.SPENT, Delay.SLOW) else State.FAILED
    return Condition(subject("queue", account), state, words, waits)


def store(why: str, since: datetime | None, now: datetime) -> Condition:
    """The store cannot be written. `since` is None for whoever looks only once."""
    begun = f" since {clock(since, now)}" if since is not None else ""
    words = (
        f"the store cannot be written{begun}: {sentence(why)}"
        " Letters and answers wait; none is lost"
    )
    return Condition("store", State.FAILED, words, since)


def disk(what: str, free: int, total: int, *, full: bool) -> Condition:
    """The file system of the store or of the log has little room. `free`, `total`: in bytes."""
    words = (
        f"the disk of the {what} is {'full' if full else 'nearly full'}:"
        f" {_size(free)} of {_size(total)} are free"
    )
    return Condition(f"disk of the {what}", State.FAILED if full else State.WARNING, words)


def role(name: str, since: datetime, failures: int, why: str, again: datetime) -> Condition:
    """A part of the daemon stopped unasked and is started again."""
    words = (
        f"the role {name} has stopped {_times(failures, 'time', 'times')} since"
        f" {clock(since, again)}: {sentence(why)} It starts again at {again:%H:%M:%S} UTC"
    )
    state = State.FAILED if failures > 1 else State.WARNING
    return Condition(f"role {name}", state, words, since)


def job(name: str, since: datetime, why: str) -> Condition:
    """Something that is done by the clock failed; it is tried at its next time."""
    words = f"the job {name} has failed since {clock(since, since)}: {why}"
    return Condition(f"job {name}", State.WARNING, words, since)


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


def _of(account: str) -> str:
    return "" if account == accounts.DEFAULT else f" of the account {account}"


def _times(number: int, single: str, plural: str) -> str:
    return f"{number} {single if number == 1 else plural}"


def _size(octets: int) -> str:
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets // 1000} kB"


def time_zones(releases: Sequence[str]) -> Condition:
    """Gateways of one store use different time zone data; the last release is the newest."""
    *old, newest = sorted(releases)
    words = (
        f"gateways of this store use different time zone data ({', '.join(old)} and {newest}): "
        "where a government changed its clocks, their letters tell different times. Update the "
        f"gateways that log another release than {newest} when they start"
    )
    return Condition("time zones", State.WARNING, words)
