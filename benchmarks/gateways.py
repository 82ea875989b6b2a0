"""Two gateways on one PostgreSQL, beside one: letters that wait leave into `smtp-sink`.

    python -m benchmarks.gateways [--letters 4000] [--participants 200] [--gateways 1 2]
                                  [--rounds 3]

As `benchmarks.senders`, with whole gateways instead of further processes; `smtp-source` is the
reference of the same run.
"""

from __future__ import annotations

from benchmarks import ground, senders


def main() -> None:
    parser = ground.of_letters(__doc__, 4_000)
    parser.add_argument("--gateways", type=int, nargs="+", default=[1, 2])
    parser.set_defaults(postgresql=True)
    chosen = parser.parse_args()
    ways = {f"{number} gateways": senders.Way(gateways=number) for number in chosen.gateways}
    senders.compare(ways, chosen)


if __name__ == "__main__":
    main()
