"""What the planted errors start from: a spanbench without them, of which every check has agreed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.planting import Planted, planted

NOTHING = Planted("nothing", "count.ledger", "TOTAL = ", "TOTAL = ", says="")


@pytest.fixture(scope="session")
def agreed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without an error every point passes every check, the witnesses too, and that is remembered in a folder of its own."""
    folder = tmp_path_factory.mktemp("agreed")
    with pytest.MonkeyPatch.context() as patch, planted(NOTHING) as counting:
        patch.setenv("SPANBENCH_CACHE", str(folder))
        counting.count(timed=True)
    assert list(folder.iterdir()), "the witnesses did not run, or their agreement was not remembered"
    return folder


@pytest.fixture
def sound(agreed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The witnesses agreed before and do not run again: closed form, ledger and census alone must find the errors."""
    monkeypatch.setenv("SPANBENCH_CACHE", str(agreed))
