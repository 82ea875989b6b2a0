"""Coverage-guided fuzzing of the inbound path with atheris: `python -m tests.faults.fuzz_inbound
--help` (docs/fuzzing.md).

Needs the dependency group `fuzz`. Ends with libFuzzer's exit code: 0 when the time is up and
nothing was found, 77 with the input in a file where something was.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["gateway", "email", "mailparser_reply", "dateutil", "html", "zoneinfo"]
):
    from tests.faults import fuzz_target


def main(arguments: list[str]) -> None:
    """Write the seeds, if they are not there, and hand over to libFuzzer."""
    parser = argparse.ArgumentParser(prog="fuzz_inbound", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: ten minutes)")
    parser.add_argument(
        "--corpus",
        type=Path,
        help="folder that keeps what was found interesting; default: a new one each time",
    )
    parser.add_argument(
        "--findings", type=Path, default=Path(), help="folder for inputs that were found"
    )
    parser.add_argument(
        "inputs", nargs="*", type=Path, help="files to try once, for example a finding"
    )
    chosen = parser.parse_args(arguments)
    chosen.findings.mkdir(parents=True, exist_ok=True)
    if chosen.inputs:
        for one in chosen.inputs:
            print(one, fuzz_target.feed(one.read_bytes()))
        return
    with tempfile.TemporaryDirectory(prefix="gateway-fuzz-") as made:
        corpus = chosen.corpus or Path(made, "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        for name, data in fuzz_target.seeds():
            Path(corpus, f"seed-{name}").write_bytes(data)
        words = Path(made, "words.dict")
        words.write_text("".join(f'"{escaped(word)}"\n' for word in fuzz_target.DICTIONARY))
        options = [
            f"-max_total_time={chosen.seconds}",
            f"-max_len={fuzz_target.LONGEST}",
            "-rss_limit_mb=1024",
            f"-timeout={int(fuzz_target.SECONDS * 4)}",
            f"-dict={words}",
            f"-artifact_prefix={chosen.findings}/",
            "-print_final_stats=1",
            "-report_slow_units=5",
            "-reload=0",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], fuzz_target.feed)
        atheris.Fuzz()


def escaped(word: str) -> str:
    """As libFuzzer's dictionaries want it."""
    return word.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    main(sys.argv[1:])
