"""The letters of the outbox, for people: what is owed, and the very bytes that would leave."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway import accounts, sections, shapes
from gateway import settings as configuration
from gateway.actions import mail_accounts, planning
from gateway.errors import InputError, NotFound
from gateway.i18n import marked
from gateway.model import Letter, LetterState
from gateway.store import followups, meta, outbox
from gateway.store.engine import Connection, Store
from gateway.store.outbox import Queued
from gateway.writing import render

SHOWN = tuple(state for state in LetterState if state is not LetterState.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Listing:
    """Letters, oldest first; `keys`: the participants' keys by number;
    `secret`: what rendering them needs.
    """

    letters: Sequence[Queued]
    keys: Mapping[int, str]
    secret: bytes


def plan(store: Store, settings: configuration.Settings, now: datetime) -> None:
    """Plan everything that changed, as the daemon would once the coalescing windows are over.
    Sends nothing.
    """
    mail_accounts.revive(store, settings, now)
    planning.plan_due(store, settings, now, everything=True)


def listings(store: Store, *, pending: bool = False) -> Iterator[Listing]:
    """The outbox, some letters at a time. `pending`: only those that have not come to an end."""
    with store.write() as connection:
        secret = meta.site_secret(connection)
    chosen = outbox.Selection(states=outbox.OPEN if pending else SHOWN)
    with store.read() as connection:
        for letters in outbox.each(connection, chosen):
            numbers = sorted({letter.participant for letter in letters})
            members = followups.members(connection, ids=numbers)
            yield Listing(letters, {member.id: member.key for member in members}, secret)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes letters as the sender does, with the settings and the key of their account."""

    settings: configuration.Settings
    secret: bytes
    accounts: Mapping[str, sections.Account]

    @classmethod
    def at(cls, connection: Connection, settings: configuration.Settings) -> "Writer":
        return cls(settings, meta.site_secret(connection), accounts.configured(settings))

    def words(self, letter: Letter) -> render.Written:
        """Raises `InputError` for what no mail can say."""
        mail = self._account(letter).mail
        return render.written(letter, mail, self.secret, self.settings.answer.site)

    def mail(self, letter: Letter) -> bytes:
        """The mail that leaves, signed where its account signs."""
        account = self._account(letter)
        receipt = self.settings.outbound.request_receipt
        signer = accounts.signer(letter.account, account)
        return render.render(
            letter,
            account.mail,
            self.secret,
            receipt=receipt,
            signer=signer,
            page=self.settings.answer.site,
        )

    def _account(self, letter: Letter) -> sections.Account:
        account = self.accounts.get(letter.account)
        if account is None:
            raise InputError(
                marked("%(account)s is no mail account any more"), account=letter.account
            )
        return account


def shown(
    connection: Connection,
    settings: configuration.Settings,
    queued: Sequence[Queued],
    *,
    words: bool = False,
) -> list[shapes.Letter]:
    """Letters as they are shown, with what servers said of them. `words`: with subject and text."""
    writer = Writer.at(connection, settings) if words else None
    participants = sorted({letter.participant for letter in queued})
    members = followups.members(connection, ids=participants)
    keys = {member.id: member.key for member in members}
    tries = outbox.tries(connection, [letter.id for letter in queued])
    return [_shown(letter, keys, tries.get(letter.id, ()), writer) for letter in queued]


def _shown(
    queued: Queued,
    keys: Mapping[int, str],
    tries: Sequence[outbox.Attempt],
    writer: Writer | None,
) -> shapes.Letter:
    letter = queued.letter
    view = shapes.Letter(
        id=queued.id,
        follow_up=queued.follow_up,
        participant=queued.participant,
        key=keys.get(queued.participant, letter.address),
        to=letter.address,
        language=letter.language,
        method=letter.method.value,
        sequence=letter.sequence,
        instance=letter.date,
        state=queued.state,
    )
    view = replace(
        view,
        note=queued.note,
        tries=queued.tries,
        created_at=queued.created_at,
        due_at=queued.due_at,
        settled_at=queued.settled_at,
        attempts=tuple(map(_attempt, tries)),
    )
    return view if writer is None else _written(view, letter, writer)


def _written(view: shapes.Letter, letter: Letter, writer: Writer) -> shapes.Letter:
    try:
        written = writer.words(letter)
    except InputError as error:
        return replace(view, fault=str(error))
    return replace(view, mail=shapes.Mail(written.subject, written.text, written.html))


def _attempt(tried: outbox.Attempt) -> shapes.Attempt:
    return shapes.Attempt(
        tried.started_at,
        tried.verdict,
        tried.step,
        tried.code,
        tried.enhanced,
        tried.text,
        tried.host,
    )


def get(connection: Connection, number: int) -> Queued:
    """Raises `NotFound`."""
    letters = outbox.find(connection, outbox.Selection(numbers=(number,)))
    if not letters:
        raise NotFound(marked("there is no letter %(number)s"), number=number)
    return letters[0]
