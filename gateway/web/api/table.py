"""Every module of routes below /api/v1. A route that is in none of them answers nobody."""

from fastapi import FastAPI

from gateway.web.api import (
    access,
    activities,
    changes,
    decisions,
    diary,
    directory,
    follow_up_verbs,
    follow_ups,
    importing,
    openapi,
    participant_verbs,
    participants,
    persons,
    preferences,
    queue,
    review,
    webhooks,
)
from gateway.web.api.gate import Gate
from gateway.web.api.routes import Methods, Right
from gateway.web.api.site import Site
from gateway.web.door import Door

MODULES = (
    access.routes,
    activities.routes,
    changes.routes,
    decisions.routes,
    diary.routes,
    directory.routes,
    follow_up_verbs.routes,
    follow_ups.routes,
    importing.routes,
    participant_verbs.routes,
    participants.routes,
    persons.routes,
    preferences.routes,
    queue.routes,
    review.routes,
    webhooks.routes,
)


def rights() -> list[Right]:
    """The whole table: every route, and who may ask it."""
    return [right for module in MODULES for right in module.rights]


def install(app: FastAPI, site: Site) -> None:
    """The API in an application, behind its gate."""
    app.state.site = site
    app.state.methods = Methods(rights())
    for module in MODULES:
        app.include_router(module.router)
    openapi.install(app, rights())
    app.add_middleware(Gate)
    app.add_middleware(Door)
