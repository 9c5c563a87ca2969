"""What to run: the sizes of both models (`Shape`) and one point of a comparison (`Point`).

Plain integers only; nothing here imports torch. Letters are those of docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from spanbench.errors import UsageError, suggest

__all__ = [
    "ALL_REGIMES",
    "DTYPE_BYTES",
    "ID_BYTES",
    "POOLS",
    "REGIMES",
    "SPOKEN",
    "Point",
    "Pool",
    "Regime",
    "Shape",
    "Stack",
    "Windows",
    "check_choice",
]

Pool = Literal["concat", "mean", "attention", "lookup"]
Regime = Literal["score", "prefill", "decode", "decode_worst", "request"]

POOLS: tuple[Pool, ...] = get_args(Pool)
ALL_REGIMES: tuple[Regime, ...] = get_args(Regime)
REGIMES: tuple[Regime, ...] = ("score", "prefill")
SPOKEN: tuple[Regime, ...] = ("decode", "decode_worst", "request")
"""Regimes that take one token a step."""
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
ID_BYTES = 8  # token ids are int64


def check_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not among the known names, with the nearest one."""
    if value not in known:
        raise UsageError(f"{option}: unknown value {value!r}{suggest(value, known)}")


def _need(ok: bool, message: str) -> None:
    if not ok:
        raise UsageError(message)


def _divisors(whole: int) -> str:
    return ", ".join(str(part) for part in range(1, min(whole, 64) + 1) if whole % part == 0)


@dataclass(frozen=True, slots=True)
class Stack:
    """`layers` equal transformer layers of `width` d, MLP width `mlp` F, `heads` H, `kv_heads` G."""

    layers: int
    width: int
    mlp: int
    heads: int
    kv_heads: int

    @property
    def head_width(self) -> int:
        """E = d / H."""
        return self.width // self.heads

    @property
    def kv_width(self) -> int:
        """G·E, the width of the keys (and of the values) of one row."""
        return self.kv_heads * self.head_width

    def check(self, part: str) -> None:
        """Refuse sizes that no stack can have; `part` names the stack in the message."""
        for name in ("width", "mlp", "heads", "kv_heads"):
            value = getattr(self, name)
            _need(value >= 1, f"{part}.{name} must be at least 1, got {value}")
        _need(self.layers >= 0, f"{part}.layers must be 0 or more, got {self.layers}")
        _need(
            self.width % self.heads == 0,
            f"{part}: {self.heads} heads do not divide the width {self.width}",
        )
        _need(
            self.heads % self.kv_heads == 0,
            f"{part}: {self.kv_heads} key-value heads do not divide its {self.heads} heads; take one of {_divisors(self.heads)}",
        )
        _need(
            self.layers == 0 or self.head_width % 2 == 0,
            f"{part}: head width {self.head_width} is odd, and rotary positions need pairs",
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of both arms: `token` is the dense model, the other parts make the latent one."""

    vocab: int
    gated: bool
    token: Stack
    encoder: Stack
    mixer: Stack
    decoder: Stack
    pool: Pool
    prefix: int
    carry: int = 0
    cross_attention: bool = False

    def check(self, span: int) -> None:
        """Refuse shapes that cannot be built for this span, one clear line each."""
        _need(span >= 1, f"span must be at least 1, got {span}")
        _need(self.vocab >= 1, f"vocab must be at least 1, got {self.vocab}")
        for part in ("token", "encoder", "mixer", "decoder"):
            getattr(self, part).check(part)
        check_choice("pool", self.pool, POOLS)
        _need(self.prefix >= 1, f"prefix must be at least 1 slot, got {self.prefix}")
        _need(
            0 <= self.carry <= span,
            f"carry must lie between 0 and the span ({span}), got {self.carry}",
        )
        self._check_lookup(span)
        self._check_flat_decoder()

    def _check_lookup(self, span: int) -> None:
        if self.pool != "lookup":
            return
        _need(
            self.mixer.width % span == 0,
            f"--span {span}: pool 'lookup' needs a span that divides the mixer width {self.mixer.width}; "
            f"take one of {_divisors(self.mixer.width)}",
        )
        _need(
            self.encoder.layers == 0,
            f"pool 'lookup' has no encoder layers, got encoder.layers={self.encoder.layers}",
        )
        _need(
            self.encoder.width == self.mixer.width // span,
            f"pool 'lookup' needs encoder.width = mixer.width / span = {self.mixer.width // span}, got {self.encoder.width}",
        )

    def _check_flat_decoder(self) -> None:
        if self.decoder.layers > 0:
            return
        _need(self.carry == 0, "carry needs at least one decoder layer (decoder.layers is 0)")
        _need(not self.cross_attention, "cross_attention needs at least one decoder layer (decoder.layers is 0)")


@dataclass(frozen=True, slots=True)
class Windows:
    """How N tokens fall into spans and decoder windows (docs/architecture.md)."""

    tokens: int
    span: int
    prefix: int
    carry: int

    @property
    def complete(self) -> int:
        """K, the number of complete spans."""
        return self.tokens // self.span

    @property
    def open(self) -> int:
        """o, the tokens of the span that is not complete yet."""
        return self.tokens % self.span

    @property
    def first_rows(self) -> int:
        """Rows of window 0 where span 0 is complete: P + S - 1."""
        return self.prefix + self.span - 1

    @property
    def inner_rows(self) -> int:
        """Rows of each window 1 .. K-1: P + w + S - 1."""
        return self.prefix + self.carry + self.span - 1

    @property
    def open_rows(self) -> int:
        """Rows of window K: P + w·[K>0] + o."""
        return self.prefix + (self.carry if self.complete else 0) + self.open

    @property
    def score_rows(self) -> int:
        """Decoder rows of one prompt in score, all windows together."""
        complete = self.first_rows + (self.complete - 1) * self.inner_rows if self.complete else 0
        return complete + self.open_rows


@dataclass(frozen=True, slots=True)
class Point:
    """One comparison: which models, on how many tokens, in which spans, where and in what precision."""

    shape: Shape
    tokens: int
    span: int
    batch: int = 1
    generate: int = 64
    """G, the tokens that a request says."""
    regimes: tuple[Regime, ...] = REGIMES
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0
    preset: str = "custom"
    allocation: str = "custom"
    tokenizer: str = "bytes"
    prompt: str = ""
    """sha256 of the ids (int64, little endian, row by row): a count of bytes depends on them."""

    def __post_init__(self) -> None:
        _need(self.tokens >= 1, f"tokens must be at least 1, got {self.tokens}")
        _need(self.batch >= 1, f"batch must be at least 1, got {self.batch}")
        _need(self.generate >= 1, f"generate must be at least 1 token, got {self.generate}")
        check_choice("dtype", self.dtype, tuple(DTYPE_BYTES))
        for regime in self.regimes:
            check_choice("regime", regime, ALL_REGIMES)
        self.shape.check(self.span)

    @property
    def windows(self) -> Windows:
        """The windows of one prompt of this point."""
        return Windows(self.tokens, self.span, self.shape.prefix, self.shape.carry)

    def steps(self, regime: Regime) -> int:
        """Return what a regime's figures sum over: its forwards and one-token steps."""
        return {"decode": self.span, "request": self.generate}.get(regime, 1)

    @property
    def said(self) -> int:
        """Tokens that are fed one a step after the prompt, in the regime that takes the most of them."""
        taken = {"decode": self.span, "decode_worst": self.span, "request": self.generate - 1}
        return max((taken.get(regime, 0) for regime in self.regimes), default=0)

    @property
    def itemsize(self) -> int:
        """Bytes of one weight or activation."""
        return DTYPE_BYTES[self.dtype]

    def to_json(self) -> dict[str, Any]:
        """Return the point as plain JSON values; its hash is the record's id."""
        plain = asdict(self)
        plain["regimes"] = list(self.regimes)
        return plain
