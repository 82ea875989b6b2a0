"""`invite-gateway setup`: by flags and at a terminal, against real servers; and that what it writes is
what the daemon takes.
"""

import os
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway import settings
from gateway.setup import plan, presets
from tests import command
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server
from tests.rig import terminal
from tests.wire import gateway_process

ROOT = Path(__file__).parents[2]
BARE = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def flags(
    folder: Path, dovecot: dovecot_server.Server, postfix: postfix_server.Server
) -> list[str]:
    (folder / "password").write_text(f"{dovecot_server.PASSWORD}\n")
    return [
        *("--preset", "dovecot", "--address", "invites@crm.example", "--organisation", "Acme AS"),
        *("--smtp-host", "127.0.0.1", "--set", f"smtp.port={postfix.submission_port}"),
        *("--imap-host", "127.0.0.1", "--set", f"imap.port={dovecot.imap_port}"),
        *("--set", "smtp.security=none", "--set", "imap.security=none", "--username", "invites"),
        *("--store", f"sqlite:///{folder / 'store.db'}", "--folder", str(folder / "etc")),
    ]


def rights(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.mark.real
def test_by_flags_what_works_is_written_with_the_right_rights(
    tmp_path: Path, dovecot: dovecot_server.Server, postfix: postfix_server.Server
) -> None:
    given = flags(tmp_path, dovecot, postfix)
    folder = tmp_path / "etc"
    done = command.run("setup", *given, environment=BARE)
    assert (done.returncode, "--password-file: is needed" in done.stderr) == (2, True)
    (tmp_path / "wrong").write_text("wrong\n")
    done = command.run(
        "setup", *given, "--password-file", str(tmp_path / "wrong"), environment=BARE
    )
    assert (done.returncode, "nothing was written" in done.stderr) == (1, True)
    assert "failed:  smtp: no letter can leave" in done.stdout
    assert "failed:  imap: the mailbox at" in done.stdout
    assert not folder.exists()

    good = [*given, "--password-file", str(tmp_path / "password")]
    done = command.run("setup", *good, environment=BARE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "what is left to do:" in done.stdout
    file = folder / "gateway.toml"
    assert dovecot_server.PASSWORD not in done.stdout + file.read_text()
    assert {path.name: rights(path) for path in (folder, *folder.iterdir())} == {
        "etc": "0o755",
        "gateway.toml": "0o644",
        "smtp-password": "0o600",
        "imap-password": "0o600",
    }
    folder.chmod(0o750)
    # Written over only when somebody says so, and nothing of it stays where it is refused.
    before = file.read_text()
    done = command.run("setup", *good, "--organisation", "Other AS", environment=BARE)
    assert (done.returncode, "is there already" in done.stderr) == (1, True)
    assert file.read_text() == before
    assert command.run("setup", *good, "--force", environment=BARE).returncode == 0
    assert rights(folder) == "0o750"  # as somebody wants it; doctor says what it means

    # What is left to do, as it says: credentials lie beside the settings for who works by hand.
    by_hand = {**BARE, "GATEWAY_CONFIG": str(file)}
    assert command.run("config", "check", environment=by_hand).returncode == 0
    assert command.run("db", "upgrade", environment=by_hand).returncode == 0
    done = command.run("doctor", "--roundtrip", environment=by_hand)
    assert "failed" not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.real
def test_at_a_terminal_it_asks_tries_and_asks_once_more(
    tmp_path: Path, dovecot: dovecot_server.Server, postfix: postfix_server.Server
) -> None:
    folder = tmp_path / "etc"
    ports = [
        *("--set", f"smtp.port={postfix.submission_port}", "--set", "smtp.security=none"),
        *("--set", f"imap.port={dovecot.imap_port}", "--set", "imap.security=none"),
        *("--folder", str(folder), "--store", f"sqlite:///{tmp_path / 'store.db'}"),
    ]
    with terminal.running(
        [gateway_process.PROGRAM, "setup", *ports], what="setup", env=BARE, cwd=tmp_path
    ) as screen:

        def answer(question: str, said: str) -> None:
            screen.wait(question)
            screen.press(f"{said}\r")

        answer("Which kind of mail server", "dovecot")
        for password in ("wrong", dovecot_server.PASSWORD):
            answer(r"mailbox \(invites@your.domain\):$", "invites@crm.example")
            answer(r"as invitees know it:$", "Acme AS")
            answer(r"SMTP server \[mail.crm.example\]:$", "127.0.0.1")
            answer(r"IMAP server \[mail.crm.example\]:$", "127.0.0.1")
            answer(r"nobody\) \[invites@crm.example\]:$", "invites")
            answer(r"SMTP password:$", password)
            answer(r"empty: the same\):$", "")
            if password == "wrong":
                screen.wait("failed:  imap")
                answer(r"Say it once more\? \[Y/n\]:$", "y")
                screen.screen.feed("\x1b[2J\x1b[H")
        assert screen.ended() == 0
        assert dovecot_server.PASSWORD not in str(screen.screen)
    written = tomllib.loads((folder / "gateway.toml").read_text())
    assert written["mail"] == {"address": "invites@crm.example", "name": "Acme AS"}
    assert (folder / "imap-password").read_text() == f"{dovecot_server.PASSWORD}\n"


@pytest.mark.parametrize("name", presets.read())
def test_a_preset_is_settings_that_hold_and_a_page(name: str, tmp_path: Path) -> None:
    preset = presets.read()[name]
    given = {"mail.address": "invites@crm.example", "smtp.username": "x", "imap.username": "x"}
    blank = {
        f"{section}.{key}": "11111111-2222"
        for section, values in preset.of("crm.example").items()
        for key, value in values.items()
        if value == ""
    }
    made = plan.made(preset, given | blank, {"smtp.password": "secret"})
    effective = settings.load(None, {name: dict(one) for name, one in made.settings.items()})
    assert effective.imap.host
    assert "{" not in effective.smtp.host
    pages = (ROOT / "docs" / "mailboxes.md").read_text(encoding="utf-8")
    headings = [line[3:] for line in pages.splitlines() if line.startswith("## ")]
    anchors = ["-".join(re_words(heading)) for heading in headings]
    assert preset.page in anchors
    assert f"`{name}`" in pages


def re_words(heading: str) -> list[str]:
    return "".join(c if c.isalnum() or c == " " else "" for c in heading.lower()).split()


def test_a_relay_without_sign_in_and_a_postgresql_store(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    given = [
        *("--address", "invites@crm.example", "--set", "smtp.username=-", "--no-check"),
        *("--password-file", str(tmp_path / "password"), "--folder", str(tmp_path / "etc")),
        *("--store", "postgresql://gateway@db/gateway"),
        *("--store-password-file", str(tmp_path / "password")),
    ]
    done = command.run("setup", *given, environment=BARE)
    assert done.returncode == 0
    assert "db upgrade" in done.stdout
    written = tomllib.loads((tmp_path / "etc" / "gateway.toml").read_text())
    assert "username" not in written["smtp"]
    assert written["imap"]["username"] == "invites@crm.example"
    assert written["store"]["password_file"] == "credential:store-password"
    assert sorted(path.name for path in (tmp_path / "etc").iterdir()) == [
        "gateway.toml",
        "imap-password",
        "store-password",
    ]
    unit = (ROOT / "systemd" / "invite-gateway.service").read_text(encoding="utf-8")
    for name in ("smtp-password", "imap-password", "store-password", "oauth-client-secret"):
        assert f"LoadCredential={name}:/etc/invite-gateway/{name}\n" in unit


@pytest.mark.real
def test_a_postgresql_store_takes_its_password_from_a_file(
    tmp_path: Path, postgres_url: str
) -> None:
    parts = urlsplit(postgres_url)
    assert parts.password
    bare = postgres_url.replace(f":{parts.password}@", "@")
    (tmp_path / "password").write_text(f"{parts.password}\n")
    environment = {
        **BARE,
        "GATEWAY_STORE__URL": bare,
        "GATEWAY_STORE__PASSWORD_FILE": str(tmp_path / "password"),
    }
    assert command.run("db", "upgrade", environment=environment).returncode == 0
    assert command.run("db", "check", environment=environment).stdout == "ok\n"
    (tmp_path / "password").write_text("wrong-one\n")
    done = command.run("db", "check", environment=environment)
    assert (done.returncode, "wrong-one" in done.stderr) == (1, False)
    assert "password authentication failed" in done.stderr
