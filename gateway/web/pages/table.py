"""Every module of pages."""

from collections.abc import Callable, Sequence

from fastapi import FastAPI

from gateway.health import Condition
from gateway.web.pages import (
    diary,
    editing,
    follow_up,
    follow_ups,
    invitations,
    me,
    people,
    picking,
    settling,
    suggestions,
    timing,
    troubles,
    undoing,
    waiting,
)
from gateway.web.pages.admin import (
    brake,
    configuration,
    connections,
    letters,
    overview,
    review,
    settings,
    users,
)

ADMIN = (overview, letters, review, brake, connections, users, configuration, settings)
DIALOGS = (editing, timing, settling, picking)
MODULES = (
    waiting,
    diary,
    invitations,
    *DIALOGS,
    follow_ups,
    follow_up,
    people,
    suggestions,
    troubles,
    undoing,
    me,
    *ADMIN,
)
"""`/follow-ups/new` is no key of a follow-up, so dialogs come first."""


def install(app: FastAPI, wrong: Callable[[], Sequence[Condition]]) -> None:
    """The pages in an application, behind its door. `wrong`: the troubles of the installation."""
    app.state.troubles = wrong
    for module in MODULES:
        app.include_router(module.router)
