"""Numbers for monitoring, in the text format of Prometheus (exposition format 0.0.4); pure, except
for `CERTIFICATES`, which remembers what servers showed.

The format is a dozen lines, and what is told is made anew at each look: a library that keeps
counters of its own would be one more place to keep them. Security: labels are account, state,
outcome and subject words, never an address, a name or a title.
"""

import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

PREFIX = "invite_gateway_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
"""The bounds of how long answers waited."""
CERTIFICATES: dict[str, datetime] = {}
"""When the certificates end that servers (host:port) showed to this process."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One number. `end`: what follows the family's name, in a histogram."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    end: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All numbers of one name, without its prefix."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    samples: Sequence[Sample]


@dataclass(slots=True)
class Histogram:
    """How many values were at most each of `SECONDS`."""

    counts: list[int] = field(default_factory=lambda: [0] * len(SECONDS))
    total: int = 0
    sum: float = 0.0

    def add(self, value: float) -> None:
        self.total += 1
        self.sum += value
        for number, bound in enumerate(SECONDS):
            self.counts[number] += value <= bound

    def samples(self) -> list[Sample]:
        bounds = [f"{bound:g}" for bound in SECONDS]
        steps = [*zip(bounds, self.counts, strict=True), ("+Inf", self.total)]
        return [
            *(Sample(count, {"le": bound}, "_bucket") for bound, count in steps),
            Sample(self.sum, end="_sum"),
            Sample(self.total, end="_count"),
        ]


def text(families: Iterable[Family]) -> str:
    """What Prometheus reads. A family without a sample is named all the same."""
    lines = []
    for family in families:
        name = f"{PREFIX}{family.name}"
        lines.append(f"# HELP {name} {family.help}")
        lines.append(f"# TYPE {name} {family.kind}")
        lines += [
            f"{name}{sample.end}{_labels(sample.labels)} {_number(sample.value)}"
            for sample in family.samples
        ]
    return "\n".join([*lines, ""])


def note_certificate(server: str, connection: object) -> None:
    """Remember when the certificate ends that this server shows on a connection with TLS."""
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLObject) else None
    ends = (shown or {}).get("notAfter")
    if isinstance(ends, str):
        CERTIFICATES[server] = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return f"{int(value)}" if value == int(value) else f"{value:.6f}"
