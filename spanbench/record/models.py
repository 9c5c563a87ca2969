"""What came out of a run: `Measure` rows in a `Record`, which is one JSON line of a file (see file.py).

A figure is never bare: it carries its source and the counter or meter that gave it. Exact quantities are Python
integers from start to file; an unknown figure is null with a reason, never 0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictFloat, StrictInt, ValidationError, model_validator

from spanbench.errors import SpanbenchError, UsageError
from spanbench.tally import Convention

__all__ = [
    "SCHEMA",
    "SOURCES",
    "Measure",
    "Record",
    "SchemaMismatch",
    "Source",
    "record_id",
    "weakest",
]

SCHEMA = 1

Source = Literal["counted", "measured", "estimated", "modelled"]
SOURCES: tuple[Source, ...] = get_args(Source)
"""From the strongest to the weakest."""

Arm = Literal["token", "latent", "pair"]
Stage = Literal["embedding", "encoder", "mixer", "bridge", "decoder", "layers", "head", "total"]
RunRegime = Literal["score", "prefill", "decode", "decode_worst", "request"]

Finite = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Number = StrictInt | Finite


class SchemaMismatch(SpanbenchError):
    """A record of a schema that this version does not read."""

    exit_code: ClassVar[int] = 3


class Measure(BaseModel):
    """One figure for the whole batch, in base units; `low` and `high` bound a noisy one.

    For an arm they are the smallest and the largest slot, a range and no confidence interval; for a pair's ratio, which is
    the median over paired blocks and not the quotient of the arms' medians, its 95% interval.

    `steps` is what the value sums over: 1 forward in score and prefill, one-token steps in decode.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: Arm
    regime: RunRegime
    stage: Stage
    quantity: str
    value: Number | None
    unit: str
    steps: int = Field(default=1, ge=1)
    source: Source
    low: Number | None = None
    high: Number | None = None
    by: str
    reason: str | None = None

    @model_validator(mode="after")
    def _null_needs_a_reason(self) -> Self:
        if self.value is None and not self.reason:
            raise ValueError(f"{self.arm} {self.regime} {self.stage} {self.quantity}: a null value needs a reason")
        return self


class Record(BaseModel):
    """One run of one point. `verified` names the checks that agreed with tolerance 0 before anything was timed.

    `id` is a hash of point, convention and schema, never of results, so equal questions share it. Views print
    `environment["prompt"]` as the prompt's name and `environment["cpu"]` as the machine's, where they are present.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    id: str = ""
    point: dict[str, JsonValue]
    convention: Convention
    environment: dict[str, JsonValue] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    verified: list[str] = Field(default_factory=list)
    measures: list[Measure]

    @model_validator(mode="after")
    def _id_is_the_hash(self) -> Self:
        wanted = record_id(self.point, self.convention, self.schema_version)
        if not self.id:
            object.__setattr__(self, "id", wanted)  # frozen for everyone else
        if self.id != wanted:
            raise ValueError(f"id {self.id!r} is not the hash of its point, convention and schema ({wanted!r})")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, under the names of the file."""
        return self.model_dump(mode="python", by_alias=True)

    def to_line(self) -> str:
        """Return the record as one JSON line, newline included. Integers keep every digit."""
        return json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_line(cls, line: str, where: str = "record") -> Record:
        """Return the record of one JSON line; `where` names the line in an error.

        Raises:
            UsageError: not a record.
            SchemaMismatch: a record of another schema.
        """
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
            raise UsageError(f"{where}: not JSON ({error})") from None
        if not isinstance(plain, dict) or "schema" not in plain:
            raise UsageError(f"{where}: not a spanbench record (no 'schema')")
        if plain["schema"] != SCHEMA:
            raise SchemaMismatch(f"{where}: schema {plain['schema']!r}, this version of spanbench reads schema {SCHEMA}")
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            raise UsageError(f"{where}: {_first_problem(error)}") from None


def record_id(point: Mapping[str, Any], convention: str, schema: int = SCHEMA) -> str:
    """Return 16 hex digits: the sha256 of point, convention and schema as canonical JSON (sorted keys, no spaces)."""
    question = {"convention": convention, "point": point, "schema": schema}
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def weakest(sources: Iterable[Source]) -> Source:
    """Return the weakest of some sources: what a sum or a ratio of them carries."""
    return max(sources, key=SOURCES.index)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
