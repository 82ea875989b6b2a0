"""Debian's Chromium, headless, for playwright: it talks to nobody but the pages under test."""

from __future__ import annotations

from typing import Any

from tests import rig

FLAGS = (
    "--headless",
    "--no-sandbox",  # the sandbox refuses to run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str:
    """Path of the browser."""
    return rig.need("chromium", "chromium")


def launch_options() -> dict[str, Any]:
    """Keyword arguments for playwright's `chromium.launch(...)`."""
    return {"executable_path": executable(), "args": list(FLAGS), "headless": True}
