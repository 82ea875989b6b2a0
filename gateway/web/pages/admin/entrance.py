"""Who comes to the pages of administrators, and what all of them share."""

from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request

from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.web import door

PREFIX = "/admin"
PAGE = 50
"""Rows of a list; the next ones are a page of their own."""


def administrator(request: Request) -> None:
    """Raises `Forbidden` for everybody else."""
    permission.require(door.user(request.scope).actor, Verb.OPERATE)


def router() -> APIRouter:
    """For a module of these pages."""
    guard = Depends(administrator)
    return APIRouter(prefix=PREFIX, include_in_schema=False, dependencies=[guard])


def address(path: str, **said: object) -> str:
    """A page below /admin, with what is said of it and not empty."""
    query = urlencode({name: value for name, value in said.items() if value}, doseq=True)
    return f"{PREFIX}{path}" + (f"?{query}" if query else "")
