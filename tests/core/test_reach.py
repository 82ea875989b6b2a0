"""From where the page may be reached, and by which names."""

import pytest

from gateway import reach
from gateway.sections import Web
from gateway.web import app


@pytest.mark.parametrize(
    ("listen", "public_url", "proxies", "words"),
    [
        ("127.0.0.1:1", "", (), ""),
        ("0.0.0.0:1", "https://crm.example", (), ""),
        ("0.0.0.0:1", "", (), "web.public_url: is needed"),
        ("[::]:1", "", (), "web.public_url: is needed"),
        ("127.0.0.1:1", "crm.example", (), "web.public_url: expected https://host"),
        ("127.0.0.1:1", "https://crm.example/page", (), "web.public_url: expected https://host"),
        ("127.0.0.1:1", "https://kari@crm.example", (), "web.public_url: expected https://host"),
        ("127.0.0.1:1", "ftp://crm.example", (), "web.public_url: expected https://host"),
        ("127.0.0.1:1", "", ("10.0.0.0/8", "::1"), ""),
        ("127.0.0.1:1", "", ("proxy",), "web.trusted_proxies: 'proxy' is no address"),
        ("127.0.0.1:1", "", ("10.0.0.1/8",), "web.trusted_proxies: '10.0.0.1/8' is no"),
    ],
)
def test_settings_that_cannot_be(
    listen: str, public_url: str, proxies: tuple[str, ...], words: str
) -> None:
    found = list(reach.problems("web", listen, public_url, proxies))
    assert bool(found) is bool(words)
    assert all(problem.startswith(words) for problem in found)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("crm.example", True),
        ("crm.example:443", True),
        ("CRM.example", True),
        ("192.0.2.1:8025", True),
        ("localhost:8025", True),
        ("127.0.0.1", True),
        ("evil.example", False),
        ("crm.example.evil.example", False),
        ("", False),
        (":8025", False),
    ],
)
async def test_names_of_ours(host: str, is_ours: bool) -> None:
    answers = list[int]()

    async def inner(scope: object, receive: object, send: object) -> None:
        answers.append(200)

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            answers.append(int(str(message["status"])))

    web = Web(listen="192.0.2.1:8025", public_url="https://crm.example")
    scope = {"type": "http", "headers": [(b"host", host.encode())]}
    await app.Guard(inner, web)(scope, None, send)
    assert answers == [200 if is_ours else 421]
