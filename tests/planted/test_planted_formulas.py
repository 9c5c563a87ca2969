"""Every error of `errors_formula` is refused by what runs on each count: the closed form against the ledger."""

from __future__ import annotations

import pytest

from tests.planted.errors_formula import FORMULA
from tests.planted.planting import Planted, changed, identity, planted, refuse


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("error", FORMULA, ids=identity)
def test_an_error_in_a_formula_is_refused(error: Planted) -> None:
    refuse(error)


def test_no_error_is_planted_twice() -> None:
    assert len({(error.module, error.old, error.new) for error in FORMULA}) == len(FORMULA)


def test_an_error_that_is_not_in_the_source_any_more_is_no_error() -> None:
    gone = Planted("gone", "count.formula.units", "3 * rows", "2 * rows", says="")
    with pytest.raises(LookupError, match=r"'3 \* rows' stands 0 times in spanbench.count.formula.units, not once"), planted(gone):
        pass
    with pytest.raises(LookupError, match="stands 2 times"):
        changed("rows rows", Planted("twice", "point", "rows", "row", says=""))


def test_nothing_of_an_error_stays() -> None:
    from spanbench.count.formula import units

    error = Planted("doubled", "count.formula.units", "2 * rows * inner * outer,", "4 * rows * inner * outer,", says="")
    with planted(error):
        from spanbench.count.formula import units as wrong

        assert wrong.product(1, 1, 1, 4).matrix_flops == 4
    from spanbench.count.formula import units as after

    assert after is units
    assert after.product(1, 1, 1, 4).matrix_flops == 2
