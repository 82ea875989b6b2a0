"""My settings: what I prefer, where I am signed in, and my diary for calendar programs (domain.md
§11).
"""

import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from babel import Locale
from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway import i18n
from gateway.actions import diary_feeds, directory, users
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, InputError
from gateway.followups import preferences
from gateway.followups.preferences import OFF, WEEKDAYS
from gateway.store import diary_feeds as feeds
from gateway.store import preferences as stored
from gateway.store import users as sessions
from gateway.web import diary_feed
from gateway.web.pages.forms import Filled
from gateway.web.pages.visit import Facts, Visit, Visiting

router = APIRouter(include_in_schema=False)

LENGTHS = ("meeting_minutes", "call_minutes", "task_minutes")
ALARMS = (0, 5, 10, 15, 30, 60, 120, 24 * 60)
"""Minutes before that are offered; others that were stated stay."""
MIDNIGHT = ("00:00", "24:00")
"""How the end of a day stands in a field of a form, and in a preference."""


@router.get("/me")
async def me(here: Visiting) -> Response:
    """What I prefer, my sessions, my diary's link"""
    return await here.page("pages/me.html", lambda desk: _facts(here, desk))


@router.post("/me/preferences")
async def prefer(here: Visiting) -> Response:
    """What is filled in counts; what is left empty is as the site has it"""
    said = await Filled.read(here.request)

    def command(desk: Desk) -> str:
        directory.prefer(desk, directory.own(desk), _stated(said))
        return "/me"

    return await here.write(command, "saved")


@router.post("/me/sessions/end")
async def end(here: Visiting, session: Annotated[str, Form(max_length=100)]) -> Response:
    """Signed out there"""
    site, user = here.site, here.user
    await site.run(lambda: users.end_session(site.store, user, session))
    return here.lead("/me", "ended")


@router.post("/me/feed")
async def renew(here: Visiting) -> Response:
    """A new link, which is shown this once"""
    if not here.user.associate:
        return await here.problem(Forbidden(here.texts.gettext("You have no diary.")))
    site, user = here.site, here.user
    secret = await site.run(lambda: diary_feeds.renew(site.store, user, here.now))
    link = diary_feed.address(site.settings, secret)
    return await here.page("pages/me.html", lambda desk: {**_facts(here, desk), "link": link})


@router.post("/me/feed/revoke")
async def revoke(here: Visiting) -> Response:
    """The link shows nothing any more"""
    site, user = here.site, here.user
    await site.run(lambda: diary_feeds.revoke(site.store, user))
    return here.lead("/me", "revoked")


def _facts(here: Visit, desk: Desk) -> Facts:
    number, connection = here.user.id, desk.connection
    opened = sessions.sessions(connection, [number], here.now)
    return {
        **(_preferred(here, desk) if here.user.associate else {"own": None}),
        "user": here.user,
        "sessions": opened.get(number, []),
        "current": sessions.handle(here.request.state.session),
        "feed": feeds.of(connection, number),
        "link": "",
    }


def _preferred(here: Visit, desk: Desk) -> Facts:
    who, connection = here.user.associate, desk.connection
    said = stored.stated(connection, [who])[who]
    return {"own": _own(here, said), "choices": _choices(here, stored.of(connection, stored.SITE))}


def _own(here: Visit, said: Mapping[str, object]) -> dict[str, Any]:
    """What is stated, as fields of a form; the hours as they count."""
    own = {name: "" if said.get(name) is None else said[name] for name in preferences.NAMES}
    hours: Any = said.get("working_hours")
    own["has_hours"] = hours is not None
    counting: Any = preferences.as_stated(here.preferences)["working_hours"]
    days = counting if hours is None else hours
    own["hours"] = {name: _fields(days.get(name)) for name in WEEKDAYS}
    return own


def _fields(hours: list[str] | None) -> tuple[str, str]:
    if hours is None:
        return "", ""
    return hours[0], MIDNIGHT[0] if hours[1] == MIDNIGHT[1] else hours[1]


def _choices(here: Visit, site: preferences.Preferences) -> Facts:
    """What there is to choose from, and what the site has."""
    counting, mail = preferences.as_stated(site), here.site.settings.mail
    language = i18n.choose([site.language, mail.language])
    names = {name: _language(name) for name in i18n.available()}
    weekdays = {name: here.texts.weekday(day) for day, name in enumerate(WEEKDAYS)}
    return {
        "site": counting | {"timezone": site.timezone or mail.timezone},
        "site_language": names[language],
        "languages": sorted(names.items(), key=lambda one: one[1]),
        "zones": _zones(),
        "weekdays": weekdays,
        "alarms": ALARMS,
        "off": OFF,
    }


def _language(name: str) -> str:
    """ "norsk bokmål", as its people say."""
    shown = Locale.parse(name).get_display_name() or name
    return shown[:1].upper() + shown[1:]


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    """Those that are named for a place."""
    apart = ("Etc/", "SystemV/", "US/")
    names = zoneinfo.available_timezones()
    return tuple(sorted(name for name in names if "/" in name and not name.startswith(apart)))


def _stated(said: Filled) -> dict[str, object]:
    """A form as preferences are stated; None: as the site has it."""
    stated: dict[str, object] = {name: _number(name, said[name]) for name in LENGTHS}
    stated |= {name: said[name] or None for name in ("first_weekday", "timezone", "language")}
    alarm = said["alarm_minutes"]
    stated["alarm_minutes"] = OFF if alarm == OFF else _number("alarm_minutes", alarm)
    stated["working_hours"] = _hours(said) if said["own_hours"] else None
    return stated


def _number(name: str, text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise InputError(f"{name}: a number of minutes, as 45")
    return int(text)


def _hours(said: Filled) -> dict[str, list[str]]:
    hours = dict[str, list[str]]()
    for day in WEEKDAYS:
        begin, end = said[f"{day}_from"][:5], said[f"{day}_to"][:5]
        if begin and end:
            hours[day] = [begin, MIDNIGHT[1] if end == MIDNIGHT[0] else end]
        elif begin or end:
            raise InputError(f"{day}: from and to, or neither")
    return hours
