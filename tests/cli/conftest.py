"""One cache of agreed witnesses for all tests of the command line, away from the user's own, and no colour or odd width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.running import Cli


@pytest.fixture(scope="session", autouse=True)
def plain_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPANBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("COLUMNS", "80")
        yield


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)
