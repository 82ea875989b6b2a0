"""Checks of the installation: settings, files and their rights, the store, the disk, the clock."""

import asyncio
import glob
import os
import shlex
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway import accounts as mail_accounts
from gateway import settings as reading
from gateway import zonedata
from gateway.actions import health as troubles
from gateway.doctor.patients import Patient
from gateway.errors import StoreError
from gateway.health import Condition, State
from gateway.store import migrate

ETC = Path("/etc")
"""Settings there are a service's."""
OLD_YEARS = 2
"""Some government has changed its clocks since such old data was made."""


async def configuration(patient: Patient) -> list[Condition]:
    """Where the settings come from, and what in them is seldom meant so."""
    place = str(patient.file) if patient.file is not None else "the environment and defaults"
    remarks = [
        Condition("configuration", State.WARNING, remark)
        for remark in reading.remarks(patient.settings, patient.file)
    ]
    return [Condition("configuration", State.OK, f"read from {place}"), *remarks]


async def rights(patient: Patient) -> list[Condition]:
    """Whether secrets can be read by those alone who may, and settings by the service."""
    faults = [*_plain_secrets(patient), *_open_files(patient), *_service_bars(patient)]
    if not faults:
        return [Condition("rights", State.OK, "no secret can be read by everybody on this machine")]
    return [Condition("rights", State.WARNING, fault) for fault in faults]


def _plain_secrets(patient: Patient) -> Iterator[str]:
    """Secrets that stand in the settings' own file, which everybody may read."""
    if patient.file is None or not _is_open(patient.file):
        return
    for key, value in reading.secrets_in(patient.file):
        yield (
            f"{key} stands in {patient.file}, which everybody on this machine can read. Put it into"
            f" a file of its own with mode 600, and name that in {value}"
        )


def _open_files(patient: Patient) -> Iterator[str]:
    """Files of secrets and a store that everybody may read."""
    for key, file in reading.secret_files(patient.settings):
        if _is_open(file):
            yield f"{key}: everybody on this machine can read {file}: chmod 600 {file}"
    path = patient.store.path
    around = path.parent.glob(f"{glob.escape(path.name)}*") if path is not None else ()
    opened = [str(file) for file in sorted(around) if _is_open(file)]
    if opened:
        yield (
            f"store.url: everybody on this machine can read {path}, which holds addresses and"
            f" invitation tokens: chmod 660 {shlex.join(opened)}"
        )


def _service_bars(patient: Patient) -> Iterator[str]:
    """The shipped unit's user is nobody's: what root alone may read it cannot."""
    if patient.file is None or os.geteuid() != 0 or not patient.file.is_relative_to(ETC):
        return
    for place in (patient.file.parent, patient.file):
        if not _mode(place) & (stat.S_IXOTH if place.is_dir() else stat.S_IROTH):
            yield (
                f"the shipped unit runs as a user of its own, which cannot read {place}:"
                f" chmod {'755' if place.is_dir() else '644'} {place}"
            )


def _is_open(path: Path) -> bool:
    """Whether everybody may read a file; a closed folder around it keeps them out."""
    around = path.absolute().parents
    is_within_reach = all(_mode(folder) & stat.S_IXOTH for folder in around)
    return is_within_reach and bool(_mode(path) & stat.S_IROTH)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0  # nobody who may not even look at it


async def accounts(patient: Patient) -> list[Condition]:
    """Whether there is an account at all."""
    names = list(mail_accounts.configured(patient.settings))
    if not names:
        words = "mail.address is not set, so no letter is sent and no answer is read. Set it"
        return [Condition("accounts", State.FAILED, words)]
    return [Condition("accounts", State.OK, ", ".join(names))]


async def store(patient: Patient) -> list[Condition]:
    """Whether the store can be reached, is of this program's schema, and takes what is written."""
    trouble = await patient.store_trouble()
    if trouble:
        return [Condition("store", State.FAILED, trouble)]
    return [Condition("store", State.OK, "reachable, at this program's schema, writable")]


async def integrity(patient: Patient) -> list[Condition]:
    """A quick look; `db check` looks at everything."""
    if await patient.store_trouble():
        return []
    try:
        faults = await asyncio.to_thread(migrate.damage, patient.store)
    except StoreError as error:
        faults = [str(error)]
    if not faults:
        return [Condition("integrity", State.OK, "the store is sound at a quick look")]
    return [Condition("integrity", State.FAILED, f"{fault}. See: db check") for fault in faults]


async def disk(patient: Patient) -> list[Condition]:
    """Whether the disk of the store has room."""
    path, limit = patient.store.path, patient.settings.store.free_megabytes
    if path is None or not path.parent.exists():
        return []
    places = [("store", path.parent)]
    bad = await asyncio.to_thread(troubles.disks, places, limit)
    if bad:
        return bad
    free = os.statvfs(path.parent)
    megabytes = free.f_frsize * free.f_bavail // 1_000_000
    return [Condition("disk of the store", State.OK, f"{megabytes} MB are free")]


async def clock(_: Patient) -> list[Condition]:
    """What time it is here; `server_clock` compares it."""
    words = f"it is {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC here"
    return [Condition("clock", State.OK, words)]


async def time_zones(_: Patient) -> list[Condition]:
    """How old the rules are by which local times are told (P18)."""
    return [zones(zonedata.CHOSEN, datetime.now(UTC))]


def zones(chosen: zonedata.ZoneData, now: datetime) -> Condition:
    year = chosen.release[:4]
    if year.isdigit() and now.year - int(year) >= OLD_YEARS:
        words = (
            f"{chosen}: where a government changed its clocks since, letters tell another time than"
            " invitees have. Update the system's package tzdata"
        )
        return Condition("time zones", State.WARNING, words)
    return Condition("time zones", State.OK, str(chosen))
