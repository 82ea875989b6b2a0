"""Roles apart, in two real processes: whoever asks the one with the page for its numbers hears of
the other, which has none.
"""

import re
import time
from pathlib import Path

import httpx
import pytest

from tests.rig import mailbox
from tests.rig import postfix as postfix_server
from tests.rig.process import free_port
from tests.wire import gateway_process
from tests.wire.gateway_process import HURRIED, Gateway

LOOK = re.compile(r'(?m)^invite_gateway_mailbox_look_time_seconds\{.*gateway="(.+)"\} (\d+)')


@pytest.mark.real
def test_what_a_process_without_a_page_measures_is_told_by_the_other(
    tmp_path: Path, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    began, port = time.time(), free_port()
    url = f"sqlite:///{tmp_path / 'store.db'}"
    settings = gateway_process.environment(
        url, invites, postfix, WEB__LISTEN=f"127.0.0.1:{port}", IMAP__POLL_SECONDS="1"
    )
    mail, page = Gateway(settings, HURRIED), Gateway(settings, HURRIED)

    def told() -> str:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text

    try:
        mail.command("db", "upgrade")
        mail.start("outbound,inbound,jobs")
        page.start("web")
        text = page.wait_for(told, lambda text: bool(LOOK.search(text)), what="when it looked")
        [(whose, looked)] = LOOK.findall(text)
        assert whose.endswith(f":{mail.process.pid}")
        assert int(looked) >= int(began)
        assert re.search(rf'role_stops_total\{{role="inbound",gateway="{whose}"\}} 0', text)
        assert 'invite_gateway_role_stops_total{role="web"} 0' in text
        start = re.findall(r"(?m)^invite_gateway_start_time_seconds (\S+)", text)
        assert float(start[0]) >= began, "the start of the process that it was forked from"
        assert mail.stop() == 0
        page.wait_for(told, lambda text: not LOOK.search(text), what="nothing more of it")
    finally:
        mail.end()
        page.end()
