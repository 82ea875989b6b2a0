"""Signatures: the examples of the standards, every kind of letter before a foreign verifier, and
what must break one.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from gateway import accounts, settings
from gateway.errors import ConfigurationError, InputError
from gateway.ical import preflight
from gateway.mail import dkim
from gateway.model import Letter
from gateway.sections import Account
from gateway.writing import render
from tests import command
from tests.core import signing, specimens
from tests.core.specimens import MAIL, SECRET
from tests.rig import mail_dkim

LETTERS = [
    *(one for change in specimens.CHANGES for one in specimens.sample(change)),
    specimens.delegated(),
    specimens.passed_on(),
    specimens.words("Jeg blir nok litt sen.\n\n\n  Hilsen\tOla  \n\n"),
]
SIGNERS = {kind: signing.signer(kind) for kind in signing.KINDS}

# RFC 8463 appendix A: the message, its signature and its key.
FOOTBALL = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
FOOTBALL_SECRET = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
FOOTBALL_RECORD = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def signed(one: Letter, kind: str = "rsa") -> bytes:
    return render.render(one, MAIL, SECRET, signer=SIGNERS[kind])


def test_the_canonical_forms_of_rfc_6376() -> None:
    """§3.4.5, and what §3.4.4 says of bodies that are empty or end without CRLF."""
    assert dkim.relaxed_field(b"A: X") == b"a:X"
    assert dkim.relaxed_field(b"B : Y\t\r\n\tZ  ") == b"b:Y Z"
    assert dkim.relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    assert [
        dkim.relaxed_body(body)
        for body in (b"", b"\r\n\r\n", b" \t\r\n \r\n", b"x", b"x\r\n \r\n ")
    ] == [b"", b"", b"", b"x\r\n", b"x\r\n"]


def test_the_example_of_rfc_8463_is_signed_as_it_is_there() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(FOOTBALL_SECRET))
    signer = dkim.Signer(key, "brisbane", "football.example.com")
    assert (signer.name, signer.record) == (
        "brisbane._domainkey.football.example.com",
        FOOTBALL_RECORD,
    )
    header, _, body = FOOTBALL.partition(b"\r\n\r\n")
    assert base64.b64encode(hashlib.sha256(dkim.relaxed_body(body)).digest()) in header
    own, sender, to, subject, date, message_id = re.split(rb"\r\n(?=\S)", header)
    unsigned, _, signature = own.partition(b" b=")
    covered = b"\r\n".join(
        map(dkim.relaxed_field, [sender, to, subject, date, message_id, unsigned + b" b="])
    )
    assert base64.b64encode(signer.signature(covered)) == b"".join(signature.split())
    # Ours of the same message is good for the same key.
    assert signing.verifies(FOOTBALL, FOOTBALL_RECORD, signer.name)
    assert signing.verifies(
        signer.sign(FOOTBALL[FOOTBALL.index(b"From:") :]), FOOTBALL_RECORD, signer.name
    )


@pytest.mark.parametrize("kind", signing.KINDS)
def test_every_letter_verifies_and_a_repeat_is_the_same(kind: str) -> None:
    again = signing.signer(kind)
    for one in LETTERS:
        content = signed(one, kind)
        assert signing.verifies(content, SIGNERS[kind].record), content
        assert content == render.render(one, MAIL, SECRET, signer=again), (
            "a repeat is byte for byte the same"
        )
        assert content.endswith(render.render(one, MAIL, SECRET)), (
            "what is signed is what would have left"
        )
        assert preflight.check(content, one, MAIL.address) == []


@pytest.mark.real
def test_mail_dkim_finds_every_letter_good() -> None:
    good, signer = [signed(one) for one in LETTERS], SIGNERS["rsa"]
    bad = [
        good[0].replace(b"Kick-off", b"Kick-out"),
        good[0] + b"more\r\n",
        b"Subject: Pay\r\n" + good[0],
    ]
    zone = f'{signer.name}. IN TXT "{signer.record[:200]}" "{signer.record[200:]}"\n'
    *found, altered, longer, doubled = mail_dkim.verdicts([*good, *bad], zone)
    assert (len(found), {*found}) == (len(LETTERS), {"pass"})
    assert (altered[:4], longer, doubled[:4]) == ("fail", "fail (body has been altered)", "fail")


@pytest.mark.parametrize("kind", signing.KINDS)
def test_the_signature_covers_every_field_and_says_no_more_than_it_must(kind: str) -> None:
    content = signed(specimens.letter(), kind)
    fields = re.split(r"\r\n(?=\S)", content.partition(b"\r\n\r\n")[0].decode())
    assert max(map(len, fields[0].split("\r\n"))) <= 78
    tags = dict(
        tag.strip().split("=", 1)
        for tag in re.sub(r"\s+", "", fields[0].removeprefix("DKIM-Signature:")).split(";")
    )
    assert {name: tags[name] for name in "vacds"} == {
        "v": "1",
        "a": f"{kind}-sha256",
        "c": "relaxed/relaxed",
        "d": "crm.example",
        "s": "s1",
    }
    assert tags.keys() == {*"vacdshb", "bh"}, (
        "no l=, for it leaves room; no t=, for it would be another one in a repeat"
    )
    written = sorted(field.partition(":")[0] for field in fields[1:])
    assert {
        "From",
        "To",
        "Date",
        "Subject",
        "Reply-To",
        "Message-ID",
        "Content-Type",
        "MIME-Version",
        "Auto-Submitted",
    } <= {*written}
    assert sorted(tags["h"].split(":")) == sorted(
        [
            *written * 2,
            "Cc",
            "Content-Transfer-Encoding",
            "Content-Disposition",
            "Disposition-Notification-To",
        ]
    )


def altered(content: bytes, what: bytes, becomes: bytes) -> bytes:
    changed, number = re.subn(what, becomes, content, count=1, flags=re.MULTILINE)
    assert number == 1
    return changed


@pytest.mark.parametrize("kind", signing.KINDS)
@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (rb"^From: [^\r]*", b'From: "Kari" <invites@crm.example>'),
        (rb"^To: [^\r]*", b"To: eva@ext.example"),
        (rb"^Subject: ", rb"\g<0>Re: "),
        (rb"^Date: Fri", b"Date: Sat"),
        (rb"^Reply-To: [^\r]*", b"Reply-To: x@evil.example"),
        (rb"^Message-ID: <", rb"\g<0>x"),
        (rb"^Auto-Submitted: auto-generated", b"Auto-Submitted: no"),
        (rb"^Auto-Submitted: auto-generated\r\n", b""),
        *(
            (rb"\A", extra + b"\r\n")
            for extra in (
                b"From: Boss <boss@crm.example>",
                b"Subject: Pay",
                b"To: a@b.example",
                b"Date: Sat, 21 Nov 2026 04:15:00 +0000",
                b"Reply-To: x@evil.example",
                b"Content-Type: text/html",
                b"MIME-Version: 1.0",
                b"Message-ID: <x@crm.example>",
                b"Cc: boss@crm.example",
                b"Content-Transfer-Encoding: base64",
                b"Content-Disposition: attachment; filename=x.exe",
                b"Disposition-Notification-To: x@evil.example",
            )
        ),
        (rb"Kick-off\r\n=3D", b"Kick-out\r\n=3D"),
        (rb"\Z", b"<b>more</b>\r\n"),
        (rb"\r\n\r\n", b"\r\n\r\nmore\r\n"),
        (rb" d=crm\.example", b" d=ext.example"),
        (rb"; s=s1", b"; s=s2"),
        (rb"^ h=", b" h=Sender:"),
    ],
)
def test_what_somebody_changed_does_not_verify(kind: str, what: bytes, becomes: bytes) -> None:
    content = signed(specimens.letter(), kind)
    changed = altered(content, what, becomes)
    assert changed != content
    assert not signing.verifies(changed, SIGNERS[kind].record)


@pytest.mark.parametrize("kind", signing.KINDS)
@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        (
            rb"\A",
            b"Received: from a by b; Fri, 20 Nov 2026 04:15:00 +0000\r\nDelivered-To: ola@ext.example\r\n",
        ),
        *(
            (rb"\A", extra + b"\r\n")
            for extra in (
                b"Return-Path: <invites@crm.example>",
                b"Authentication-Results: mx.ext.example; dkim=pass",
                b"X-Spam-Status: No, score=-0.1",
                b"Sender: list@ext.example",
                b"List-Id: <list.ext.example>",
                b"List-Unsubscribe: <mailto:list@ext.example>",
                b"Resent-From: eva@ext.example",
                b"Precedence: list",
            )
        ),
        (rb"\r\n (?=boundary)", b"\r\n\t  "),
        (rb"^From: (.*) <", b"From:\r\n \\1\r\n <"),
        (rb"^Subject: ", b"subject:   "),
        (rb"\Z", b"\r\n\r\n"),
        (rb"kl\. 09\.00=E2", b"kl.  09.00=E2"),
        (rb"(?<=Kick-off)\r\n=3D", b" \t\\g<0>"),
    ],
)
def test_what_relays_do_leaves_the_signature_good(kind: str, what: bytes, becomes: bytes) -> None:
    assert signing.verifies(
        altered(signed(specimens.letter(), kind), what, becomes), SIGNERS[kind].record
    )


def test_another_key_does_not_verify_it() -> None:
    assert not signing.verifies(signed(specimens.letter()), signing.signer("rsa1024").record)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no private key in PEM"),
        ("secret", "is no private key in PEM"),
        (signing.pem("rsa")[:200], "is no private key in PEM"),
        (signing.pem("ec"), "is neither an RSA nor an Ed25519 key"),
    ],
)
def test_what_cannot_sign_is_refused_when_it_is_read(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}$"):
        dkim.key(text)


def test_a_public_key_or_one_with_a_passphrase_cannot_sign() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InputError, match="is no private key"):
        dkim.key(public.decode())
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    with pytest.raises(InputError, match="has a passphrase"):
        dkim.key(locked.decode())


def test_a_key_of_a_size_that_servers_need_not_verify_is_refused() -> None:
    p, q, e = (
        2**521 - 1,
        2**127 - 1,
        65537,
    )  # primes of Mersenne: no library makes such a key any more
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, p * q)
    )
    short = numbers.private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(InputError, match=r"648 bits; servers verify 1024 to 4096"):
        dkim.key(short.decode())
    assert dkim.key(signing.pem("rsa1024"))


def test_a_key_shows_in_no_repr() -> None:
    assert repr(SIGNERS["rsa"]) == "Signer(selector='s1', domain='crm.example')"


# --- as it is configured


def account(**mail: str) -> Account:
    return accounts.configured(
        settings.load(
            None,
            {
                "accounts": {
                    "sales": {
                        "mail": {"address": "sales@team.crm.example", "dkim_selector": "s1", **mail}
                    }
                }
            },
        )
    )["sales"]


def test_the_key_comes_from_a_file_a_credential_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.pem"
    file.write_text(f"The key of sales\r\n{signing.pem('ed25519')}", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    given = [
        account(dkim_key_file=str(file)),
        account(dkim_key_file="credential:key.pem", dkim_key="not this"),
        account(dkim_key=signing.pem("ed25519")),
    ]
    assert {signer.record for one in given if (signer := accounts.signer("sales", one))} == {
        SIGNERS["ed25519"].record
    }
    assert accounts.signer("sales", Account(mail=MAIL)) is None


@pytest.mark.parametrize(
    ("address", "given", "signs"),
    [
        ("sales@team.crm.example", "", "team.crm.example"),
        ("sales@team.crm.example", "CRM.example", "crm.example"),
        ("invites@crm", "", "crm"),
        ("post@blåbær.example", "", "xn--blbr-roah.example"),
        ("post@m.blåbær.example", "Blåbær.example", "xn--blbr-roah.example"),
        ("a@intern.vg.no", "vg.no", "vg.no"),
    ],
)
def test_the_domain_that_signs_is_that_of_from_or_above_it(
    address: str, given: str, signs: str
) -> None:
    one = account(address=address, dkim_domain=given, dkim_key=signing.pem("ed25519"))
    signer = accounts.signer("sales", one)
    assert signer is not None
    assert signer.domain == signs
    content = render.render(specimens.letter(), one.mail, SECRET, signer=signer)
    assert signing.verifies(content, signer.record, f"s1._domainkey.{signs}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read"),
        (b"", "nothing stands in"),
        (b"secret\n", "is no private key in PEM"),
        (b"\xff\xfe", "cannot read"),
        (signing.pem("ec").encode(), "is neither an RSA nor an Ed25519 key"),
    ],
)
def test_a_key_that_cannot_be_used_ends_the_daemon_at_its_start(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_bytes(content)
    assert administrator(tmp_path, "db", "upgrade").returncode == 0
    done = administrator(
        tmp_path,
        "run",
        "--only",
        "outbound",
        GATEWAY_MAIL__DKIM_SELECTOR="s1",
        GATEWAY_MAIL__DKIM_KEY_FILE=str(file),
    )
    complaint = done.stderr.splitlines()[-1]
    assert done.returncode == 78
    assert complaint.startswith("invite-gateway: mail.dkim_key_file: ")
    assert says in complaint
    assert str(file) in complaint
    assert "secret" not in done.stderr


def test_a_key_in_the_environment_is_named_by_its_setting() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^accounts\.sales\.mail\.dkim_key: what is given is no private key in PEM$",
    ):
        accounts.signer("sales", account(dkim_key="secret"))


def test_a_key_from_a_file_of_environment_variables_has_its_line_ends_escaped() -> None:
    """systemd's EnvironmentFile= and docker's --env-file give a variable one line."""
    for kind in signing.KINDS:
        pem = signing.pem(kind)
        for given in (pem, pem.strip()):
            signer = accounts.signer("sales", account(dkim_key=given.replace("\n", "\\n")))
            assert signer is not None
            assert signer.record == SIGNERS[kind].record


def test_one_accounts_unreadable_key_keeps_no_other_accounts_letters_from_being_written(
    tmp_path: Path,
) -> None:
    usual = {
        "GATEWAY_ACCOUNTS__SALES__OWNERS": '["eva"]',
        "GATEWAY_ACCOUNTS__SALES__MAIL__ADDRESS": "sales@team.crm.example",
        "GATEWAY_ACCOUNTS__UNUSED__MAIL__ADDRESS": "unused@crm.example",
        "GATEWAY_ACCOUNTS__UNUSED__MAIL__DKIM_SELECTOR": "s3",
        "GATEWAY_ACCOUNTS__UNUSED__MAIL__DKIM_KEY_FILE": "absent.pem",
        "GATEWAY_MAIL__DKIM_SELECTOR": "s1",
        "GATEWAY_MAIL__DKIM_KEY_FILE": "credential:dkim-key",
    }
    document = tmp_path / "document.json"
    document.write_text(
        json.dumps(
            {
                "associates": [{"key": "per", "name": "Per"}, {"key": "eva", "name": "Eva"}],
                "follow_ups": [
                    {
                        "key": key,
                        "owner": owner,
                        "title": "Kick-off",
                        "start": "2099-12-01T09:00:00",
                        "participants": [{"email": "ola@ext.example", "email_invite": True}],
                    }
                    for key, owner in (("m1", "per"), ("m2", "eva"))
                ],
            }
        )
    )
    assert administrator(tmp_path, "load", str(document), **usual).returncode == 0

    def written(**more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, str | None]]:
        done = administrator(
            tmp_path, "letters", "--json", "--write", str(tmp_path / "letters"), **usual, **more
        )
        return done, {
            row["follow_up"]: row["file"] for row in map(json.loads, done.stdout.splitlines())
        }

    done, files = written()
    assert done.returncode == 78
    assert files["m1"] is None
    assert files["m2"] is not None
    assert b"sales+" in Path(files["m2"]).read_bytes()
    for part in (
        "mail.dkim_key_file: credential:dkim-key",
        "CREDENTIALS_DIRECTORY",
        "no letter of account default was written",
    ):
        assert part in done.stderr

    (tmp_path / "dkim-key").write_text(signing.pem("rsa"), encoding="ascii")
    done, files = written(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert files["m1"] is not None
    assert signing.verifies(Path(files["m1"]).read_bytes(), SIGNERS["rsa"].record)


def administrator(
    folder: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    usual = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return command.run(
        *arguments,
        environment=usual
        | {
            "GATEWAY_STORE__URL": f"sqlite:///{folder}/store.db",
            "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
        }
        | settings,
    )


def test_the_record_to_publish_is_printed_for_each_account(tmp_path: Path) -> None:
    keys = {
        "GATEWAY_MAIL__DKIM_SELECTOR": "s1",
        "GATEWAY_MAIL__DKIM_KEY": signing.pem("rsa"),
        "GATEWAY_ACCOUNTS__SALES__MAIL__ADDRESS": "sales@team.crm.example",
        "GATEWAY_ACCOUNTS__SALES__MAIL__DKIM_SELECTOR": "s2",
        "GATEWAY_ACCOUNTS__SALES__MAIL__DKIM_DOMAIN": "crm.example",
        "GATEWAY_ACCOUNTS__SALES__MAIL__DKIM_KEY": signing.pem("ed25519"),
        "GATEWAY_ACCOUNTS__OTHER__MAIL__ADDRESS": "other@crm.example",
    }
    rsa_record, ed25519_record = SIGNERS["rsa"].record, SIGNERS["ed25519"].record
    assert [
        json.loads(line)
        for line in administrator(tmp_path, "dkim", "--json", **keys).stdout.splitlines()
    ] == [
        {
            "account": "default",
            "name": "s1._domainkey.crm.example",
            "type": "TXT",
            "value": rsa_record,
        },
        {
            "account": "sales",
            "name": "s2._domainkey.crm.example",
            "type": "TXT",
            "value": ed25519_record,
        },
    ]
    assert administrator(tmp_path, "dkim", **keys).stdout.splitlines() == [
        "; account default: rsa, 2048 bits",
        f's1._domainkey.crm.example. IN TXT "{rsa_record[:255]}" "{rsa_record[255:]}"',
        "; account sales: ed25519, 256 bits",
        f's2._domainkey.crm.example. IN TXT "{ed25519_record}"',
    ]
    none = administrator(tmp_path, "dkim")
    assert (none.returncode, none.stdout) == (1, "")
    assert "mail.dkim_selector" in none.stderr


def test_a_key_that_cannot_be_used_keeps_no_other_accounts_record_back(tmp_path: Path) -> None:
    keys = {
        "GATEWAY_MAIL__DKIM_SELECTOR": "s1",
        "GATEWAY_MAIL__DKIM_KEY_FILE": "absent.pem",
        **{
            f"GATEWAY_ACCOUNTS__{name}__MAIL__{key}": value
            for name, pem in (("SALES", signing.pem("ed25519")), ("WRONG", "secret"))
            for key, value in (
                ("ADDRESS", f"{name.lower()}@crm.example"),
                ("DKIM_SELECTOR", "s2"),
                ("DKIM_KEY", pem),
            )
        },
    }
    for arguments in ((), ("--json",)):
        done = administrator(tmp_path, "dkim", *arguments, **keys)
        assert done.returncode == 78
        assert SIGNERS["ed25519"].record in done.stdout
        assert "default" not in done.stdout
        [told] = done.stderr.splitlines()
        for part in (
            "mail.dkim_key_file: ",
            "absent.pem",
            "accounts.wrong.mail.dkim_key: what is given is no private key in PEM",
        ):
            assert part in told


def test_a_weak_key_signs_and_is_complained_of(tmp_path: Path) -> None:
    done = administrator(
        tmp_path,
        "dkim",
        GATEWAY_MAIL__DKIM_SELECTOR="s1",
        GATEWAY_MAIL__DKIM_KEY=signing.pem("rsa1024"),
    )
    assert done.returncode == 0
    assert "the key that signs letters is weak" in done.stderr
    assert "1024" in done.stderr
