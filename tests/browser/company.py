"""A company whose gateway, mail servers and browsers are real: the daemon, Postfix, Dovecot and
Chromium. Kari and Per sign in; invitees read their mailboxes by IMAP and answer by SMTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page

from gateway.sandbox import reading
from gateway.sandbox.clients import Client, Invitee, Word
from gateway.sandbox.reading import Invitation
from tests import stores
from tests.rig import dovecot, mailbox, postfix, process
from tests.wire import gateway_process
from tests.wire.gateway_process import Gateway

DEADLINE = 60_000.0
HOSTILE = "<img src=x onerror=alert(1)> \"'&{{7*7}}"
"""What stays text wherever it stands."""
START = (datetime.now(UTC) + timedelta(days=8)).replace(hour=9, minute=0, second=0, microsecond=0)
PAGE_SECONDS = "50"
"""The letters of the page wait until `Company.post`: so that what is taken back is so in time, and
nobody waits for anything else.
"""


@dataclass
class Company:
    """`browsers`: whose they are, by name; `complaints`: of every console, and dialogs that some
    text of a stranger opened.
    """

    gateway: Gateway
    invites: mailbox.Mailbox
    postfix: postfix.Server
    server: dovecot.Server
    url: str
    invitees: dict[str, mailbox.Mailbox] = field(default_factory=dict)
    browsers: dict[str, BrowserContext] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    # Browsers

    def sign_in(self, browser: Browser, who: str, name: str = "", **facts: Any) -> BrowserContext:
        """Another browser of somebody, by a link that works once."""
        context = browser.new_context(locale="nb-NO", **facts)
        context.set_default_timeout(DEADLINE)
        self.browsers[name or who] = context
        tab = context.new_page()
        link = self.gateway.command("user", "password", who, "--link").split()[-1]
        tab.goto(link)
        tab.close()
        return context

    def open(self, name: str, path: str = "/") -> Page:
        """A page in somebody's browser, whose console is listened to."""
        tab = self.browsers[name].new_page()
        tab.on("console", lambda said: self._note(f"{name}: {said.text}"))
        tab.on("pageerror", lambda error: self._note(f"{name}: {error}"))
        tab.on("dialog", self._dismiss)
        tab.goto(self.url + path)
        return tab

    def _dismiss(self, dialog: Dialog) -> None:
        self._note(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note(self, text: str) -> None:
        # The browser itself says of every answer with 4xx that it failed.
        if "Failed to load resource" not in text:
            self.complaints.append(text)

    # Mail

    def invitee(self, name: str, domain: str = "ext.example") -> mailbox.Mailbox:
        box = self.server.new_mailbox(name.split()[0].lower(), domain, name)
        self.invitees[name] = box
        return box

    def post(self) -> list[dict[str, Any]]:
        """What is owed leaves now; returns the letters that wait."""
        return self.gateway.objects("letters", "--pending")

    def letter(self, box: mailbox.Mailbox, method: str = "REQUEST", sequence: int = 0) -> bytes:
        """The newest letter of this kind with at least this SEQUENCE, once it is there."""

        def fits(message: Any) -> bool:
            calendar = mailbox.calendar_of(message)
            said = re.search(r"^SEQUENCE:(\d+)", calendar, re.MULTILINE)
            return f"\nMETHOD:{method}\n" in calendar and int(said[1] if said else 0) >= sequence

        self.post()
        box.wait_for(fits)
        return [raw for raw in box.raw_messages() if fits(mailbox.parse(raw))][-1]

    def answer(
        self,
        box: mailbox.Mailbox,
        client: Client,
        word: Word,
        comment: str = "",
        *,
        who: mailbox.Mailbox | None = None,
        sequence: int = 0,
    ) -> Invitation:
        """The reader of this mailbox answers; `who`: somebody else who has seen the letter."""
        invitation = reading.read(self.letter(box, sequence=sequence))
        writer = who or box
        answer = client(
            invitation, Invitee(writer.name, writer.address), word, comment, datetime.now(UTC)
        )
        self.postfix.send(answer.sender, [answer.recipient], answer.content)
        return invitation


@contextmanager
def working(
    folder: Path,
    postfix_server: postfix.Server,
    server: dovecot.Server,
    document: Callable[[Company], str],
) -> Iterator[Company]:
    """The company, with what `document` makes of its invitees' addresses in its store."""
    port = process.free_port()
    invites = server.new_mailbox("invites", postfix.OURS, "Acme CRM")
    settings = gateway_process.environment(
        f"sqlite:///{folder}/store.db",
        invites,
        postfix_server,
        WEB__LISTEN=f"127.0.0.1:{port}",
        OUTBOUND__PAGE_SECONDS=PAGE_SECONDS,
    )
    gateway = Gateway(settings)
    made = Company(gateway, invites, postfix_server, server, f"http://127.0.0.1:{port}")
    stores.upgraded(settings["GATEWAY_STORE__URL"])
    try:
        people = folder / "company.json"
        people.write_text(document(made), encoding="utf-8")
        gateway.command("load", str(people))
        for who in ("kari", "per"):
            gateway.command("user", "create", who, "--associate", who, "--link")
        gateway.start()
        yield made
    finally:
        for context in made.browsers.values():
            context.close()
        gateway.end()


def card(tab: Page, choice: str) -> Locator:
    """What waits and can be decided so."""
    return tab.locator(".decision").filter(has=tab.locator(f"[value={choice}]"))
