"""Models, texts and stores for the tests of documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from torch import Tensor

from spanbench.model.latent import Latent
from spanbench.model.pair import build_pair
from spanbench.point import Point
from spanbench.presets import resolve
from spanbench.store.disk import Store
from spanbench.store.document import Library
from tests.model.exact import arms

__all__ = ["latent_of", "library", "relative", "text", "tiny"]


def tiny(span: int = 4, *, dtype: str = "float64", seed: int = 0, **shape: object) -> Latent:
    """Return a small latent arm with spans of `span`."""
    point = Point(resolve("tiny", "lean", shape, span), 8, span, dtype=dtype, seed=seed)
    return build_pair(point).latent


def latent_of(point: Point) -> Latent:
    """Return the latent arm of a point in float64, its norms not all ones."""
    model = arms(replace(point, dtype="float64"))["latent"]
    assert isinstance(model, Latent)
    return model


def text(tokens: int, vocab: int, seed: int = 0) -> list[int]:
    """Return random ids, the same for the same seed."""
    random = Random(seed)  # noqa: S311 - a text of a test, not a secret
    return [random.randrange(vocab) for _ in range(tokens)]


@contextmanager
def library(model: Latent, dtype: str = "float64", *, state: bool = False, folder: Path | None = None) -> Iterator[Library]:
    """Open a library in a store of its own, or in a folder."""
    with TemporaryDirectory() as own, Store.open(folder or Path(own), create=True) as store:
        yield Library(store, model, dtype, state=state)


def relative(one: Tensor, other: Tensor) -> float:
    """Return the largest difference over the largest value of the second; tensors of unlike shapes are not compared."""
    assert one.shape == other.shape
    return ((one - other).abs().max() / other.abs().max()).item() if other.numel() else 0.0
