"""Records of schema 1 are read forever, and the committed JSON Schema is the one that the models have.

After a change of the schema that is meant: `SPANBENCH_UPDATE_SCHEMA=1 pytest tests/test_schema.py`, and look at the difference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from spanbench.point import Point, Shape, Stack
from spanbench.record import SCHEMA, Measure, Record, read
from spanbench.record.audit import REQUIRED
from spanbench.record.fields import FIELDS
from spanbench.record.legal import sources_of
from spanbench.record.points import recorded_point
from spanbench.record.schema import DIALECT, json_schema, schema_text
from spanbench.units import QUANTITIES

ROOT = Path(__file__).parents[1]
COMMITTED = ROOT / "docs" / "record.schema.json"
PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
FIXTURES = ROOT / "tests" / "record_fixtures"
FROZEN: Mapping[str, tuple[str, int]] = {
    "v1_counted.jsonl": ("e5aa4651dc1834b4", 7),
    "v1_first.jsonl": ("bebc30187eaa30ae", 3),
    "v1_measured.jsonl": ("284f329254da2030", 3),
    "v1_paired.jsonl": ("76650a86af2cda3f", 1),
}
"""By file, the beginning of its sha256, and its records."""

jsonschema = pytest.importorskip("jsonschema", reason="the test extra brings jsonschema")
every_file = pytest.mark.parametrize("name", FROZEN)


def lines(name: str) -> list[str]:
    return (FIXTURES / name).read_text(encoding="utf-8").splitlines()


def validator() -> Any:
    return jsonschema.Draft202012Validator(json_schema())


# ---- schema 1, forever ----------------------------------------------------------------------------------------------


def test_every_fixture_is_frozen() -> None:
    found = {path.name: sha256(path.read_bytes()).hexdigest()[:16] for path in FIXTURES.glob("*.jsonl")}
    assert found == {name: digest for name, (digest, _) in FROZEN.items()}


@every_file
def test_a_fixture_is_read_whole_and_written_again_to_the_byte(name: str) -> None:
    told: list[str] = []
    records = read(FIXTURES / name, told.append)
    assert (len(records), told) == (FROZEN[name][1], [])
    assert [record.to_line().removesuffix("\n") for record in records] == lines(name)


@every_file
def test_a_fixtures_points_are_points(name: str) -> None:
    for record in read(FIXTURES / name):
        assert recorded_point(record.point).to_json() == record.point


@every_file
def test_a_fixture_validates(name: str) -> None:
    assert [error.message for line in lines(name) for error in validator().iter_errors(json.loads(line))] == []


def test_the_fixtures_hold_every_regime_convention_and_source() -> None:
    records = [record for name in FROZEN for record in read(FIXTURES / name)]
    rows = [row for record in records for row in record.measures]
    assert {record.convention for record in records} == {"dense", "useful", "causal-half"}
    assert {row.regime for row in rows} == {"score", "prefill", "decode", "decode_worst", "request"}
    assert {row.source for row in rows} == {"counted", "measured", "estimated", "modelled"}
    assert {row.stage for row in rows} == set(Measure.model_json_schema()["properties"]["stage"]["enum"])
    assert {row.quantity.removeprefix("ratio:") for row in rows} == set(QUANTITIES)


# ---- the JSON Schema ------------------------------------------------------------------------------------------------


def test_the_committed_schema_is_that_of_the_models() -> None:
    if os.environ.get("SPANBENCH_UPDATE_SCHEMA"):
        COMMITTED.write_text(schema_text(), encoding="utf-8")
    assert COMMITTED.read_text(encoding="utf-8") == schema_text()


def test_it_is_a_schema_of_its_dialect() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"] == DIALECT
    assert json_schema()["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize("model", [Point, Shape, Stack])
def test_every_field_of_a_point_is_described_and_no_other(model: type[Any]) -> None:
    assert list(FIELDS[model.__name__]) == [field.name for field in fields(model)]


@pytest.mark.parametrize("model", [Record, Measure])
def test_every_field_of_a_record_is_described_and_no_other(model: type[Record] | type[Measure]) -> None:
    assert list(FIELDS[model.__name__]) == [field.alias or name for name, field in model.model_fields.items()]


Change = Callable[[dict[str, Any]], object]


CHANGES: Mapping[str, Change] = {
    "no id": lambda plain: plain.pop("id"),
    "an id that is no hash": lambda plain: plain.update(id="a5659d6a8d05248"),
    "a field too many": lambda plain: plain.update(note=""),
    "another schema": lambda plain: plain.update(schema=2),
    "a convention of no name": lambda plain: plain.update(convention="half"),
    "no prompt named": lambda plain: plain["environment"].update(prompt=None),
    "no commit": lambda plain: plain["environment"].pop("commit"),
    "a point without a seed": lambda plain: plain["point"].pop("seed"),
    "a width as text": lambda plain: plain["point"]["shape"]["mixer"].update(width="512"),
    "a source of no name": lambda plain: plain["measures"][0].update(source="guessed"),
    "a value as text": lambda plain: plain["measures"][0].update(value="12"),
    "a null without a reason": lambda plain: plain["measures"][0].update(value=None),
    "steps of zero": lambda plain: plain["measures"][0].update(steps=0),
    "a figure without a meter": lambda plain: plain["measures"][0].pop("by"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_schema_refuses(change: Change) -> None:
    plain = json.loads(lines("v1_first.jsonl")[0])
    assert validator().is_valid(plain)
    changed = deepcopy(plain)
    change(changed)
    assert not validator().is_valid(changed)


def test_the_schema_takes_integers_beyond_any_float() -> None:
    plain = json.loads(lines("v1_first.jsonl")[0])
    plain["measures"][0]["value"] = 2**63 - 1
    assert validator().is_valid(plain)


# ---- the page on records --------------------------------------------------------------------------------------------


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first column has this heading."""
    found = re.search(rf"^\| {heading} \|.*\n\|[-|: ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, heading
    return [[cell.strip().strip("`") for cell in row.strip("|").split(" | ")] for row in found[1].splitlines()]


@pytest.mark.parametrize("model", FIELDS)
def test_the_page_names_every_field_as_the_schema_does(model: str) -> None:
    assert {row[0]: row[1].rstrip("| ") for row in table(f"{model} field")} == dict(FIELDS[model])


def test_the_page_names_every_quantity_with_its_unit_and_its_sources() -> None:
    rows = {row[0]: (row[1], row[2]) for row in table("quantity")}
    assert rows == {name: (known.unit, ", ".join(sources_of(name))) for name, known in QUANTITIES.items()}


def test_the_page_names_what_every_environment_has() -> None:
    assert [row[0] for row in table("required key")] == list(REQUIRED)
