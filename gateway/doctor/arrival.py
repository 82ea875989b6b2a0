"""Checks of whether answers arrive, and whether their senders can be believed: what the probe shows
(`actions.probing` has the words).
"""

from dataclasses import replace

from gateway import health
from gateway.actions import probing
from gateway.doctor.patients import Servers
from gateway.errors import GatewayError
from gateway.health import Condition, State


async def probe(servers: Servers) -> list[Condition]:
    """Whether a letter to a sub-address comes back."""
    subject = health.subject(probing.PROBE, servers.name)
    if not probing.applies(servers.account):
        words = "not tried: it needs both smtp.host and imap.host"
        return [Condition(subject, State.WARNING, words)]
    if await servers.patient.store_trouble():
        return [Condition(subject, State.WARNING, "not tried: it needs the store")]
    try:
        shown = await servers.probe()
    except GatewayError as error:
        words = f"sent, but it cannot be looked for: {error}"
        return [Condition(subject, State.FAILED, words)]
    lines = [line for line in shown if line.subject == subject]
    if lines:
        return lines
    words = "no probe has ended yet. Try one: invite-gateway doctor --roundtrip"
    return [Condition(subject, State.WARNING, words)]


async def authserv_id(servers: Servers) -> list[Condition]:
    """Whether our server says whom it has authenticated."""
    subject = health.subject(probing.AUTHSERV_ID, servers.name)
    configured = servers.patient.settings.policy.authserv_id
    shown: list[Condition] = []
    if probing.applies(servers.account) and not await servers.patient.store_trouble():
        try:
            shown = [line for line in await servers.probe() if line.subject == subject]
        except GatewayError:
            shown = []  # `probe` has said why
    if not configured:
        words = "policy.authserv_id is not set: answers without a token are held"
        shown = shown or [Condition(subject, State.OK, words)]
        return [replace(line, state=State.WARNING) for line in shown]
    return shown
