"""A few storms, the same each time (`tests.faults.storm`)."""

from pathlib import Path

import pytest

from tests.faults import storm


@pytest.mark.parametrize("first", [1, 16])
def test_after_a_storm_everybody_holds_what_he_should(tmp_path: Path, first: int) -> None:
    found, counts = storm.storms(first, 15, tmp_path)
    assert found == {}
    assert counts["cut"] > 10
    assert counts["deaths"] > 10
    assert counts["refused"] > 0
