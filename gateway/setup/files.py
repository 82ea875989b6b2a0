"""The files of an installation, with the rights that they need: settings for everybody, because the
service's user is nobody's; secrets for root alone, who hands them over (LoadCredential=).

On failure: `GatewayError`, and what was there stays as it was. Nothing that is there is written
over unless somebody said so.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import GatewayError
from gateway.setup.plan import Secret

SETTINGS = "gateway.toml"


def there(folder: Path, secrets: Sequence[Secret]) -> list[Path]:
    """What would be written over."""
    places = [folder / SETTINGS, *(folder / one.file for one in secrets)]
    return [place for place in places if place.exists()]


def write(folder: Path, settings: str, secrets: Sequence[Secret]) -> list[Path]:
    """Write all of it; the settings last, so that nothing names what is not there."""
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o755)  # one that is there has the rights that somebody gave it
        for one in secrets:
            _replace(folder / one.file, f"{one.value}\n", 0o600)
        _replace(folder / SETTINGS, settings, 0o644)
    except OSError as error:
        raise GatewayError(
            f"{error.filename or folder} cannot be written: {error.strerror}"
        ) from error
    return [folder / SETTINGS, *(folder / one.file for one in secrets)]


def _replace(place: Path, content: str, mode: int) -> None:
    """At once or not at all, and never readable by more than in the end."""
    handle, made = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        Path(made).chmod(mode)
        Path(made).replace(place)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
