"""Every error in the counters themselves is refused: in the ledger by the closed form, in a witness by the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.errors_counters import LEDGER, WITNESSES
from tests.planted.planting import Planted, identity, refuse


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("error", LEDGER, ids=identity)
def test_an_error_in_the_ledger_is_refused(error: Planted) -> None:
    refuse(error)


@pytest.mark.parametrize("error", WITNESSES, ids=identity)
def test_an_error_in_a_witness_is_refused(error: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPANBENCH_CACHE", str(tmp_path))  # an edited source is a new key; here no file is edited
    refuse(error)


def test_no_error_is_planted_twice() -> None:
    errors = [*LEDGER, *WITNESSES]
    assert len({(error.module, error.old, error.new) for error in errors}) == len(errors)
