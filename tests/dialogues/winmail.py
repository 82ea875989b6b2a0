"""Outlook's winmail.dat, written from MS-OXTNEF and MS-OXOCAL alone: a meeting response as
properties instead of iCalendar.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

MEETING = UUID("6ed8da90-450b-101b-98da-00aa003f1305").bytes_le
APPOINTMENT = UUID("00062002-0000-0000-c000-000000000046").bytes_le
CLASSES = {"ACCEPTED": "Pos", "DECLINED": "Neg", "TENTATIVE": "Tent"}
GLOBAL_ID = bytes.fromhex("040000008200e00074c5b7101a82e008") + bytes(
    20
)  # version, date of the instance, times, reserved
LONG, STRING8, TIME, BINARY = 3, 0x1E, 0x40, 0x102


def response(uid: str, said: str, who: str, sequence: int, at: datetime) -> bytes:
    """The stream. `at`: when he answered, which stands for DTSTAMP."""
    foreign = b"vCal-Uid\x01\0\0\0" + uid.encode() + b"\0"
    filetime = (at - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    properties = [
        _tagged(STRING8, 0x001A, _sized(f"IPM.Schedule.Meeting.Resp.{CLASSES[said]}\0".encode())),
        _tagged(STRING8, 0x5D02, _sized(f"{who}\0".encode())),
        _named(
            MEETING, BINARY, 3, _sized(GLOBAL_ID + len(foreign).to_bytes(4, "little") + foreign)
        ),
        _named(MEETING, TIME, 1, filetime.to_bytes(8, "little")),
        _named(APPOINTMENT, LONG, 0x8201, sequence.to_bytes(4, "little")),
    ]
    data = len(properties).to_bytes(4, "little") + b"".join(properties)
    attribute = (
        b"\x01" + (0x00069003).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data
    )
    return b"\x78\x9f\x3e\x22\x01\x00" + attribute + (sum(data) & 0xFFFF).to_bytes(2, "little")


def _tagged(kind: int, tag: int, value: bytes) -> bytes:
    return kind.to_bytes(2, "little") + tag.to_bytes(2, "little") + value


def _named(group: bytes, kind: int, number: int, value: bytes) -> bytes:
    return (
        kind.to_bytes(2, "little")
        + b"\x00\x80"
        + group
        + bytes(4)
        + number.to_bytes(4, "little")
        + value
    )


def _sized(value: bytes) -> bytes:
    """One value of a kind that has no size of its own, filled up to four octets."""
    return (
        (1).to_bytes(4, "little")
        + len(value).to_bytes(4, "little")
        + value
        + bytes(-len(value) % 4)
    )
