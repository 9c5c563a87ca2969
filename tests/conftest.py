"""What every test runs under: one thread a worker, repeatable random examples, and opt-in groups of tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Tests multiply tiny matrices, where a second thread only waits, and `pytest -n 2` gives each core a worker of its own.
# Set before any test imports torch, and inherited by the processes that tests start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Examples depend on the test's code alone, so a red run is red again. No limit of time an example: the first use of
# torch is slow, and so is a busy machine. `--hypothesis-profile explore` looks at new examples each time.
_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _UNHURRIED, derandomize=True)
settings.register_profile("explore", _UNHURRIED, max_examples=2000, print_blob=True)
settings.load_profile("repeatable")

OPT_IN = {
    "slow": "slow: run with --slow",
    "gpu": "needs an NVIDIA GPU: run with --gpu",
    "network": "needs the internet: run with --network",
    "root": "needs root's rights: run with --root",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add one switch for each group of tests that does not run by default."""
    group = parser.getgroup("spanbench")
    for name in OPT_IN:
        group.addoption(f"--{name}", action="store_true", help=f"also run the tests marked {name}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, with the reason, each marked test whose switch is not given."""
    for name, reason in OPT_IN.items():
        if config.getoption(f"--{name}"):
            continue
        for item in items:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reason))
