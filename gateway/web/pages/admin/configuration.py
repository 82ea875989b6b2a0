"""The settings in effect, read-only, as `invite-gateway config show` prints them: they stand in a
file and in the environment, which this program does not write. Secrets are masked.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi.responses import Response

from gateway import sections
from gateway import settings as configuration
from gateway.actions.desk import Desk
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.web.pages.admin import entrance
from gateway.web.pages.visit import Facts, Visiting

router = entrance.router()

Row = tuple[str, str, str]
"""A key, its value as TOML has it, and what it means."""


@router.get("/settings/configuration")
async def show(here: Visiting) -> Response:
    """Every setting in effect"""

    def look(desk: Desk) -> Facts:
        permission.require(desk.actor, Verb.OPERATE)
        return {"sections": list(_sections(configuration.shown(desk.settings)))}

    return await here.page("pages/admin/configuration.html", look)


def _sections(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Row]]]:
    """Each section with its settings, those of further accounts too."""
    for name, section in values.items():
        rows = [
            (key, json.dumps(value, ensure_ascii=False), _meaning(name, key))
            for key, value in section.items()
            if not isinstance(value, dict) and value is not None
        ]
        if rows:
            yield f"{prefix}{name}", rows
        inner = {key: value for key, value in section.items() if isinstance(value, dict)}
        yield from _sections(inner, f"{prefix}{name}.")


def _meaning(section: str, key: str) -> str:
    """What the documentation of the settings says; "" for names that administrators give."""
    fields = configuration.Settings.model_fields | sections.Account.model_fields
    model = type(fields[section].default) if section in fields else sections.Account
    field = getattr(model, "model_fields", {}).get(key)
    return (field.description or "") if field is not None else ""
