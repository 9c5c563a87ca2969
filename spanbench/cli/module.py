"""`spanbench count --module pkg.mod:factory --input 1x3x224x224`: counts any torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanbench.cli.output import put
from spanbench.errors import SpanbenchError, UsageError

if TYPE_CHECKING:
    from spanbench.count.module import ModuleCount

__all__ = ["count_module_command"]

DEVICES = "meta, cpu, cuda, cuda:N"


def count_module_command(module: str, inputs: list[str], fmt: str = "table", device: str = "meta", dtype: str = "float32") -> None:
    """Count one inference forward of the module that a factory makes, and print it. `dtype`: weights, and inputs that name none."""
    from spanbench.show.module import render_module

    put(render_module, _counted(module, inputs, device, dtype), fmt)


def _counted(spec: str, texts: list[str], device: str, dtype: str) -> ModuleCount:
    from spanbench.count.module import count_module
    from spanbench.count.module.load import load_module, make_input, one_line, parse_input

    _check_device(device)
    shapes = [parse_input(text, dtype) for text in texts]
    names = [shape.name for shape in shapes if shape.name]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--input: {repeated!r} is given twice")
    model = load_module(spec, device, dtype).eval()
    try:
        positional = [make_input(shape, device) for shape in shapes if shape.name is None]
        named: dict[str, Any] = {shape.name: make_input(shape, device) for shape in shapes if shape.name}
        return count_module(model, *positional, **named)
    except SpanbenchError:
        raise
    except Exception as error:  # a module of the user's own may raise anything
        hint = " — tensors on meta have no contents; --device cpu gives them some" if device == "meta" and _of_meta(error) else ""
        raise UsageError(f"--module: {spec!r} with --input {' '.join(texts) or '(none)'} raised {one_line(error)}{hint}") from error


def _of_meta(error: Exception) -> bool:
    return "meta" in str(error).lower()


def _check_device(device: str) -> None:
    import torch

    kind, _, index = device.partition(":")
    if device not in ("meta", "cpu") and (kind != "cuda" or (index and not index.isdecimal())):
        raise UsageError(f"--device: unknown value {device!r} — known: {DEVICES}")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device: {device!r} is not here; this machine and build of torch have {torch.cuda.device_count()} CUDA devices")
