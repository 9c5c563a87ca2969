"""The JSON Schema of a record, built from the models that read one (models.py) and the point that it is of.

Policy (docs/records.md): schema 1 is read forever. New quantities, keys of the environment and warnings come within a
schema; another field, another meaning of one, or another form of a point is a new schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from spanbench.point import Point
from spanbench.record.audit import KNOWN, REQUIRED
from spanbench.record.fields import FIELDS, TITLES
from spanbench.record.models import SCHEMA, Record
from spanbench.units import QUANTITIES, RATIO_PREFIX

__all__ = ["DIALECT", "json_schema", "schema_text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one record, as plain JSON values in a fixed order."""
    record, point = Record.model_json_schema(by_alias=True), TypeAdapter(Point).json_schema()
    models = {**record.pop("$defs"), **point.pop("$defs"), "Point": point, "Record": record}
    for name in TITLES:
        _describe(name, models[name])
    _say_more(models)
    parts = {name: models[name] for name in sorted(models) if name != "Record"}
    return {"$schema": DIALECT, "title": "spanbench record", **record, "$defs": parts}


def schema_text() -> str:
    """Return the schema as text: the committed copy in docs/."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=2) + "\n"


def _describe(name: str, model: dict[str, Any]) -> None:
    """Put in what the fields mean, that a record has them all (whatever a reader would fill in), and that there are no others."""
    model |= {"description": TITLES[name], "additionalProperties": False, "required": list(model["properties"])}
    for field, part in model["properties"].items():
        part.pop("title", None)
        part.pop("default", None)
        part["description"] = FIELDS[name][field]
    model.pop("title", None)


def _say_more(models: Mapping[str, Any]) -> None:
    """Put in what no type says: the version, the hash, the environment's names, every quantity, and when a null is one."""
    fields = models["Record"]["properties"]
    fields["schema"]["const"] = SCHEMA
    fields["id"]["pattern"] = "^[0-9a-f]{16}$"
    fields["point"] = {"$ref": "#/$defs/Point", "description": FIELDS["Record"]["point"]}
    known = {name: {"not": {"type": "null"}} for name in KNOWN}
    fields["environment"] |= {"required": list(REQUIRED), "properties": known}
    measure = models["Measure"]
    measure["properties"]["quantity"]["examples"] = [*QUANTITIES, f"{RATIO_PREFIX}flops"]
    measure["if"] = {"properties": {"value": {"type": "null"}}}
    measure["then"] = {"properties": {"reason": {"type": "string", "minLength": 1}}}
