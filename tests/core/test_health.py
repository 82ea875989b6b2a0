"""The words of what is wrong, how bad it is, and what is told of several at once."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from gateway import health, sections
from gateway.actions import health as troubles
from gateway.health import Board, Condition, Failure, State

NOW = datetime(2026, 11, 29, 11, 46, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=23)
GB, MB = 1_000_000_000, 1_000_000


def test_a_mailbox_that_cannot_be_read() -> None:
    why = "cannot reach mail.crm.example:5999: Connection refused"
    told = health.mailbox("default", Failure(SINCE, 13, why, NOW))
    assert told == Condition(
        "mailbox",
        State.FAILED,
        "the mailbox has not been read since 11:23 UTC (13 tries): cannot reach"
        " mail.crm.example:5999: Connection refused. Answers wait there; none is lost. Next try"
        " 11:46 UTC",
        SINCE,
    )
    assert health.mailbox("default", Failure(SINCE, 1, why, NOW), lost=True).state is State.WARNING
    refused = health.mailbox("default", Failure(SINCE, 1, why, NOW), refused=True)
    assert refused.words.endswith("11:46 UTC, or at once after: systemctl restart invite-gateway")
    other = health.mailbox("sales", Failure(SINCE - timedelta(days=1), 2, "no.", NOW))
    assert other.subject == "mailbox sales"
    assert other.words.startswith(
        "the mailbox of the account sales has not been read since 2026-11-28 11:23 UTC (2 tries):"
        " no. Answers"
    )


@pytest.mark.parametrize(
    ("failures", "sure", "state"),
    [(1, False, State.WARNING), (2, False, State.FAILED), (1, True, State.FAILED)],
)
def test_one_failure_of_a_server_may_pass_by_itself(
    failures: int, sure: bool, state: State
) -> None:
    told = health.sending("default", Failure(SINCE, failures, "535 no", NOW), NOW, sure=sure)
    assert (told.subject, told.state) == ("sending", state)
    assert ("systemctl restart" in told.words) is sure


@pytest.mark.parametrize(
    ("started", "settles"),
    [
        (None, False),
        (NOW, True),
        (NOW - health.GRACE + timedelta(seconds=1), True),
        (NOW - health.GRACE, False),
        (NOW + timedelta(hours=1), False),  # the clock was set back
    ],
)
def test_a_gateway_that_has_just_started_settles(started: datetime | None, settles: bool) -> None:
    assert health.settling(started, NOW) is settles


def test_letters_that_are_held_name_the_rule_and_the_command() -> None:
    told = health.letters(20, 1, "P15: header: a bare CR", every=True)
    assert told == Condition(
        "letters",
        State.FAILED,
        "no letter passes preflight: 20 letters are held, for clients would refuse them: P15:"
        " header: a bare CR. This is a fault of the gateway, not of the record. See:"
        " invite-gateway queue show 1",
    )
    some = health.letters(1, 7, "P3: none", every=False)
    assert some.state is State.WARNING
    assert some.words.startswith("1 letter is held, for clients would refuse it: P3: none.")


@pytest.mark.parametrize(
    ("total", "free", "crowded", "state"),
    [
        (100 * GB, GB, False, None),
        (100 * GB, 199 * MB, False, State.WARNING),
        (100 * GB, 20 * MB, False, State.FAILED),
        (100 * GB, 0, False, State.FAILED),
        (100 * GB, GB, True, State.FAILED),
        # a small disk: a tenth of it, and a tenth of that
        (64 * MB, 7 * MB, False, None),
        (64 * MB, 6 * MB, False, State.WARNING),
        (64 * MB, 500_000, False, State.FAILED),
    ],
)
def test_a_disk_is_nearly_full_before_it_is_full(
    total: int, free: int, crowded: bool, state: State | None
) -> None:
    assert troubles.room(total, free, crowded, 200) is state


def test_the_words_of_a_disk_say_how_much_is_left() -> None:
    told = health.disk("log", 12_340_000, 8 * GB, full=False)
    assert (told.subject, told.state, told.words) == (
        "disk of the log",
        State.WARNING,
        "the disk of the log is nearly full: 12.3 MB of 8.0 GB are free",
    )


@pytest.mark.parametrize(
    ("code", "named"), [(18, True), (19, True), (20, True), (21, True), (10, False), (62, False)]
)
def test_an_unknown_authority_names_the_setting_and_an_expired_one_does_not(
    code: int, named: bool
) -> None:
    error = ssl.SSLCertVerificationError(1, "no")
    error.verify_code, error.verify_message = code, "unable to get local issuer certificate"
    words = health.untrusted("mail.crm.example", error, "imap.ca_file")
    assert words.startswith(
        "the certificate of mail.crm.example is not accepted: unable to get local issuer"
    )
    assert words.endswith("imap.ca_file names another") is named


@pytest.mark.parametrize(
    ("section", "by"),
    [
        ({"password_file": "credential:smtp-password"}, 'smtp.password_file = "credential:smtp-'),
        ({"password": "hunter2"}, "(smtp.password)"),
        ({}, "(no smtp.password_file)"),
        ({"sign_in": "xoauth2", "password_file": "x"}, '(smtp.sign_in = "xoauth2")'),
        ({"username": "", "password": "hunter2"}, "(no smtp.username)"),
    ],
)
def test_a_refused_sign_in_names_the_user_and_the_setting(section: dict[str, str], by: str) -> None:
    account = sections.Smtp(**{"host": "mail.crm.example", "username": "invites"} | section)
    said = health.refused_sign_in(account, "smtp", "mail.crm.example:587", "535 5.7.8 no")
    assert said.startswith(f"mail.crm.example:587 refused the sign-in of {account.username!r} (")
    assert by in said
    assert said.endswith("): 535 5.7.8 no")
    assert "hunter2" not in said


def test_one_line_tells_all_what_failed_first() -> None:
    conditions = [
        Condition("store", State.OK),
        Condition("role web", State.WARNING, "the role web has stopped"),
        Condition("mailbox", State.FAILED, "the mailbox has not been read"),
    ]
    assert health.line(conditions, "running: web") == (
        "running; the mailbox has not been read; the role web has stopped"
    )
    assert health.line(conditions[:1], "running: web") == "running: web"
    assert [health.worst(conditions[:count]) for count in (1, 2, 3)] == list(State)


def test_a_board_tells_of_changes_alone() -> None:
    board, changes = Board(), list[int]()
    board.changed = lambda: changes.append(1)
    told = health.role("web", SINCE, 1, "no", NOW)
    for _ in range(2):
        board.report(told)
    assert (board.conditions(), len(changes)) == ([told], 1)
    for _ in range(2):
        board.clear("role web")
    assert (board.conditions(), len(changes)) == ([], 2)


def test_what_was_bad_before_is_so_since_then() -> None:
    disk = Condition("disk", State.WARNING, "nearly full", SINCE)
    worse, other = Condition("disk", State.FAILED, "full", NOW), Condition("x", State.FAILED)
    lasting = health.lasting([worse, other], [disk])
    assert lasting == [Condition("disk", State.FAILED, "full", SINCE), other]
