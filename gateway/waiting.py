"""Waiting for the first of several events, or for a time."""

import asyncio


async def first(*events: asyncio.Event, seconds: float) -> None:
    """Return when one of the events is set, at the latest after `seconds`."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
