"""A file of weights: what was saved comes back to the last bit, stored as it was; any other file is refused in one line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spanbench.errors import UsageError
from spanbench.model.pair import Pair, build_pair
from spanbench.model.weights import check, load, save
from spanbench.point import Point
from tests.count.points import points
from tests.model.exact import random_ids, score
from tests.shapes import seeded_point

POINT = replace(seeded_point(3), dtype="float32")

Tensors = dict[str, Tensor]


def tensors_of(pair: Pair) -> Tensors:
    """Name every weight as the file should, without the code that is tested."""
    token, latent = ({f"{arm}.{name}": t.clone() for name, t in model.state_dict().items()} for arm, model in pair.arms().items())
    return token | latent


def other_seed(point: Point) -> Pair:
    return build_pair(replace(point, seed=point.seed + 1))


@settings(max_examples=40)
@given(points())
def test_what_was_saved_is_loaded_and_says_the_same(point: Point) -> None:
    pair, other = build_pair(point), other_seed(point)
    with tempfile.TemporaryDirectory() as folder:
        save(pair, Path(folder) / "pair.safetensors")
        load(other, Path(folder) / "pair.safetensors")
    ids = random_ids(point)
    for arm, model in other.arms().items():
        assert torch.equal(score(model, ids), score(pair.arms()[arm], ids))
        own, built = ([module.weight for module in m.modules() if isinstance(module, nn.Linear)] for m in (model, pair.arms()[arm]))
        assert own
        assert [weight.stride() for weight in own] == [weight.stride() for weight in built]  # in the layout that is fast here


@settings(max_examples=20)
@given(points())
def test_a_file_holds_each_parameter_once_under_its_own_name(point: Point) -> None:
    pair = build_pair(point)
    with tempfile.TemporaryDirectory() as folder:
        save(pair, Path(folder) / "pair.safetensors")
        held = load_file(Path(folder) / "pair.safetensors")
    wanted = tensors_of(pair)
    assert held.keys() == wanted.keys()
    assert all(held[name].dtype == t.dtype and torch.equal(held[name], t) for name, t in wanted.items())


def test_a_file_that_another_program_wrote_is_loaded(tmp_path: Path) -> None:
    pair, other = build_pair(POINT), other_seed(POINT)
    save_file({name: t.contiguous() for name, t in tensors_of(pair).items()}, tmp_path / "w.safetensors")
    check(build_pair(POINT, "meta"), tmp_path / "w.safetensors")
    load(other, tmp_path / "w.safetensors")
    assert all(torch.equal(t, tensors_of(other)[name]) for name, t in tensors_of(pair).items())


def refused(tensors: Tensors, folder: Path) -> str:
    """Return the one line that refuses these tensors, of a pair that is then what it was."""
    path = folder / "w.safetensors"
    save_file({name: t.contiguous() for name, t in tensors.items()}, path)
    pair = other_seed(POINT)
    before = tensors_of(pair)
    with pytest.raises(UsageError) as error:
        load(pair, path)
    assert all(torch.equal(t, before[name]) for name, t in tensors_of(pair).items())
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"--weights {str(path)!r}: ")
    return line.partition(": ")[2]


@pytest.mark.parametrize("name", [*tensors_of(build_pair(POINT, "meta"))])
def test_each_tensor_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    tensors = tensors_of(build_pair(POINT))
    sizes = " × ".join(map(str, tensors.pop(name).shape))
    assert refused(tensors, tmp_path) == f"tensor {name!r} is missing; it must be there as {sizes}, float32"


def changed(name: str, change: Callable[[Tensor], Tensor]) -> Tensors:
    tensors = tensors_of(build_pair(POINT))
    return {**tensors, name: change(tensors[name])}


def test_another_shape_is_named_with_the_right_one(tmp_path: Path) -> None:
    vocab, width = POINT.shape.vocab, POINT.shape.token.width
    line = refused(changed("token.head.weight", lambda t: t[:, :-1]), tmp_path)
    assert line.startswith(f"tensor 'token.head.weight' is {vocab} × {width - 1}, must be {vocab} × {width};")
    assert "tensor 'token.head.weight'" in refused(changed("token.head.weight", torch.flatten), tmp_path)


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        (torch.bfloat16, "has type bfloat16, must be float32; take --dtype bfloat16, or convert the file"),
        (torch.int64, "has type I64, must be float32; convert the file"),
    ],
)
def test_another_type_is_named_with_the_right_one(dtype: torch.dtype, said: str, tmp_path: Path) -> None:
    name = "latent.head.weight"
    assert refused(changed(name, lambda t: t.to(dtype)), tmp_path) == f"tensor {name!r} {said}"


def test_one_tensor_too_many_is_named_and_the_nearest_suggested(tmp_path: Path) -> None:
    tensors = tensors_of(build_pair(POINT))
    line = refused({**tensors, "latent.haed.weight": torch.ones(1)}, tmp_path)
    assert line == "tensor 'latent.haed.weight' is no parameter of this pair — did you mean 'latent.head.weight'?"
    assert "begin with token. and latent." in refused({**tensors, "9": torch.ones(1)}, tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    line = refused(changed("latent.head.weight", lambda t: t.index_fill(0, torch.tensor([1]), value)), tmp_path)
    assert line == "tensor 'latent.head.weight' holds NaN or infinity; give finite weights"


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save(build_pair(POINT), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is not a safetensors file"):
        load(build_pair(POINT), path)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        save(build_pair(POINT), tmp_path / "missing" / "w.safetensors")
