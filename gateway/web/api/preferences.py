"""Routes of preferences: one's own, and the site's (docs/api.md; domain.md §11).

The answer has what counts, whoever stated it; `stated` names what is stated here. A change is a
merge patch, and null takes back what was stated.
"""

from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel

from gateway.actions import directory, load_format
from gateway.actions.desk import Desk
from gateway.followups import permission
from gateway.followups import preferences as rules
from gateway.followups.permission import Verb
from gateway.store import preferences
from gateway.web.api.asking import Changing, Json, Reading
from gateway.web.api.routes import On, Routes

routes = Routes("preferences")


class PreferencesShape(BaseModel):
    """What counts, and what of it is stated here."""

    meeting_minutes: int
    call_minutes: int
    task_minutes: int
    working_hours: dict[str, list[str]]
    first_weekday: str
    alarm_minutes: int | str
    timezone: str
    language: str
    stated: list[str]


@routes.get("/preferences", Verb.SEE, On.OWN, answer=PreferencesShape)
async def own(asked: Reading) -> Response:
    """One's own preferences"""
    return await asked.read(lambda desk: _shape(desk, directory.own(desk)))


@routes.patch(
    "/preferences", Verb.SEE, On.OWN, answer=PreferencesShape, example={"call_minutes": 20}
)
async def prefer(said: load_format.SitePreferences, asked: Changing) -> Response:
    """Prefer something else; null takes back what one preferred"""

    def command(desk: Desk) -> Json:
        return _change(desk, directory.own(desk), said, asked)

    return await asked.write(command)


@routes.get("/site/preferences", Verb.SEE, On.SITE, answer=PreferencesShape)
async def site(asked: Reading) -> Response:
    """What counts for who prefers nothing else"""
    return await asked.read(lambda desk: _shape(desk, preferences.SITE))


@routes.patch(
    "/site/preferences",
    Verb.DEFINE,
    On.SITE,
    answer=PreferencesShape,
    example={"working_hours": {"monday": ["08:00", "16:00"], "tuesday": ["08:00", "16:00"]}},
)
async def define(said: load_format.SitePreferences, asked: Changing) -> Response:
    """Change what counts for who prefers nothing else; null takes it back"""

    def command(desk: Desk) -> Json:
        permission.require(desk.actor, Verb.DEFINE)
        return _change(desk, preferences.SITE, said, asked)

    return await asked.write(command)


def _change(
    desk: Desk, who: str, said: load_format.SitePreferences, asked: Changing
) -> dict[str, Any]:
    asked.match(_shape(desk, who))
    directory.prefer(desk, who, said.model_dump(exclude_unset=True))
    return _shape(desk, who)


def _shape(desk: Desk, who: str) -> dict[str, Any]:
    stated = preferences.stated(desk.connection, [who])[who]
    counting = rules.as_stated(preferences.of(desk.connection, who))
    mail = desk.settings.mail
    counting["timezone"] = counting["timezone"] or mail.timezone
    counting["language"] = counting["language"] or mail.language
    return {**counting, "stated": [name for name in rules.NAMES if name in stated]}
