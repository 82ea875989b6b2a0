"""Routes that show follow-ups, and what belongs to them."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Path, Query
from fastapi.responses import Response

from gateway import shapes
from gateway.actions import histories, letters
from gateway.actions.desk import Desk
from gateway.errors import InputError, NotFound, Refused
from gateway.followups import permission
from gateway.followups.permission import Answer, Verb
from gateway.ical import ics
from gateway.model import Edition
from gateway.store import filters, followups, outbox, reading, stated
from gateway.store.filters import Participants
from gateway.store.stated import Site
from gateway.web.api import filtering, models, shown
from gateway.web.api.asking import Json, Listing, Pages, Reading
from gateway.web.api.filtering import FollowUpFilters
from gateway.web.api.routes import On, Routes
from gateway.web.keys import Key

routes = Routes("follow-ups")

Number = Annotated[int, Path(alias="id", ge=1, le=2**53)]
Expand = Annotated[
    Literal["participants"] | None, Query(description="With the participants of each.")
]


@routes.get("/follow-ups", Verb.SEE, On.LIST, answer=models.page_of(models.FollowUpShape))
async def every(asked: Pages, criteria: FollowUpFilters, expand: Expand = None) -> Response:
    """Follow-ups by filters, by key; with from or to by their beginning, with q by title"""

    def look(desk: Desk) -> Listing:
        asked_for = criteria(desk)
        place = filtering.follow_up_place(asked, asked_for)
        page = filters.follow_ups(desk.connection, desk.actor, asked_for, asked.limit, place)
        people = expand is not None
        return filtering.listing(page, lambda keys: shown.follow_ups(desk, keys, people=people))

    return await asked.read(look)


@routes.get("/follow-ups/{key}.ics", Verb.SEE, On.FOLLOW_UP)
async def calendar(key: Key, asked: Reading) -> Response:
    """The follow-up as a calendar object, which asks nobody (METHOD:PUBLISH)"""
    kind = "text/calendar; charset=utf-8; method=PUBLISH"
    return await asked.read_file(lambda desk: _calendar(desk, key), kind)


@routes.get(
    "/follow-ups/{key}",
    Verb.OUTLINE,
    On.FOLLOW_UP,
    answer=models.FollowUpShape | models.OutlineShape,
)
async def one(key: Key, asked: Reading) -> Response:
    """One follow-up with its participants, as PUT takes it

    Administrators see of a private one key, times and delivery.
    """

    def look(desk: Desk) -> Json:
        whom = desk.require(Verb.OUTLINE, key)
        is_seen = permission.may(desk.actor, Verb.SEE, whom) is Answer.YES
        return shown.follow_up(desk, key) if is_seen else shown.outline(desk, key)

    return await asked.read(look)


@routes.get(
    "/follow-ups/{key}/participants",
    Verb.SEE,
    On.FOLLOW_UP,
    answer=models.page_of(models.ParticipantShape),
)
async def participants(key: Key, asked: Pages) -> Response:
    """Who takes part, except who was removed"""

    def look(desk: Desk) -> Listing:
        desk.require(Verb.SEE, key)
        after = filtering.number_place(asked)
        criteria = Participants(follow_up=key)
        page = filters.participants(desk.connection, desk.actor, criteria, asked.limit, after)
        return filtering.listing(page, lambda numbers: shown.rows(desk, numbers))

    return await asked.read(look)


@routes.get(
    "/follow-ups/{key}/letters", Verb.SEE, On.FOLLOW_UP, answer=models.page_of(models.LetterShape)
)
async def mails(key: Key, asked: Pages) -> Response:
    """Its letters, oldest first, with what mail servers said of them"""

    def look(desk: Desk) -> Listing:
        desk.require(Verb.SEE, key)
        after = filtering.number_place(asked)
        rows = outbox.page(desk.connection, key, after, asked.limit + 1)
        return filtering.numbered(asked, rows, lambda page: _letters(desk, page))

    return await asked.read(look)


@routes.get(
    "/follow-ups/{key}/journal", Verb.SEE, On.FOLLOW_UP, answer=models.page_of(models.EntryShape)
)
async def journal(key: Key, asked: Pages) -> Response:
    """What happened to it, oldest first"""

    def look(desk: Desk) -> Listing:
        desk.require(Verb.SEE, key)
        after = filtering.number_place(asked)
        rows = histories.entries(desk.connection, after, asked.limit + 1, key)
        return filtering.numbered(asked, rows, lambda page: [shapes.entry(entry) for entry in page])

    return await asked.read(look)


@routes.get("/letters/{id}", Verb.EDIT, On.LETTER)
async def mail(number: Number, asked: Reading) -> Response:
    """A letter as the mail that leaves; it holds the invitee's own answer links"""

    def look(desk: Desk) -> bytes:
        absent = NotFound(f"there is no letter {number}")
        queued = letters.get(desk.connection, number)
        try:
            desk.require(Verb.EDIT, queued.follow_up)
        except NotFound:
            raise absent from None
        return letters.Writer.at(desk.connection, desk.settings).mail(queued.letter)

    return await asked.read_file(look, "message/rfc822", f"{number}.eml")


def _letters(desk: Desk, queued: Sequence[outbox.Queued]) -> list[Json]:
    views = letters.shown(desk.connection, desk.settings, queued, words=True)
    return [shapes.letter(view) for view in views]


def _edition(desk: Desk, key: str) -> Edition | None:
    mail, members = desk.settings.mail, followups.members(desk.connection, key)
    try:
        return stated.edition(desk.connection, key, Site(mail.timezone, mail.language), members)
    except InputError as error:
        raise Refused(f"no calendar can say it: {error}") from None


def _calendar(desk: Desk, key: str) -> bytes:
    desk.require(Verb.SEE, key)
    edition = _edition(desk, key)
    if edition is None or not edition.uid:
        raise Refused("it has no UID yet; ask again in a moment")
    [view] = reading.follow_ups(desk.connection, [key], desk.settings.mail.timezone)
    owner = followups.owner(desk.connection, key)
    at = view.changed_at or view.created_at
    return ics.published(edition, at, owner.address if owner is not None else "")
