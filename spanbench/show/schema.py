"""`schema`: the JSON Schema of a record, or its fields as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spanbench.show.blocks import Page, Row, Table, Text
from spanbench.show.formats import render

__all__ = ["page", "render_schema"]

ORDER = ("Measure", "Point", "Shape", "Stack")


def render_schema(schema: Mapping[str, Any], fmt: str = "json", width: int = 80, colour: bool = False) -> str:
    """Return the schema in one of `formats.FORMATS`: whole as JSON, its fields in the others."""
    return render(page(schema), fmt, width, colour)


def page(schema: Mapping[str, Any]) -> Page:
    """Return the view before it is printed."""
    models = {"Record": schema, **{name: schema["$defs"][name] for name in ORDER}}
    fields = [
        {"of": name, "field": field, "type": _type(part), "meaning": part["description"]}
        for name, model in models.items()
        for field, part in model["properties"].items()
    ]
    return Page(tuple(_blocks(models)), schema, fields)


def _blocks(models: Mapping[str, Mapping[str, Any]]) -> Iterator[Text | Table]:
    yield Text("spanbench schema · the fields of a record", "title")
    for name, model in models.items():
        yield Text(f"{name}. {model['description']}", "plain")
        rows = tuple(Row((field, _type(part))) for field, part in model["properties"].items())
        yield Table(("field", "type"), rows, left=frozenset({0, 1}))
        yield from (Text(f"{field}: {part['description']}", "note", hang=2) for field, part in model["properties"].items())


def _type(part: Mapping[str, Any]) -> str:
    """Return a type as text: integer, number or null; the names that an enumeration has; the model that it is."""
    if "enum" in part:
        return ", ".join(map(str, part["enum"]))
    if "anyOf" in part:
        return " or ".join(_type(one) for one in part["anyOf"])
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    return f"list of {_type(part['items'])}" if part.get("type") == "array" else str(part.get("type", "any"))
