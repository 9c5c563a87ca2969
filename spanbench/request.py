"""What a user asked for, from flags and a TOML file, and the point that it means."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from spanbench.errors import UsageError, suggest
from spanbench.point import ALL_REGIMES, DTYPE_BYTES, REGIMES, Point, Regime, check_choice
from spanbench.presets import ALLOCATIONS, DEFAULT_ALLOCATION, DEFAULT_PRESET, PRESETS, check_override, resolve
from spanbench.prompt import Prompt, load_prompt
from spanbench.tally import CONVENTIONS, Convention

__all__ = [
    "DEFAULT_GENERATE",
    "DEFAULT_SPAN",
    "DEFAULT_TOKENS",
    "DTYPES",
    "MAX",
    "Request",
    "from_toml",
    "parse_overrides",
    "point_of",
    "read_toml",
]

DEFAULT_TOKENS = 2048
DEFAULT_SPAN = 32
DEFAULT_GENERATE = 64
DTYPE_ALIASES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp64": "float64"}
DTYPES = (*DTYPE_BYTES, *DTYPE_ALIASES)
MAX = "max"
"""What `--batch` takes for the largest batch that fits."""
LARGEST_SEED = 2**63 - 1

_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `tokens` None means all of a prompt file, or 2048 of the documents' prompt."""

    preset: str = DEFAULT_PRESET
    allocation: str = DEFAULT_ALLOCATION
    shape: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the preset's and the allocation's sizes, see `spanbench.presets.override_keys`."""
    tokens: int | None = None
    span: int = DEFAULT_SPAN
    batch: int = 1
    largest: bool = False
    """The batch is to be the largest that fits (`--batch max`): whoever runs the request puts it in, see `with_batch`."""
    note: str = ""
    """What a reader must know of how the request came to be."""
    generate: int = DEFAULT_GENERATE
    regimes: tuple[str, ...] = REGIMES
    prompt: str | None = None
    tokenizer: str | None = None
    seed: int = 0
    dtype: str = "float32"
    device: str = "cpu"
    convention: str = "dense"

    def with_flags(self, **flags: Any) -> Request:
        """Return the request with every flag that was given (None: not given); shape overrides are merged."""
        given = {key: value for key, value in flags.items() if value is not None}
        shape = {**self.shape, **given.pop("shape", {})}
        return replace(self, shape=shape, **_batch(given))

    def with_batch(self, batch: int, note: str) -> Request:
        """Return the request with the batch that was found for it, and why it is that one."""
        return replace(self, batch=batch, largest=False, note=note)

    @property
    def row_tokens(self) -> int | None:
        """N, where it is known before the prompt is read: the documents' prompt is cut or repeated, a file may give its length."""
        return DEFAULT_TOKENS if self.tokens is None and self.prompt is None else self.tokens


def _batch(given: dict[str, Any]) -> dict[str, Any]:
    """Split a batch that was given: a number, or the word for the largest."""
    if "batch" not in given:
        return given
    largest = given["batch"] == MAX
    return given | {"batch": 1 if largest else given["batch"], "largest": largest}


def read_toml(path: str) -> Request:
    """Read a request from a TOML file: top-level keys as the flags are named, sizes in a [shape] table.

    Names of files in it are taken from the working folder, as those of flags are.

    Raises:
        UsageError: a missing or broken file, an unknown key, a value of another type.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--config {path!r}: there is no such file; give a TOML file") from None
    except IsADirectoryError:
        raise UsageError(f"--config {path!r}: is a folder; give a TOML file") from None
    except OSError as error:
        raise UsageError(f"--config {path!r}: cannot be read ({error.strerror}); give a TOML file") from None
    except RecursionError:
        raise UsageError(f"--config {path!r}: is not TOML that can be read (nested too deeply)") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of too many digits
        raise UsageError(f"--config {path!r}: is not TOML ({error})") from None
    return from_toml(data, f"--config {path!r}")


def from_toml(data: dict[str, Any], where: str) -> Request:
    """Return the request of a TOML file's keys, which are named as the flags are; sizes are in `shape`. `where` begins a message.

    Raises:
        UsageError: an unknown key, or a value of another type.
    """
    sizes = _flatten(data.pop("shape", {}), where)
    shape = {key: check_override(key, value, f"{where}: [shape]") for key, value in sizes.items()}
    if "regime" in data:  # as the flag is named
        data["regimes"] = data.pop("regime")
    return Request(shape=shape, **_batch({key: _toml_value(key, value, where) for key, value in data.items()}))


def _flatten(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: shape = {table!r} is not a table; put sizes below a line [shape]")
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update({f"{key}.{name}": inner for name, inner in value.items()} if isinstance(value, dict) else {key: value})
    return flat


def _toml_value(key: str, value: Any, where: str) -> Any:
    numbers = {"tokens", "span", "batch", "generate", "seed"}
    known = {f.name for f in fields(Request)} - {"largest", "note"}
    if key not in known:
        raise UsageError(f"{where}: unknown key {key!r}{suggest(key, known)}")
    if key == "regimes":
        return _toml_regimes(value, where)
    if key == "batch" and value == MAX:
        return value
    kind = int if key in numbers else str
    if type(value) is not kind:
        raise UsageError(f"{where}: {key} = {value!r} is not {'a whole number' if kind is int else 'text'}")
    return value


def _toml_regimes(value: Any, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise UsageError(f"{where}: regime = {value!r} is not a list of names, such as {list(ALL_REGIMES)!r}")
    return tuple(names)


def parse_overrides(items: list[str]) -> dict[str, Any]:
    """Turn 'layers=12' items of --set into a mapping of checked keys and typed values.

    Raises:
        UsageError: not KEY=VALUE, an unknown key, a value of another type.
    """
    overrides = {}
    for item in items:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (key and equals and value):
            raise UsageError(f"--set {item!r}: must be KEY=VALUE, for example layers=12")
        overrides[key] = check_override(key, value)
    return overrides


def point_of(request: Request, read: Prompt | None = None) -> tuple[Point, Prompt, Convention]:
    """Check a request from front to back; return its point, its prompt and its convention.

    `read` is the request's prompt where it was read before: it is cut anew, since standard input cannot be read twice.

    Raises:
        UsageError: whatever cannot be, in one line.
    """
    _check_names(request)
    _check_numbers(request)
    resolve(request.preset, request.allocation, request.shape, request.span)  # refuse a wrong shape before reading a prompt
    if read is None:
        prompt = load_prompt(request.prompt, request.tokenizer, request.row_tokens, request.batch)
    else:
        prompt = read.cut(request.row_tokens or read.text_tokens, request.batch)
    return _point(request, prompt), prompt, cast(Convention, request.convention)


def _check_names(request: Request) -> None:
    check_choice("--preset", request.preset, tuple(PRESETS))
    check_choice("--allocation", request.allocation, tuple(ALLOCATIONS))
    check_choice("--dtype", request.dtype, DTYPES)
    check_choice("--convention", request.convention, CONVENTIONS)
    if not _DEVICE.fullmatch(request.device):
        raise UsageError(f"--device: unknown value {request.device!r} — known: cpu, cuda, cuda:N (N from 0)")
    if not request.regimes:
        raise UsageError(f"--regime: no regime given — known: {', '.join(ALL_REGIMES)}")
    for regime in request.regimes:
        check_choice("--regime", regime, ALL_REGIMES)


def _check_numbers(request: Request) -> None:
    if request.largest:
        raise UsageError(f"--batch {MAX}: the largest batch was not looked for yet; see Request.with_batch")
    for name in ("tokens", "span", "batch", "generate"):
        value = getattr(request, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: must be at least 1")
    if not 0 <= request.seed <= LARGEST_SEED:
        raise UsageError(f"--seed {request.seed}: must lie between 0 and {LARGEST_SEED}")


def _point(request: Request, prompt: Prompt) -> Point:
    overrides = dict(request.shape)
    if request.tokenizer is not None:
        overrides.setdefault("vocab", prompt.vocab)  # the head speaks the tokenizer's vocabulary unless told otherwise
    shape = resolve(request.preset, request.allocation, overrides, request.span)
    largest = max(max(row) for row in prompt.ids)
    if largest >= shape.vocab:
        raise UsageError(f"--set vocab={shape.vocab}: is too small, the prompt holds id {largest}; set vocab to at least {prompt.vocab}")
    return Point(
        shape=shape,
        tokens=prompt.tokens,
        span=request.span,
        batch=request.batch,
        generate=request.generate,
        regimes=tuple(cast(Regime, regime) for regime in dict.fromkeys(request.regimes)),
        device=request.device,
        dtype=DTYPE_ALIASES.get(request.dtype, request.dtype),
        seed=request.seed,
        preset=request.preset,
        allocation=request.allocation,
        tokenizer=prompt.tokenizer,
        prompt=prompt.digest,
    )
