"""What `count --module pkg.mod:factory --input 1x3x224x224` names: the module and its inputs, from text."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spanbench.errors import UsageError, suggest

__all__ = ["InputShape", "load_module", "make_input", "one_line", "parse_input"]

_DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
_INPUT = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<sizes>[0-9]+(?:x[0-9]+)*)(?::(?P<dtype>\w+))?", re.ASCII)
_GRAMMAR = "[NAME=]SIZExSIZE…[:DTYPE], such as 1x3x224x224 or input_ids=1x128:int64"
_LARGEST = 2**48  # elements: torch's own message beyond it is about overflowing strides


@dataclass(frozen=True, slots=True)
class InputShape:
    """One input of the module; `name` is that of a keyword, None for a positional one."""

    name: str | None
    shape: tuple[int, ...]
    dtype: torch.dtype


def parse_input(text: str, dtype: str = "float32") -> InputShape:
    """Read an input such as '1x3x224x224', '1x128:int64' or 'mask=1x128:bool'; `dtype` is that of inputs which do not say.

    Raises:
        UsageError: the text is no shape, a size is 0 or too large, or the dtype is unknown.
    """
    match = _INPUT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--input: {text!r} is not a shape; write {_GRAMMAR}")
    shape = tuple(int(size) for size in match["sizes"].split("x"))
    elements = 1
    for size in shape:
        elements *= size
    if not 0 < elements <= _LARGEST:
        raise UsageError(f"--input: {text!r} has {elements:,} elements; sizes must be at least 1, and their product at most {_LARGEST:,}")
    return InputShape(match["name"], shape, _dtype(match["dtype"] or dtype, text))


def _dtype(name: str, text: str) -> torch.dtype:
    if name not in _DTYPES:
        raise UsageError(f"--input: unknown dtype {name!r} in {text!r}{suggest(name, _DTYPES)}")
    found: torch.dtype = getattr(torch, name)
    return found


def make_input(shape: InputShape, device: str) -> Tensor:
    """Return an input: nothing on meta; elsewhere ids 0 (every table has that row), and repeatable numbers in [0, 1)."""
    if device == "meta" or not shape.dtype.is_floating_point:
        return torch.zeros(shape.shape, dtype=shape.dtype, device=device)
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shape.shape, generator=generator).to(device=device, dtype=shape.dtype)


def load_module(spec: str, device: str = "meta", dtype: str = "float32") -> nn.Module:
    """Return the module that 'pkg.mod:factory' makes on a device: the factory is called without arguments.

    An attribute that is a module already is taken as it is. The current folder is searched first, as by `python -m`.

    Raises:
        UsageError: there is no such factory, it raises, or what it returns is no module.
    """
    place, _, name = spec.partition(":")
    if not (place and name and all(part.isidentifier() for part in (*place.split("."), *name.split(".")))):
        raise UsageError(f"--module: {spec!r} is not of the form pkg.mod:factory, such as torch.nn:Identity")
    found = _attribute(_imported(place, spec), name, spec)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise UsageError(f"--module: {spec!r} is of type {type(found).__name__}; it must make a torch.nn.Module when called")
    with torch.device(device):
        module = _called(found, spec)
    if not isinstance(module, nn.Module):
        raise UsageError(f"--module: {spec!r} returned {type(module).__name__}; it must return a torch.nn.Module")
    return module.to(_dtype(dtype, spec))


def _imported(place: str, spec: str) -> Any:
    with _current_folder_first():
        try:
            return importlib.import_module(place)
        except (Exception, SystemExit) as error:  # code of the user's own may raise anything
            raise UsageError(f"--module: cannot import {place!r} of {spec!r}: {one_line(error)}") from error


def _attribute(value: Any, name: str, spec: str) -> Any:
    for part in name.split("."):
        if not hasattr(value, part):
            near = suggest(part, [known for known in dir(value) if not known.startswith("_")] or [part])
            hint = "" if near.startswith(" — known") else near
            raise UsageError(f"--module: {spec!r} names {part!r}, which {getattr(value, '__name__', 'it')} does not have{hint}")
        value = getattr(value, part)
    return value


def _called(factory: Callable[[], Any], spec: str) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:  # code of the user's own may raise anything
        raise UsageError(f"--module: {spec!r} raised {one_line(error)}") from error


@contextmanager
def _current_folder_first() -> Iterator[None]:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its type, and the first line of its message."""
    lines: Sequence[str] = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__
