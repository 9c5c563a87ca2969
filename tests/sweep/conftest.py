"""Locks, agreed witnesses and widths of these tests are their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPANBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SPANBENCH_RUNTIME", str(tmp_path_factory.mktemp("locks")))
        patch.setenv("COLUMNS", "80")
        yield
