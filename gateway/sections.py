"""The sections of the settings: what each setting is, its default and its bounds.

Every setting is documented here and nowhere else; `invite-gateway config example` prints this.
`settings` reads them, `settings_check` says what one section alone cannot tell.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from gateway import model
from gateway.mail import address

Security = Literal["tls", "starttls", "none"]
Port = Annotated[int, Field(ge=0, le=65535)]
SignIn = Literal["password", "xoauth2"]
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](_?[a-z0-9-])*$")]
ACCOUNT_NAMES = "an account's name has small letters, digits, - and single _ within"

LEAST_DAYS = 30
"""Letters that came back are told for so long, and trouble of a server is over by then."""


def _lower(value: str) -> str:
    return value.strip().lower()


def _days(value: int) -> int:
    if 0 < value < LEAST_DAYS:
        raise ValueError(f"0 (for ever), or {LEAST_DAYS} days or more")
    return value


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(Section):
    url: str = Field(
        "sqlite:////var/lib/invite-gateway/store.db",
        description=(
            "Where everything is kept: sqlite:////absolute/path.db or postgresql://user@host/name"
            " (PostgreSQL 13 or newer)."
        ),
    )
    password: SecretStr = Field(
        SecretStr(""), description="Of a PostgreSQL store. Better in password_file."
    )
    password_file: str = Field(
        "",
        description=(
            "File with the password of a PostgreSQL store on its first line, or credential:NAME:"
            " in url everybody could read it."
        ),
    )
    poll_seconds: float = Field(
        2.0,
        gt=0,
        le=60,
        description=(
            "How often the store is asked for changes made by other programs, though nothing hints"
            " at one."
        ),
    )
    free_megabytes: int = Field(
        200,
        ge=0,
        description=(
            "The disks of the store and of the log are nearly full below so many free megabytes"
            " (or a tenth of a small disk), and full below a tenth of that. 0: not looked at."
        ),
    )


class Mail(Section):
    address: Annotated[str, AfterValidator(_lower)] = Field(
        "",
        description=(
            "The gateway's mailbox, e.g. invites@crm.example. Sub-addresses hang on it"
            " (invites+TOKEN@crm.example). Empty: no mail account is configured and the"
            " e-mail-invitation switch is off for everybody."
        ),
    )
    also: tuple[Annotated[str, AfterValidator(_lower)], ...] = Field(
        (), description=("Former addresses of this mailbox. Answers to them are still understood.")
    )
    name: str = Field("", description="The organisation, for 'Kari Nordmann via Firma AS' in From.")
    organizer_address: Literal["token", "plain"] = Field(
        "token",
        description=(
            "'token': the ORGANIZER is a sub-address of its own for each invitee. 'plain': the bare"
            " mailbox, for mail systems without sub-addresses; answers are then matched by UID and"
            " address."
        ),
    )
    attach_ics: bool = Field(
        True,
        description=(
            "Attach invite.ics beside the calendar part. KMail shows two sets of buttons with it."
        ),
    )
    language: str = Field(
        "en", description="Language of letters to invitees whose own language is unknown."
    )
    timezone: str = Field(
        "Europe/Oslo",
        description=(
            "Time zone of follow-ups and people that name none; that of the plain section counts"
            " for all accounts."
        ),
    )
    dkim_selector: str = Field(
        "",
        description=(
            "Sign every letter (DKIM, RFC 6376) with a key that is published under this name;"
            " invite-gateway dkim prints the record. Empty: letters leave unsigned, or our mail"
            " server signs them."
        ),
    )
    dkim_domain: str = Field(
        "",
        description=(
            "Who signs: the domain of address, which is the default, or one above it (DMARC). It"
            " must be the organisation's own, not one under which others register theirs, like"
            " co.uk; that is not checked."
        ),
    )
    dkim_key: SecretStr = Field(
        SecretStr(""), description="The private key. Better in dkim_key_file."
    )
    dkim_key_file: str = Field(
        "", description="File with the private key, RSA or Ed25519 (PEM), or credential:NAME."
    )


class Smtp(Section):
    host: str = Field("localhost", description="The server that takes our letters.")
    port: Port = Field(587, description="Its port.")
    security: Security = Field(
        "starttls",
        description=(
            "'starttls', 'tls' (from the first byte) or 'none'. Certificates are verified, TLS 1.2"
            " or newer. 'none' is accepted for loopback only, unless allow_cleartext says"
            " otherwise."
        ),
    )
    allow_cleartext: bool = Field(
        False, description="Allow security = 'none' to a host that is not loopback."
    )
    ca_file: str = Field(
        "", description="Certificate authorities to trust instead of the system's (PEM)."
    )
    sign_in: SignIn = Field(
        "password",
        description=(
            "'password' (AUTH PLAIN or LOGIN), or 'xoauth2' with a token from the section oauth."
        ),
    )
    username: str = Field("", description="Empty: no sign-in.")
    password: SecretStr = Field(SecretStr(""), description="Better in password_file.")
    password_file: str = Field(
        "", description="File with the password on its first line, or credential:NAME."
    )
    timeout_seconds: float = Field(
        30.0,
        gt=0,
        le=600,
        description=(
            "Longest wait for any single answer of the server (four times as long after the letter"
            " itself)."
        ),
    )
    connections: int = Field(
        20, ge=1, le=100, description="Most connections; 5 at first, more while all goes well."
    )
    messages_per_connection: int = Field(
        100, ge=1, description="A connection is renewed after so many letters."
    )


class Imap(Section):
    host: str = Field(
        "", description="The server with the mailbox. Empty: nothing is read (letters still leave)."
    )
    port: Port = Field(993, description="Its port.")
    security: Security = Field(
        "tls",
        description=(
            "'tls' (from the first byte), 'starttls' (mostly port 143) or 'none' (loopback only,"
            " unless allow_cleartext)."
        ),
    )
    allow_cleartext: bool = Field(
        False, description="Allow security = 'none' to a host that is not loopback."
    )
    ca_file: str = Field(
        "", description="Certificate authorities to trust instead of the system's (PEM)."
    )
    sign_in: SignIn = Field(
        "password",
        description="'password' (LOGIN), or 'xoauth2' with a token from the section oauth.",
    )
    username: str = Field("", description="Sign-in name.")
    password: SecretStr = Field(SecretStr(""), description="Better in password_file.")
    password_file: str = Field(
        "", description="File with the password on its first line, or credential:NAME."
    )
    folder: str = Field("INBOX", description="The folder that is read.")
    move: bool = Field(
        True,
        description=(
            "Move messages after they are dealt with. Off: they stay, and the cursor alone tells."
        ),
    )
    shared: bool = Field(
        False,
        description=(
            "People read the folder too: mail that names no invitation of ours stays where it lies,"
            " as it is."
        ),
    )
    processed: str = Field("Processed", description="Folder for understood messages.")
    review: str = Field("Review", description="Folder for messages that wait for a person.")
    ignored: str = Field("Ignored", description="Folder for everything else.")
    idle: bool = Field(True, description="Wait with IDLE (RFC 2177) where the server can.")
    poll_seconds: float = Field(
        60.0, gt=0, le=3600, description="Look at least this often, with IDLE too."
    )
    timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Longest wait for any single answer of the server."
    )


class Lmtp(Section):
    listen: str = Field(
        "",
        description=(
            "Where our mail server may deliver mail for mail.address and its sub-addresses, beside"
            " imap or instead of it (LMTP): host:port, or unix:/path of a socket. It is taken when"
            " it is recorded, not before. Empty: nowhere."
        ),
    )
    allow_network: bool = Field(
        False,
        description=(
            "Allow listen to be reached from other machines. Nobody signs in and nothing is"
            " encrypted, so only the mail server may get there."
        ),
    )


class OAuth(Section):
    provider: Literal["", "google", "microsoft365"] = Field(
        "",
        description=(
            "Fills in token_url and scope: 'google' or 'microsoft365'. Empty: both are given here."
        ),
    )
    tenant: str = Field(
        "",
        description="The directory of microsoft365: its id or domain. Client credentials need it.",
    )
    token_url: str = Field(
        "",
        description=(
            "Where tokens are asked for; https, or http to loopback. Empty: the provider's."
        ),
    )
    scope: str = Field(
        "",
        description=(
            "What is asked for, separated by spaces. Empty: the provider's for SMTP and IMAP."
        ),
    )
    ca_file: str = Field(
        "", description="Certificate authorities to trust instead of the system's (PEM)."
    )
    client_id: str = Field("", description="The application's id at the provider.")
    client_secret: SecretStr = Field(SecretStr(""), description="Better in client_secret_file.")
    client_secret_file: str = Field(
        "", description="File with the application's secret on its first line, or credential:NAME."
    )
    refresh_token: SecretStr = Field(
        SecretStr(""),
        description="Better in refresh_token_file. None at all: client credentials are used.",
    )
    refresh_token_file: str = Field(
        "",
        description=(
            "File with the refresh token on its first line, or credential:NAME. A new one from the"
            " provider is written back to a file."
        ),
    )
    timeout_seconds: float = Field(30.0, gt=0, le=600, description="Longest wait for a token.")


class Outbound(Section):
    coalesce_seconds: float = Field(
        5.0, ge=0, le=3600, description=("Edits of one follow-up within this time make one letter.")
    )
    page_seconds: float = Field(
        10.0,
        ge=0,
        le=50,
        description="So long what the page saved can be taken back before its letters leave.",
    )
    paused: bool = Field(
        False,
        description=(
            "Plan letters and send none, until this is off again: for a first import. For a while,"
            " invite-gateway queue pause does it without a restart."
        ),
    )
    brake_follow_ups: int = Field(
        20,
        ge=0,
        description=(
            "When more follow-ups than this were cancelled or moved within a minute by another"
            " program or by load, their letters are held until a person releases them; 0: never."
        ),
    )
    processes: int = Field(
        1, ge=1, le=16, description="Processes that send, where one processor is not enough."
    )
    batch: int = Field(
        100,
        ge=1,
        le=500,
        description=(
            "Letters of an account claimed from the outbox at a time; up to five times as many"
            " where the mail server takes them within a moment."
        ),
    )
    per_minute: int = Field(
        0, ge=0, description="Most letters of one account in a minute; 0: no limit."
    )
    domain_per_minute: int = Field(
        0, ge=0, description="Most letters of one account to one domain in a minute; 0: no limit."
    )
    per_day: int = Field(
        100_000,
        ge=0,
        description=(
            "Most letters of one account in 24 hours, whatever goes wrong; the others wait and an"
            " alarm is logged. 0: no limit."
        ),
    )
    first_retry_seconds: float = Field(
        60.0, gt=0, description="Wait after the first temporary failure; doubles each time."
    )
    longest_retry_seconds: float = Field(
        4 * 3600.0, gt=0, description="Longest wait between two tries."
    )
    give_up_seconds: float = Field(
        3 * 86400.0,
        gt=0,
        description="A letter that could not be delivered for so long is dropped.",
    )
    reminder_hours: float = Field(
        0.0,
        ge=0,
        le=8760,
        description=(
            "Whoever has not answered is reminded so many hours before the time by which an answer"
            " is wanted (answer_by; where there is none, or it has passed, before it begins; in a"
            " series, before its next date), once, and never within so many hours after his last"
            " letter. 0: nobody is."
        ),
    )
    request_receipt: bool = Field(
        False, description="Ask for read receipts (Disposition-Notification-To)."
    )


class Inbound(Section):
    max_bytes: int = Field(
        5 * 1024 * 1024, ge=10_000, description="Larger messages go to review unread."
    )
    review_megabytes: int = Field(
        200,
        ge=10,
        description=(
            "Most that is kept of all mail that waits for review together. Of what is too much, the"
            " largest first, only the header stays in the store; the mail itself lies in the"
            " mailbox."
        ),
    )
    probe: bool = Field(
        True,
        description=(
            "Write to a sub-address of our own mailbox, at the start and then every probe_hours,"
            " and see whether the letter comes back: where it does not, no answer would. It also"
            " shows which authserv-id our server writes. The letter is removed when it has come."
        ),
    )
    probe_hours: float = Field(
        24.0, ge=1, le=24 * 31, description="Hours from one probe that came back to the next."
    )
    probe_seconds: float = Field(
        600.0,
        ge=1,
        le=86_400,
        description="A probe that has not come back after so long is taken for lost.",
    )


class Account(Section):
    """A mail account of its own for some users; what it does not say has its default, not the plain
    sections' value.
    """

    groups: tuple[str, ...] = Field(
        (), description="User groups whose follow-ups are sent from this account."
    )
    owners: tuple[str, ...] = Field(
        (),
        description="Associates, by key, whose follow-ups are sent from it, whatever their group.",
    )
    mail: Mail = Mail()
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    oauth: OAuth = OAuth()


class Policy(Section):
    require_authentication: bool = Field(
        True,
        description=(
            "Answers that carry no token count only when our own mail server authenticated their"
            " From (itip.md §5)."
        ),
    )
    authserv_id: str = Field(
        "",
        description=(
            "The authserv-id that our mail server writes into Authentication-Results (RFC 8601)."
            " Leave it out where the server writes none: answers without a token are then held."
            " Only the topmost field of this name is believed, and none where the probe"
            " (inbound.probe) came back without one, except above every Received field. The server"
            " must remove such headers from incoming mail before it writes its own (RFC 8601"
            " section 5). invite-gateway doctor --roundtrip shows what it writes."
        ),
    )
    party_crasher: Literal["ask", "add", "refuse"] = Field(
        "ask",
        description=(
            "What to do when somebody who was not invited answers: ask the owner, add"
            " (authenticated only), or refuse."
        ),
    )

    def decided(self) -> model.Policy:
        """The policy as decisions take it: they know nothing of settings."""
        return model.Policy(
            self.require_authentication,
            self.authserv_id,
            model.PartyCrasher(self.party_crasher),
        )


class Web(Section):
    listen: str = Field("127.0.0.1:8025", description="host:port of the page and the API.")
    public_url: str = Field(
        "",
        description="The address of the page as people open it, https://crm.example.org. Needed"
        " where listen can be reached from other machines; with https the cookie is sent that way"
        " only.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto"
        " are believed.",
    )
    metrics_from: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1"),
        description="Addresses or networks that may read /metrics, which shows numbers and no word"
        " about a person. A proxy on this machine that is not among trusted_proxies lets everybody"
        " in who comes by it.",
    )
    requests_per_minute: int = Field(
        600, ge=0, description="How many requests each token of the API may make; 0: no limit."
    )


class Answer(Section):
    listen: str = Field(
        "",
        description="host:port of the public answer page, for example 127.0.0.1:8026. Empty: there"
        " is none, and letters carry no link to it.",
    )
    public_url: str = Field(
        "",
        description="The address of the answer page as invitees open it,"
        " https://answer.example.org. Needed where listen is set: it stands in every letter that"
        " asks.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For is believed. Behind a"
        " proxy that is not named here all invitees share the tries of one address.",
    )
    tries_per_minute: int = Field(
        20, ge=1, description="How often one address may ask for the answer page in a minute."
    )

    @property
    def site(self) -> str:
        """The address that letters lead to; "" where there is no page."""
        return self.public_url.rstrip("/") if self.listen else ""


class OpenID(Section):
    issuer: str = Field(
        "",
        description="The organisation's own sign-in (OpenID Connect), as the provider calls itself:"
        " https://login.example.org/realms/staff. Empty: names and passwords alone.",
    )
    client_id: str = Field("", description="The application's id at the provider.")
    client_secret: SecretStr = Field(SecretStr(""), description="Better in client_secret_file.")
    client_secret_file: str = Field(
        "", description="File with the application's secret on its first line, or credential:NAME."
    )
    claim: str = Field(
        "email",
        description="What of the identity token is the name of the user here. 'email' counts only"
        " where the provider says that it is verified; Microsoft does not: 'preferred_username'.",
    )
    name: str = Field("", description="What the sign-in page calls the provider. Empty: its host.")
    ca_file: str = Field("", description="Certificate authorities (PEM) instead of the system's.")


class Webhooks(Section):
    hosts: tuple[str, ...] = Field(
        (), description="Hosts to which webhooks may go though their address is not public."
    )
    ca_file: str = Field("", description="Certificate authorities (PEM) instead of the system's.")


Days = Annotated[int, Field(ge=0), AfterValidator(_days)]


class Retention(Section):
    """How long is kept what nothing needs any more; 0: for ever, else 30 days or more."""

    letter_days: Days = Field(
        0,
        description="Letters that came to their end, of follow-ups over for so many days. 0: for"
        " ever, else 30 or more, as of all here but review_days.",
    )
    attempt_days: Days = Field(
        0,
        description="The single tries to hand letters over that came to their end, of all"
        " follow-ups, so many days after the try.",
    )
    journal_days: Days = Field(
        0,
        description="The journal of follow-ups over for so many days, and of what is about none."
        " Which answer counted for whom stays, without words.",
    )
    message_days: Days = Field(
        0,
        description="Who wrote messages about such follow-ups or about none, and what stood in"
        " them. By what a message is known again stays.",
    )
    token_days: Days = Field(0, description="API tokens, so many days after they were revoked.")
    review_days: Annotated[int, Field(ge=1)] = Field(
        180,
        description="Of mail that has waited for review for longer only its header stays in the"
        " store.",
    )


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important lines shown."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="'auto': text on a terminal, JSON elsewhere."
    )
    mask_addresses: bool = Field(
        True, description="Show o***@ext.example instead of whole addresses."
    )


def signing_domain(mail: Mail) -> str:
    """The domain that signs an account's letters, in ASCII."""
    return (
        address.domain(f"x@{mail.dkim_domain}")
        if mail.dkim_domain
        else address.domain(mail.address)
    )
