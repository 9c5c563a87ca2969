"""Errors in the model and in what is told of the prompt are refused; those that no check can see are listed, not hidden."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.planted.errors_model import MODEL, TIMED
from tests.planted.errors_uncaught import UNCAUGHT
from tests.planted.planting import Planted, identity, refuse

pytestmark = pytest.mark.usefixtures("sound")


@pytest.mark.parametrize("error", MODEL, ids=identity)
def test_an_error_in_the_model_is_refused(error: Planted) -> None:
    refuse(error)


@pytest.mark.parametrize("error", TIMED, ids=identity)
def test_an_error_that_only_real_ids_or_a_real_device_show_is_refused_before_anything_is_timed(error: Planted) -> None:
    refuse(error, timed=True)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(error, marks=pytest.mark.xfail(reason=why, raises=pytest.fail.Exception, strict=True), id=identity(error))
        for why, errors in UNCAUGHT.items()
        for error in errors
    ],
)
def test_an_error_that_is_known_to_pass(error: Planted) -> None:
    refuse(error, timed=True)


def test_no_error_is_planted_twice() -> None:
    errors = [*MODEL, *TIMED, *chain.from_iterable(UNCAUGHT.values())]
    assert len({(error.module, error.old, error.new) for error in errors}) == len(errors)
