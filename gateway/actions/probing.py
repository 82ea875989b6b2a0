"""What a probe shows (`mail.probe`), and where it is told: `findings` in words, everything else in
one transaction each.

What a probe found holds for the installation, whichever gateway probed, so it is told as a
condition of the site. Each finding says what happens to answers meanwhile, and what to do.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway import accounts, health
from gateway.health import Condition, State
from gateway.i18n import Phrase, Quote, marked
from gateway.mail import probe
from gateway.sections import Account
from gateway.settings import Settings
from gateway.store import conditions, meta, pace, probes
from gateway.store.engine import Connection, Store
from gateway.store.probes import End, Probe

PROBE, AUTHSERV_ID, ANOTHER = "probe", "authserv_id", "another gateway"
"""Subjects of findings; an account's name follows them."""
HAPPENED = {
    End.REFUSED: marked("%(server)s refuses mail to %(to)s: %(said)s"),
    End.BOUNCED: marked("mail to %(to)s comes back undelivered: %(said)s"),
    End.SILENT: marked("mail to %(to)s is taken and never reaches the mailbox"),
}
"""What became of a probe that our server took or should have taken."""
UNTIL_THEN = marked("Until then answers without a token are held")


def applies(account: Account) -> bool:
    """Whether there is a way out and a mailbox: only then can a probe come back."""
    return bool(account.smtp.host and account.imap.host)


def findings(
    name: str, account: Account, authserv_id: str, state: probes.State
) -> tuple[Condition, ...]:
    """What the last probe of an account shows: one condition for each subject, also where all is
    well. Nothing before the first one ended.
    """
    result = state.result
    if result is None:
        return ()
    lines = [_arrival(name, account, result)]
    if result.writers is not None:
        lines.append(_writer(name, authserv_id, result.writers))
    return tuple(lines)


def _arrival(name: str, account: Account, result: probes.Result) -> Condition:
    subject, probed = health.subject(PROBE, name), result.probe
    if result.end is End.RETURNED:
        seconds = max(0.0, (result.at - (probed.sent or probed.begun)).total_seconds())
        return Condition(
            subject, State.OK, f"a letter to {_shape(probed)} came back after {seconds:.0f} s"
        )
    facts: dict[str, str] = {
        "server": account.smtp.host,
        "to": _shape(probed),
        "said": Quote(probe.without_marks(result.words)),
    }
    if result.end is End.UNSENT:
        words = marked(
            "%(server)s did not take the probe: %(said)s. Letters to invitees may fare alike"
        )
        return Condition(subject, State.WARNING, Phrase(words, **facts))
    words = marked("%(happened)s. Answers of invitees are lost in the same way. %(cure)s")
    happened = Phrase(HAPPENED[result.end], **facts)
    phrase = Phrase(words, happened=happened, cure=_cure(name, probed))
    return Condition(subject, State.FAILED, phrase)


def _cure(name: str, probed: Probe) -> Phrase:
    section = accounts.section(name)
    if probed.plain:
        words = marked(
            "See that %(section)smail.address is the address of the mailbox that %(section)simap"
            " reads, and look into its spam folder and filters"
        )
    else:
        words = marked(
            "Let the server deliver sub-addresses of %(mailbox)s to it (Postfix and Dovecot:"
            ' recipient_delimiter = +), or set %(section)smail.organizer_address = "plain"'
        )
    return Phrase(words, section=section, mailbox=probed.mailbox)


def _shape(probed: Probe) -> str:
    """The address without the mark, which is another one each time."""
    return probed.mailbox if probed.plain else probe.recipient(probed.mailbox, "…", plain=False)


def _writer(name: str, authserv_id: str, writers: tuple[str, ...]) -> Condition:
    subject = health.subject(AUTHSERV_ID, name)
    others = [writer for writer in writers if writer != authserv_id.lower()]
    if authserv_id and authserv_id.lower() in writers:
        return Condition(
            subject, State.OK, f"our server writes Authentication-Results of {authserv_id}"
        )
    if not authserv_id:
        seen = (
            f"; our server writes {others[0]}, which may be set where it removes such headers from"
            " incoming mail"
            if others
            else ""
        )
        words = f"policy.authserv_id is not set: answers without a token are held{seen}"
        return Condition(subject, State.OK, words)
    if others:
        words = marked(
            "policy.authserv_id is %(ours)s, but our server writes %(theirs)s."
            ' Set policy.authserv_id = "%(theirs)s". %(until_then)s'
        )
    else:
        words = marked(
            "policy.authserv_id is %(ours)s, but our server wrote no such"
            " Authentication-Results into the probe, so anybody could write them: fields of that"
            " name are not believed. Let the server write them into all mail, what we send"
            " included, or leave policy.authserv_id out. %(until_then)s"
        )
    theirs = others[0] if others else ""
    phrase = Phrase(words, ours=authserv_id, theirs=theirs, until_then=Phrase(UNTIL_THEN))
    return Condition(subject, State.WARNING, phrase)


def begin(
    store: Store, settings: Settings, name: str, now: datetime, *, starting: bool, asked: bool
) -> Probe | None:
    """A probe that begins now, if it is time for one: for a person who asks it always is.

    None while the account rests: another try to sign in could lock it.
    """
    account = accounts.configured(settings)[name]
    usual = None if asked else timedelta(hours=settings.inbound.probe_hours)
    with store.write() as connection:
        if not asked and any(
            account_rest.account == name for account_rest in pace.resting(connection)
        ):
            return None
        begun = Probe(
            probe.mark(meta.site_secret(connection), now),
            account.mail.address,
            account.mail.organizer_address == "plain",
            now,
        )
        return begun if probes.begin(connection, name, begun, usual, starting=starting) else None


def sent(store: Store, name: str, begun: Probe, now: datetime) -> None:
    """Our server took it."""
    with store.write() as connection:
        probes.sent(connection, name, begun.mark, now)


def ended(store: Store, settings: Settings, name: str, result: probes.Result) -> None:
    """It did not come back; nothing changes where it did meanwhile."""
    mark, now = result.probe.mark, result.at
    with store.write() as connection:
        if probes.ended(connection, name, mark, result.end, result.words, now):
            tell(connection, settings, [name], now)


def came(
    connection: Connection, settings: Settings, sighting: probe.Sighting, now: datetime
) -> bool:
    """A probe, or a report about one, was found in a mailbox; in the transaction that remembers how
    far this was read. Returns whether it said something new.
    """
    is_news = probes.came(connection, sighting, now)
    if is_news:
        tell(connection, settings, accounts.configured(settings), now)
    return is_news


def state(store: Store, name: str) -> probes.State:
    """What is known of an account's probes."""
    with store.read() as connection:
        return probes.state(connection, name)


def retell(store: Store, settings: Settings, name: str, now: datetime) -> None:
    """Say again what the last probe showed; settings may be others than they were."""
    with store.write() as connection:
        tell(connection, settings, [name], now)


def tell(connection: Connection, settings: Settings, names: Iterable[str], now: datetime) -> None:
    """Make the conditions of the site say what the probes of these accounts show. Where probes are
    off nobody would take it back.
    """
    if not settings.inbound.probe:
        return
    configured = accounts.configured(settings)
    for name in names:
        shown = findings(
            name, configured[name], settings.policy.authserv_id, probes.state(connection, name)
        )
        for condition in shown:
            conditions.report(connection, conditions.SITE, condition, now)
        said = {condition.subject for condition in shown}
        for subject in {health.subject(what, name) for what in (PROBE, AUTHSERV_ID)} - said:
            conditions.clear(connection, conditions.SITE, subject)


def forget(store: Store, settings: Settings, name: str) -> None:
    """Take back what probes of an account showed, where probes are off now."""
    if settings.inbound.probe:
        return
    with store.write() as connection:
        probes.forget(connection, name)
        for what in (PROBE, AUTHSERV_ID):
            conditions.clear(connection, conditions.SITE, health.subject(what, name))


def concerns(condition: Condition, names: Iterable[str]) -> bool:
    """Whether a condition may be of these accounts: False for what a probe showed of another, which
    was removed from the settings since, so that nobody would take it back.
    """
    what = condition.subject.split(" ")[0]
    return what not in (PROBE, AUTHSERV_ID) or condition.subject in {
        health.subject(what, name) for name in names
    }


def note_another(connection: Connection, settings: Settings, account: str, now: datetime) -> None:
    """A probe of another store was found in the mailbox: say so until none has come for two
    days.
    """
    folder = accounts.configured(settings)[account].imap.folder
    conditions.report(connection, conditions.SITE, health.another(account, folder), now)


def another_since(connection: Connection, settings: Settings, now: datetime) -> set[str]:
    """The accounts of whose mailboxes that stands."""
    subjects = {condition.subject for condition in conditions.read(connection, now)}
    return {
        name for name in accounts.configured(settings) if health.subject(ANOTHER, name) in subjects
    }


def server_writes(connection: Connection, account: str | None, settings: Settings) -> bool | None:
    """Whether our own server writes fields of policy.authserv_id into every mail; None until a
    probe came back.

    account: the one whose mailbox a message came to. None: nobody knows (a file), so one account
    whose server writes none is enough to say no.
    """
    authserv_id = settings.policy.authserv_id.lower()
    if not authserv_id or not settings.inbound.probe:
        return None
    asked = accounts.configured(settings) if account is None else [account]
    seen = [authserv_id in own_names for own_names in probes.writers(connection, asked)]
    return all(seen) if seen else None
