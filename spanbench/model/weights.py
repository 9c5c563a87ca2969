"""Weights of a pair in one safetensors file: each parameter under its own name, behind `token.` or `latent.`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spanbench.errors import UsageError, suggest
from spanbench.model.pair import Pair
from spanbench.point import DTYPE_BYTES

__all__ = ["check", "load", "save"]

_TYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}
"""How a safetensors file calls the types that a pair may have."""


class _File(Protocol):
    """What is used of `safe_open`, which has no types of its own."""

    def keys(self) -> list[str]: ...

    def get_slice(self, name: str) -> _Slice: ...

    def get_tensor(self, name: str) -> Tensor: ...


class _Slice(Protocol):
    def get_shape(self) -> list[int]: ...

    def get_dtype(self) -> str: ...


def save(pair: Pair, path: str | Path) -> None:
    """Write the weights of both arms to a safetensors file.

    Raises:
        UsageError: the file cannot be written.
    """
    # A file holds rows as they are read; how a pair stores its matrices is its own affair.
    tensors = {name: tensor.contiguous() for name, tensor in _named(pair).items()}
    try:
        save_file(tensors, str(path), metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise UsageError(f"weights {str(path)!r}: cannot be written ({_why(error)})") from None


def check(pair: Pair, path: str | Path) -> None:
    """Refuse a file whose tensors are not exactly those of this pair, which may be without storage (device 'meta').

    Raises:
        UsageError: the first tensor that is missing, of another shape or type, or too many, and what would be right.
    """
    with _opened(path) as file:
        _check(file, _named(pair), _where(path))


def load(pair: Pair, path: str | Path) -> None:
    """Read the weights of both arms from a file; all of it is checked before any weight is changed.

    Values are copied into the parameters that are there, so each matrix stays stored as it was (input-major on a CPU).

    Raises:
        UsageError: the file is not right for this pair, see `check`, or holds a value that is not finite.
    """
    with _opened(path) as file, torch.no_grad():
        parameters = _named(pair)
        _check(file, parameters, _where(path))
        values = {name: file.get_tensor(name) for name in parameters}
        for name, value in values.items():
            if not value.isfinite().all():
                raise UsageError(f"{_where(path)}: tensor {name!r} holds NaN or infinity; give finite weights")
        for name, parameter in parameters.items():
            parameter.copy_(values[name])


def _named(pair: Pair) -> dict[str, Tensor]:
    return {f"{arm}.{name}": p.detach() for arm, model in pair.arms().items() for name, p in model.named_parameters()}


@contextmanager
def _opened(path: str | Path) -> Iterator[_File]:
    try:
        file = safe_open(str(path), framework="pt")
    except FileNotFoundError:
        raise UsageError(f"{_where(path)}: there is no such file; give a safetensors file") from None
    except OSError as error:
        why = "is a folder" if Path(path).is_dir() else f"cannot be read ({_why(error)})"
        raise UsageError(f"{_where(path)}: {why}; give a safetensors file") from None
    except SafetensorError as error:
        raise UsageError(f"{_where(path)}: is not a safetensors file ({_why(error)}); give one that holds both arms") from None
    with file:
        yield file


def _check(file: _File, parameters: dict[str, Tensor], where: str) -> None:
    held = set(file.keys())
    for name, parameter in parameters.items():
        if name not in held:
            raise UsageError(f"{where}: tensor {name!r} is missing; it must be there as {_sizes(parameter.shape)}, {_type(parameter)}")
        _check_one(file, name, parameter, where)
    if strangers := sorted(held - parameters.keys()):
        raise UsageError(f"{where}: tensor {strangers[0]!r} is no parameter of this pair{_near(strangers[0], parameters)}")


def _check_one(file: _File, name: str, parameter: Tensor, where: str) -> None:
    found = file.get_slice(name)
    shape, kind, wanted = found.get_shape(), found.get_dtype(), _type(parameter)
    if shape != list(parameter.shape):
        raise UsageError(
            f"{where}: tensor {name!r} is {_sizes(shape)}, must be {_sizes(parameter.shape)}; take the sizes that it was trained with"
        )
    held = _TYPES.get(kind, kind)
    if held != wanted:
        mend = f"take --dtype {held}, or convert the file" if held in DTYPE_BYTES else "convert the file"
        raise UsageError(f"{where}: tensor {name!r} has type {held}, must be {wanted}; {mend}")


def _near(name: str, known: Iterable[str]) -> str:
    hint = suggest(name, known)
    return hint if "did you mean" in hint else "; its parameters begin with token. and latent."


def _where(path: str | Path) -> str:
    return f"--weights {str(path)!r}"


def _why(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "no reason given")


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _sizes(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape)) or "a single number"
