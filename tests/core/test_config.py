"""Settings: what is read before what, what a wrong one says,
and that the example and `config show` tell the truth.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.command
from gateway import accounts, settings
from gateway.cli import config, context
from gateway.errors import ConfigurationError
from gateway.store.engine import Store
from tests.rig import process

EXAMPLE = Path(__file__).parents[2] / "config" / "gateway.toml"
SECRET = "hunter2-of-the-mailbox"
SIGNED = "[mail]\naddress = 'invites@crm.example'\n"


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `invite-gateway` with nothing but these settings."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return tests.command.run(*arguments, environment=bare | environment)


def file(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GATEWAY_SMTP_HOST", "did you mean GATEWAY_SMTP__HOST"),
        ("GATEWAY_SMPT__HOST", "did you mean GATEWAY_SMTP__HOST"),
        ("GATEWAY_STORE_URL", "did you mean GATEWAY_STORE__URL"),
        ("GATEWAY_CONFG", "did you mean GATEWAY_CONFIG"),
        ("GATEWAY_REQUIRE_AUTHENTICATION", "did you mean GATEWAY_POLICY__REQUIRE_AUTHENTICATION"),
        ("GATEWAY_XYZZY", "expected GATEWAY_SECTION__KEY"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_near_one(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "mail.crm.example")
    with pytest.raises(ConfigurationError) as error:
        settings.load()
    assert str(error.value).endswith(f"(in environment variable {name}; {meant})")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_CORPUS", "/mails"),
        ("GATEWAY_CONFIG", "gateway.toml"),
        ("GATEWAY_SMTP", '{"host": "mail.crm.example"}'),
        ("GATEWAY_SERVICE_HOST", "10.0.0.7"),
        ("GATEWAY_PORT_8025_TCP_ADDR", "10.0.0.7"),
        ("OTHER_GATEWAY_SMTP_HOST", "mail.crm.example"),
    ],
)
def test_what_is_no_misspelt_setting_is_left_alone(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    host = "mail.crm.example" if name == "GATEWAY_SMTP" else "localhost"
    assert settings.load().smtp.host == host


def test_environment_before_file_before_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, '[smtp]\nhost = "file.example"\nport = 2525\n')
    monkeypatch.setenv("GATEWAY_SMTP__HOST", "environment.example")
    loaded = settings.load(path)
    assert (loaded.smtp.host, loaded.smtp.port, loaded.smtp.security) == (
        "environment.example",
        2525,
        "starttls",
    )


@pytest.mark.parametrize(
    ("text", "variables", "says"),
    [
        (
            "[smtp]\nhots = 'x'\n",
            {},
            ["smtp.hots: no such setting; did you mean smtp.host? (in ", "gateway.toml"],
        ),
        (
            "[smpt]\nhost = 'x'\n",
            {},
            ["smpt: no such setting; did you mean smtp? (in ", "gateway.toml"],
        ),
        ("[smtp]\nzebra = 1\n", {}, ["smtp.zebra: no such setting (in ", "gateway.toml"]),
        ("[smtp]\nport = 70000\n", {}, ["smtp.port", "gateway.toml"]),
        (
            "[policy]\nparty_crasher = 'shoot'\n",
            {},
            ["policy.party_crasher", "'ask'", "gateway.toml"],
        ),
        ("", {"GATEWAY_SMTP__PORT": "many"}, ["smtp.port", "GATEWAY_SMTP__PORT"]),
        (
            "[smtp]\nhost = 'mail.crm.example'\nsecurity = 'none'\n",
            {},
            ["smtp.security", "clear text"],
        ),
        ("[web]\nlisten = '8025'\n", {}, ["web.listen", "host:port"]),
        ("[web]\nlisten = 'localhost:²'\n", {}, ["web.listen", "host:port"]),
        ("[web]\nlisten = 'localhost:99999'\n", {}, ["web.listen", "65535", "gateway.toml"]),
        (
            "[mail]\nalso = 'old@crm.example'\n",
            {},
            ['mail.also: should be a list: ["old@crm.example"]', "gateway.toml"],
        ),
        (
            "[accounts.sales]\ngroups = 'Sales'\n",
            {},
            ['accounts.sales.groups: should be a list: ["Sales"]'],
        ),
        (
            "",
            {"GATEWAY_MAIL__ALSO": "old@crm.example"},
            ['mail.also: should be a list: ["old@crm.example"]', "variable GATEWAY_MAIL__ALSO"],
        ),
        (
            "[accounts.Sales]\ngroups = ['Sales']\n",
            {},
            ["accounts.Sales: an account's name has small letters, digits, - and"],
        ),
        ("[smtp\n", {}, ["gateway.toml", "not valid TOML"]),
        ("\ufeff[smtp]\n", {}, ["gateway.toml", "byte order mark"]),
        (
            "[accounts.sales.smtp]\nhots = 'x'\n",
            {},
            ["accounts.sales.smtp.hots: no such setting; did you mean accounts.sales.smtp.host?"],
        ),
        (
            "[accounts.sales]\ngroup = ['Sales']\n",
            {},
            ["no such setting; did you mean accounts.sales.groups?"],
        ),
        (
            "[accounts.default.mail]\naddress = 'a@b.example'\n",
            {},
            ["accounts.default", "plain sections"],
        ),
        (
            "",
            {"GATEWAY_ACCOUNTS__SALES__SMTP__PORT": "many"},
            ["accounts.sales.smtp.port", "GATEWAY_ACCOUNTS__SALES__SMTP__PORT"],
        ),
        (
            "[accounts.sales.smtp]\nhost = 'mail.crm.example'\nsecurity = 'none'\n",
            {},
            ["accounts.sales.smtp.security", "clear text"],
        ),
        ("mail = 'a@b.example'\n", {}, ["mail", "is a section, [mail]", "gateway.toml"]),
        ("[mail]\naddress = 'invites'\n", {}, ["mail.address", "'invites'", "@", "gateway.toml"]),
        ("[mail]\nalso = ['old@crm.example', 'older']\n", {}, ["mail.also", "'older'"]),
        (
            "[mail]\ntimezone = 'Mars/Olympus'\n",
            {},
            ["mail.timezone", "'Mars/Olympus'", "gateway.toml"],
        ),
        ("[mail]\ntimezone = 'Europ/Oslo'\n", {}, ["'Europ/Oslo'; did you mean Europe/Oslo?"]),
        (
            "[accounts.a.mail]\ntimezone = 'W. Europe Standard Time'\n",
            {},
            ["accounts.a.mail.timezone", "did you mean Europe/Berlin?"],
        ),
        (
            "[mail]\nlanguage = 'norsk'\n",
            {},
            ["mail.language", "'norsk'", "there are da, de, en, fi, nb, nl, sv", "gateway.toml"],
        ),
        ("[mail]\nlanguage = ''\n", {}, ["mail.language", "''"]),
        ("", {"GATEWAY_ACCOUNTS__A__MAIL__LANGUAGE": "fr"}, ["accounts.a.mail.language", "'fr'"]),
        ("[store]\nurl = 'mysql://a/b'\n", {}, ["store.url", "mysql", "gateway.toml"]),
        (
            "[store]\npassword_file = 'x'\n",
            {},
            ["store.password_file: store.url names a SQLite file", "gateway.toml"],
        ),
        (
            "[store]\nurl = 'postgresql://gateway:x@db/gateway'\n",
            {"GATEWAY_STORE__PASSWORD": "y"},
            ["store.password: there is a password in store.url", "variable GATEWAY_STORE__PASS"],
        ),
        (
            "[store]\nurl = 'sqlite:///x.db'\n",
            {"GATEWAY_STORE__URL": "mysql://a/b"},
            ["store.url", "mysql", "variable GATEWAY_STORE__URL"],
        ),
        (
            "[accounts.a]\ngroups = ['Sales']\n[accounts.b]\ngroups = ['Sales']\n",
            {},
            ["accounts.b.groups", "Sales", "'a'"],
        ),
        (
            "[accounts.a]\nowners = ['kari']\n[accounts.b]\nowners = ['kari']\n",
            {},
            ["accounts.b.owners", "kari", "'a'"],
        ),
        (
            "[mail]\naddress = 'x@crm.example'\n[accounts.a.mail]\naddress = 'X@crm.example'\n",
            {},
            ["accounts.a.mail.address", "'default'"],
        ),
        (
            "[imap]\nhost = 'i.example'\nusername = 'x'\n[accounts.a.imap]\nhost = 'I.example'\nusername = 'x'\n",
            {},
            ["accounts.a.imap.folder", "INBOX", "'default'"],
        ),
        ("[smtp]\nsign_in = 'xoauth2'\nusername = 'x'\n", {}, ["smtp.sign_in", "oauth.client_id"]),
        ("[oauth]\nclient_id = 'x'\n", {}, ["oauth.token_url", "oauth.provider"]),
        (
            "[oauth]\nclient_id = 'x'\ntoken_url = 'http://login.example/token'\n",
            {},
            ["oauth.token_url", "https"],
        ),
        (
            "[oauth]\nclient_id = 'x'\nprovider = 'google'\n",
            {},
            ["oauth.refresh_token_file", "Google"],
        ),
        (
            "[accounts.a.oauth]\nclient_id = 'x'\nprovider = 'microsoft365'\n",
            {},
            ["accounts.a.oauth.tenant", "directory"],
        ),
        (
            f"{SIGNED}dkim_selector = 's1'\n",
            {},
            ["mail.dkim_key_file", "needed", "mail.dkim_selector", "gateway.toml"],
        ),
        (
            f"{SIGNED}dkim_key_file = 'k.pem'\n",
            {},
            ["mail.dkim_selector", "needed", "gateway.toml"],
        ),
        ("", {"GATEWAY_MAIL__DKIM_KEY": "x"}, ["mail.dkim_selector", "needed"]),
        (
            "[mail]\ndkim_key_file = 'k.pem'\ndkim_selector = 's1'\n",
            {},
            ["mail.address", "needed", "mail.dkim_selector", "gateway.toml"],
        ),
        (
            f"{SIGNED}dkim_domain = 'crm.example'\n",
            {},
            ["mail.dkim_selector", "needed", "mail.dkim_domain"],
        ),
        *(
            (
                f"{SIGNED}dkim_key_file = 'k.pem'\ndkim_selector = '{one}'\n",
                {},
                ["mail.dkim_selector", "DNS"],
            )
            for one in ("s 1", "-s", "s1.", "s_1", "s1; d=x", "a" * 64)
        ),
        *(
            (
                f"{SIGNED}dkim_key_file = 'k.pem'\ndkim_selector = 's1'\ndkim_domain = '{one}'\n",
                {},
                ["mail.dkim_domain", "gateway.toml"],
            )
            for one in (
                "other.example",
                "team.crm.example",
                "m.example",
                "example",
                "crm.example;x",
                "crm.example x",
            )
        ),
        (
            "[answer]\nlisten = '127.0.0.1:8026'\n",
            {},
            ["answer.public_url", "letters carry it", "gateway.toml"],
        ),
        (
            "[answer]\nlisten = '8026'\npublic_url = 'https://answer.example'\n",
            {},
            ["answer.listen", "expected host:port", "gateway.toml"],
        ),
        (
            "[accounts.a.mail]\naddress = 'a@crm.example'\ndkim_selector = 's1'\n",
            {},
            ["accounts.a.mail.dkim_key_file", "needed"],
        ),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_key_and_place(
    text: str,
    variables: dict[str, str],
    says: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        settings.load(file(tmp_path, text))
    assert "\n" not in str(caught.value)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize("language", ["nb-NO", "no", "de_AT", "EN"])
def test_a_language_has_its_usual_spellings(language: str) -> None:
    assert settings.load(overrides={"mail": {"language": language}}).mail.language == language


def test_a_configuration_error_leaves_with_78(tmp_path: Path) -> None:
    done = command("config", "show", "--config", str(file(tmp_path, "[smtp]\nhots = 'x'\n")))
    assert (done.returncode, done.stdout) == (78, "")
    assert (
        done.stderr == "invite-gateway: smtp.hots: no such setting; did you mean smtp.host?"
        f" (in {tmp_path / 'gateway.toml'})\n"
    )


def test_a_missing_file_leaves_with_78(tmp_path: Path) -> None:
    done = command("config", "show", GATEWAY_CONFIG=str(tmp_path / "absent.toml"))
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "absent.toml" in done.stderr


def test_a_file_that_may_not_be_read_says_who_may_not_do_what() -> None:
    with process.private_directory("rights") as folder:
        path = file(folder, "")
        path.chmod(0)
        done = subprocess.run(
            [
                *process.within_rights(),
                str(Path(sys.executable).with_name("invite-gateway")),
                "config",
                "show",
            ],
            env=os.environ | {"GATEWAY_CONFIG": str(path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert f"{path}: cannot be read: this user (" in done.stderr
    assert f") may not read {path}; " in done.stderr
    assert "readable for all" in done.stderr


@pytest.mark.parametrize("content", ["", "\n", " \r\n"])
def test_a_secret_file_with_nothing_in_it_is_no_password(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the empty line that the unit has for a file that is missing."""
    file = tmp_path / "smtp-password"
    file.write_text(content)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    nothing = f"smtp.password_file: nothing stands in {file}"
    for name, words in (
        (str(file), nothing),
        (
            "credential:smtp-password",
            f"{nothing}; with the shipped unit: is there a file smtp-password in"
            " /etc/invite-gateway?",
        ),
    ):
        loaded = settings.load(None, {"smtp": {"password_file": name, "username": "x"}})
        with pytest.raises(ConfigurationError) as told:
            settings.secret(loaded.smtp, "smtp")
        assert str(told.value) == words


def test_the_example_in_the_repository_is_what_the_program_prints() -> None:
    done = command("config", "example")
    assert done.returncode == 0
    assert EXAMPLE.read_text(encoding="utf-8") == done.stdout, "refresh it with: make config"


def test_the_example_as_it_stands_changes_nothing() -> None:
    assert settings.load(EXAMPLE).model_dump() == settings.load().model_dump()


def test_the_example_has_every_setting_with_its_default_and_its_description(tmp_path: Path) -> None:
    taken = re.sub(r"(?m)^# ", "", config.example_text())
    values = tomllib.loads(taken)
    for name, section in settings.load():
        if name == "accounts":
            continue
        assert list(values[name]) == list(type(section).model_fields)
        for key, field in type(section).model_fields.items():
            assert field.description, f"{name}.{key} has no description"
            assert field.description in " ".join(re.findall(r"(?m)^## (.*)$", taken)), (
                f"{name}.{key} is not documented"
            )
    assert settings.load(file(tmp_path, taken)).model_dump() == settings.load().model_dump()


def test_a_further_account_is_set_by_file_and_environment_and_inherits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(
        tmp_path,
        '[mail]\naddress = "invites@crm.example"\n[smtp]\nhost = "plain.example"\n'
        '[accounts.sales]\ngroups = ["Sales"]\n[accounts.sales.smtp]\nport = 2525\n',
    )
    monkeypatch.setenv("GATEWAY_ACCOUNTS__SALES__MAIL__ADDRESS", "Sales@CRM.example")
    monkeypatch.setenv("GATEWAY_ACCOUNTS__SALES__OWNERS", '["kari"]')
    loaded = settings.load(path)
    found = accounts.configured(loaded)
    assert list(found) == ["default", "sales"]
    sales = found["sales"]
    assert (sales.mail.address, sales.groups, sales.owners) == (
        "sales@crm.example",
        ("Sales",),
        ("kari",),
    )
    assert (sales.smtp.host, sales.smtp.port) == ("localhost", 2525)
    assert accounts.mailboxes(loaded) == ("invites@crm.example", "sales@crm.example")


@pytest.mark.parametrize(
    ("owner", "group", "expected"),
    [
        ("kari", "Support", "named"),
        ("kari", "", "named"),
        ("per", "Sales", "sales"),
        ("per", "Other", "default"),
        ("", "", "default"),
    ],
)
def test_owner_beats_group_beats_default(owner: str, group: str, expected: str) -> None:
    address = {"address": "x@crm.example"}
    loaded = settings.load(
        None,
        {
            "mail": address,
            "accounts": {
                "support": {"groups": ["Support"], "mail": {"address": "u@crm.example"}},
                "sales": {"groups": ["Sales"], "mail": {"address": "s@crm.example"}},
                "named": {"owners": ["kari"], "mail": {"address": "n@crm.example"}},
                "idle": {"groups": ["Other"]},
            },
        },
    )
    assert accounts.choose(accounts.configured(loaded), owner, group) == expected
    without = settings.load(
        None, {"accounts": {"sales": {"groups": ["Sales"], "mail": {"address": "s@crm.example"}}}}
    )
    assert accounts.choose(accounts.configured(without), owner, group) == (
        "sales" if group == "Sales" else ""
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked(as_json: bool) -> None:
    done = command(
        "config",
        "show",
        *(["--json"] if as_json else []),
        GATEWAY_SMTP__PASSWORD=SECRET,
        GATEWAY_IMAP__PASSWORD=SECRET,
        GATEWAY_OAUTH__REFRESH_TOKEN=SECRET,
        GATEWAY_ACCOUNTS__SALES__OAUTH__CLIENT_SECRET=SECRET,
        GATEWAY_ACCOUNTS__SALES__IMAP__PASSWORD=SECRET,
        GATEWAY_MAIL__ADDRESS="invites@crm.example",
        GATEWAY_MAIL__DKIM_KEY=SECRET,
        GATEWAY_MAIL__DKIM_SELECTOR="s1",
        GATEWAY_STORE__URL=f"postgresql://gateway:{SECRET}@db.crm.example/gateway?password=hunter2&sslmode=require",
    )
    assert done.returncode == 0
    assert SECRET not in done.stdout + done.stderr
    shown = json.loads(done.stdout) if as_json else tomllib.loads(done.stdout)
    assert (
        shown["smtp"]["password"]
        == shown["imap"]["password"]
        == shown["oauth"]["refresh_token"]
        == shown["mail"]["dkim_key"]
        == "***"
    )
    assert (
        shown["accounts"]["sales"]["oauth"]["client_secret"]
        == shown["accounts"]["sales"]["imap"]["password"]
        == "***"
    )
    assert (
        shown["store"]["url"]
        == "postgresql://gateway:***@db.crm.example/gateway?password=***&sslmode=require"
    )


@pytest.mark.parametrize("password", ["hun/ter2", "hun@ter2", "hun:ter2", "hun/t@e:r2"])
def test_no_part_of_a_password_in_an_address_is_shown(password: str) -> None:
    url = f"postgresql://gateway:{password}@db.crm.example/gateway"
    done = command("config", "show", "--json", GATEWAY_STORE__URL=url)
    assert (
        json.loads(done.stdout)["store"]["url"] == "postgresql://gateway:***@db.crm.example/gateway"
    )
    assert "hun" not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gateway:hun@ter2@127.0.0.1/x",
        "postgresql://gateway:hun@a/ter2@127.0.0.1/x",
        "//gateway:hunter2@db",
    ],
)
def test_an_address_of_a_store_that_is_none_is_not_repeated(url: str) -> None:
    done = command("status", GATEWAY_STORE__URL=url)
    assert done.returncode == 78
    assert "store.url: " in done.stderr
    assert "ter2" not in done.stderr


def test_no_password_is_not_masked_as_one() -> None:
    assert json.loads(command("--json", "config", "show").stdout)["smtp"]["password"] == ""


def test_what_show_prints_can_be_loaded_again(tmp_path: Path) -> None:
    done = command(
        "config",
        "show",
        GATEWAY_ACCOUNTS__SALES__OWNERS='["kari"]',
        GATEWAY_MAIL__ADDRESS="Invites@CRM.example",
        GATEWAY_MAIL__ALSO='["old@crm.example"]',
        GATEWAY_MAIL__NAME='Firma "Å" AS\\',
    )
    loaded = settings.load(file(tmp_path, done.stdout))
    assert loaded.accounts["sales"].owners == ("kari",)
    assert (loaded.mail.address, loaded.mail.also, loaded.mail.name) == (
        "invites@crm.example",
        ("old@crm.example",),
        'Firma "Å" AS\\',
    )


@given(
    st.recursive(
        st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    )
)
def test_values_are_written_as_toml_reads_them(value: object) -> None:
    assert tomllib.loads(f"key = {config.toml(value)}") == {"key": value}


def test_a_password_file_is_read_to_its_first_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\r\nremark\n", encoding="utf-8")
    loaded = settings.load(
        None, {"smtp": {"password_file": str(tmp_path / "password"), "password": "other"}}
    )
    assert settings.secret(loaded.smtp, "smtp") == SECRET


def test_the_password_of_a_store_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hun/t@er:2\n", encoding="utf-8")
    given = {
        "url": "postgresql://gateway@db.crm.example/gateway",
        "password_file": str(tmp_path / "password"),
    }
    with closing(Store.configured(settings.load(None, {"store": given}))) as store:
        assert store.url.password == "hun/t@er:2"
        assert "hun" not in str(store.url)
    with pytest.raises(ConfigurationError, match=r"store\.password_file: cannot read /no/such"):
        Store.configured(settings.load(None, {"store": given | {"password_file": "/no/such"}}))


def test_a_credential_of_systemd_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imap-password").write_text(SECRET, encoding="utf-8")
    loaded = settings.load(None, {"imap": {"password_file": "credential:imap-password"}})
    with pytest.raises(ConfigurationError, match=r"imap\.password_file: .*LoadCredential"):
        settings.secret(loaded.imap, "imap")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert settings.secret(loaded.imap, "imap") == SECRET


def test_check_says_all_that_is_wrong_at_once(tmp_path: Path) -> None:
    """Types, names, what does not go together, the environment and files that are named: what is
    wrong hides nothing else.
    """
    path = file(
        tmp_path,
        f"""
        [smtp]
        hots = "mail.crm.example"
        port = 99999
        ca_file = "{tmp_path}/none.pem"
        password_file = "{tmp_path}/none"
        [web]
        listen = "localhost:99999"
        [mail]
        address = "invites@crm.example"
        also = "old@crm.example"
        timezone = "Europe/Olso"
        dkim_selector = "s1"
        dkim_key_file = "{path_of(tmp_path, "dkim", "no key")}"
        [accounts.Sales]
        [accounts.other.mail]
        address = "other@crm.example"
        language = "xx"
        [accounts.other.imap]
        host = "imap.crm.example"
        security = "none"
        ca_file = "{tmp_path}/none.pem"
        """,
    )
    done = command(
        "config",
        "check",
        "--json",
        "--config",
        str(path),
        GATEWAY_SMTP_HOST="x",
        GATEWAY_MAIL__ALSO="older",
        GATEWAY_ACCOUNTS__OTHER__IMAP__SECURITY="none",
        GATEWAY_STORE__PASSWORD_FILE="/none",
    )
    assert (done.returncode, done.stderr) == (78, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["state"] for line in lines} == {"failed", "warning"}
    faults = "\n".join(line["text"] for line in lines if line["state"] == "failed")
    for part in (
        "did you mean GATEWAY_SMTP__HOST",
        'mail.also: should be a list: ["older"] (in environment variable GATEWAY_MAIL__ALSO)',
        'mail.also: should be a list: ["old@crm.example"]',
        f"smtp.hots: no such setting; did you mean smtp.host? (in {path})",
        "smtp.port: Input should be less than or equal to 65535",
        "accounts.Sales: an account's name has small letters",
        "did you mean Europe/Oslo?",
        "accounts.other.mail.language: no letters in 'xx'",
        "accounts.other.imap.security: 'none' would send mail in clear text",
        "(in environment variable GATEWAY_ACCOUNTS__OTHER__IMAP__SECURITY)",
        "web.listen: a port is at most 65535",
        "store.password_file: store.url names a SQLite file",
        "store.password_file: cannot read /none",
        f"smtp.password_file: cannot read {tmp_path}/none",
        f"smtp.ca_file: cannot read {tmp_path}/none.pem",
        "mail.dkim_key_file: ",
    ):
        assert part in faults, f"{part!r} is not in\n{faults}"
    assert faults.count("\n") == 14
    assert "imap.host: not set, so no answer is read" in done.stdout


def path_of(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content)
    return folder / name


def test_check_warns_of_what_is_seldom_meant(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "[mail]\naddress = 'invites+x@localhost'\n[smtp]\npassword = 'x'\n"
        "[imap]\nhost = 'imap.crm.example'\nusername = 'invites'\n",
    )
    done = command("config", "check", GATEWAY_CONFIG=str(path))
    assert done.returncode == 0
    assert done.stdout == (
        f"ok:      nothing is wrong with {path}\n"
        "warning: mail.address: invites+x@localhost is a sub-address itself; the mailbox's own"
        f" address is wanted, on which those of invitees hang (in {path})\n"
        "warning: mail.address: nobody outside can write to the domain localhost"
        f" (in {path})\n"
        f"warning: smtp.username: not set, so the password is not used (in {path})\n"
        f"warning: imap.password_file: not set, though imap.username is (in {path})\n"
    )
    assert "mail.address: not set" in command("config", "check").stdout
    for content, words in (
        ("\ufeff[mail]\n", "begins with a byte order mark"),
        ("[mail\n", "not valid TOML"),
    ):
        done = command("config", "check", "--config", str(file(tmp_path, content)))
        assert done.returncode == 78
        assert words in done.stdout
    assert "--config needs a file" in command("config", "check", "--config").stderr


def test_the_usual_file_and_the_secrets_beside_it_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works by hand has neither GATEWAY_CONFIG nor what systemd hands over."""
    usual = file(tmp_path, "[smtp]\nusername = 'x'\npassword_file = 'credential:smtp-password'\n")
    monkeypatch.setattr(context, "USUAL", usual)
    done = command("config", "check")
    assert (done.returncode, str(tmp_path / "smtp-password") in done.stdout) == (78, True)
    (tmp_path / "smtp-password").write_text("secret\n")
    assert command("config", "check").returncode == 0
    other = file(path_of(tmp_path, "x", "").parent, "[smtp]\nhots = 1\n").rename(
        tmp_path / "o.toml"
    )
    assert command("config", "check", GATEWAY_CONFIG=str(other)).returncode == 78
    monkeypatch.setattr(context, "USUAL", tmp_path / "absent.toml")
    assert json.loads(command("config", "show", "--json").stdout)["smtp"]["username"] == ""
