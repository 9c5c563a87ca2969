from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.record import SOURCES
from spanbench.show.report.plots.every import pictures
from spanbench.show.report.plots.picture import Axis, Curve, Guide, Mark, Picture
from spanbench.show.report.sections.build import summarise
from spanbench.show.report.svg.colours import COLOURS, INK, MARKS, MUTED, ON_STAGE, PAPER, STAGES
from spanbench.show.report.svg.draw import VARIABLES, draw_png, draw_svg, inlined, themed
from spanbench.show.report.svg.sheet import Styles
from tests.show.report.records import series

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30)
MARK = st.builds(
    lambda x, y, spread, source: Mark(x, y, source, y / spread, y * spread),
    st.floats(1, 1e6), st.floats(1e-9, 1e15), st.floats(1, 100), st.sampled_from(SOURCES),
)  # fmt: skip
CURVE = st.builds(
    lambda label, role, source, marks: Curve(label, role, source, tuple(sorted(marks, key=lambda mark: mark.x))),
    NAMES, st.sampled_from(sorted(COLOURS)), st.sampled_from(SOURCES), st.lists(MARK, min_size=1, max_size=8),
)  # fmt: skip
PICTURE = st.builds(
    lambda text, curves, guides: picture(text, tuple(curves), tuple(guides)),
    NAMES,
    st.lists(CURVE, min_size=1, max_size=4),
    st.lists(st.builds(lambda y: Guide("limit", ((1.0, y), (1e3, y)), dashed=True), st.floats(1e-9, 1e15)), max_size=2),
)


def picture(text: str, curves: tuple[Curve, ...], guides: tuple[Guide, ...] = ()) -> Picture:
    return Picture("name", "flops", 0, text, text, text, text, Axis("N", "tokens"), Axis("FLOP", "flops"), curves, guides)


def one_curve(source: str) -> Picture:
    marks = tuple(Mark(n, n * n, source, 0.9 * n * n, 1.1 * n * n) for n in (64, 128, 256))  # type: ignore[arg-type]  # parametrised
    return picture("t", (Curve("token arm", "token", source, marks),))  # type: ignore[arg-type]  # parametrised


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 -- made by the code under test


@given(PICTURE)
def test_a_plot_is_well_formed_and_named_by_its_own_title_and_description(shown: Picture) -> None:
    root = parsed(draw_svg(shown))
    named = {node.get("id"): node for node in root.iter() if node.get("id")}
    assert root.get("role") == "img"
    title, description = (named[name] for name in (root.get("aria-labelledby") or "").split())
    assert title.text == f"{shown.title} · {shown.where}"
    assert description.text == shown.description


@given(PICTURE)
def test_everything_that_is_drawn_lies_within_the_plot(shown: Picture) -> None:
    root = parsed(draw_svg(shown))
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    for node in root.iter(f"{SVG}path"):
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", node.get("d") or ""):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height


def test_marks_stand_at_the_grid_lines_of_their_figures() -> None:
    marks = tuple(Mark(n, y, "counted") for n, y in ((64, 1e3), (128, 1e4), (256, 1e5)))
    root = parsed(draw_svg(picture("t", (Curve("token arm", "token", "counted", marks),))))
    ways = [node.get("d") or "" for node in root.iter(f"{SVG}path")]
    plain = re.compile(r"M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)(?=M|$)")
    lines = [tuple(map(float, found)) for way in ways for found in plain.findall(way)]
    upright = {x for x, _, end, _ in lines if x == end}
    level = {y for x, y, end, last in lines if y == last and x != end}
    drawn = [tuple(map(float, place)) for place in re.findall(r"M(\S+) (\S+?)m", ways[-1])]
    assert len(drawn) == 3
    assert {x for x, _ in drawn} <= upright
    assert {y for _, y in drawn} <= level
    # Each line of the grid ends at the axes, so no mark lies beyond them.
    tops, bottoms = zip(*[sorted((y, last)) for x, y, end, last in lines if x == end], strict=True)
    assert len(set(tops)) == len(set(bottoms)) == 1
    assert all(tops[0] < y < bottoms[0] for _, y in drawn)


def styled(root: ET.Element, shape: str) -> list[dict[str, str]]:
    """Return the styles of lines ('none' inside) or marks of the first curve, as the classes say them."""
    css = next(node.text or "" for node in root.iter(f"{SVG}style"))
    rules = {name: dict(rule.split(":") for rule in body.split(";")) for name, body in re.findall(r"\.(k\d+)\{(.*?)\}", css)}
    found = [rules[node.get("class") or ""] for node in root.iter(f"{SVG}path")]
    return [style for style in found if style["stroke"] == COLOURS["token"].light and (style["fill"] == "none") == (shape == "line")]


@pytest.mark.parametrize("source", SOURCES)
def test_lines_and_marks_tell_sources_apart_without_colour(source: str) -> None:
    root = parsed(draw_svg(one_curve(source)))
    dashes = {style.get("stroke-dasharray") for style in styled(root, "line") if style["stroke-width"] == "1.6"}
    fills = {style["fill"] for style in styled(root, "mark")}
    assert dashes == {{"estimated": "5 3", "modelled": "1 2.5"}.get(source)}
    assert fills == {COLOURS["token"].light if source in {"counted", "measured"} else PAPER.light}


def test_no_two_curves_of_one_plot_share_the_shape_of_their_marks() -> None:
    assert MARKS["token"] != MARKS["latent"]
    assert len({MARKS[role] for role in ("documents", "cells", "flops", "seconds", "joules")}) == 5


def test_names_that_mean_something_in_xml_or_tex_are_text() -> None:
    hostile = '<script>alert("$x^2$ & \\frac")</script>'
    root = parsed(draw_svg(picture(hostile, (Curve(hostile, "token", "counted", (Mark(1, 1, "counted"), Mark(2, 2, "counted"))),))))
    assert hostile in [node.text for node in root.iter(f"{SVG}text")]
    assert not list(root.iter(f"{SVG}script"))
    assert draw_png(picture(hostile, (Curve(hostile, "token", "counted", (Mark(1, 1, "counted"),)),)))


def test_what_xml_cannot_hold_is_shown_as_a_gap_and_the_file_is_well_formed() -> None:
    text = "a\x00b\x0bc\ud800d"
    root = parsed(draw_svg(picture(text, (Curve(text, "token", "counted", (Mark(1, 1, "counted"),)),))))
    assert "a�b�c�d" in [node.text for node in root.iter(f"{SVG}text")]


def test_an_inlined_plot_has_the_pages_colours_and_ids_of_its_own() -> None:
    styles = Styles()
    texts = [inlined(one_curve("estimated"), styles, prefix) for prefix in ("p1", "p2")]
    ids = [set(re.findall(r' id="(.*?)"', text)) for text in texts]
    assert ids[0].isdisjoint(ids[1])
    rules = styles.css(VARIABLES)
    assert not any(colour.light in rules for colour in themed())
    assert "var(--blue)" in rules
    assert "#" not in "".join(texts)


def test_a_picture_of_pixels_is_800_wide_and_the_same_each_time() -> None:
    shown = pictures(summarise(series()))
    for one in shown:
        content = draw_png(one)
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", content[16:20]) == (800,)
        assert content == draw_png(one)


PROGRAM = """
import hashlib, sys
from pathlib import Path
from spanbench.record import read
from spanbench.show.report.sections.build import summarise
from spanbench.show.report.html.page import html_page
from spanbench.show.report.plots.every import pictures
from spanbench.show.report.svg.draw import draw_svg
from spanbench.show.report.terminal import terminal_plot
report = summarise(read(Path(sys.argv[1])))
texts = [html_page(report), terminal_plot(report), *(draw_svg(picture) for picture in pictures(report))]
assert "torch" not in sys.modules and "matplotlib" not in sys.modules
sys.stdout.write(hashlib.sha256("".join(texts).encode()).hexdigest())
"""


def test_equal_records_give_equal_bytes_in_any_process_whatever_their_order_and_without_torch_or_matplotlib(tmp_path: Path) -> None:
    records = [*series(span=8), *series(span=16, joules="estimated")]
    seen = set()
    for seed, ordered in (("0", records), ("1", records[::-1]), ("4242", records)):
        path = tmp_path / f"{seed}.jsonl"
        path.write_text("".join(record.to_line() for record in ordered), encoding="utf-8")
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed[0]}", "LC_ALL": "C"}
        done = subprocess.run([sys.executable, "-c", PROGRAM, path], env=environment, capture_output=True, text=True, check=True)
        seen.add(done.stdout)
    assert len(seen) == 1
    assert len(seen.pop()) == len(hashlib.sha256().hexdigest())


# ---- colours: WCAG 2.2's contrast, and what eyes without one kind of cones see (Machado, Oliveira and Fernandes, 2009) ----

BLIND = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "none": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}


def linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(colour: str) -> float:
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(colour: str, kind: str) -> list[float]:
    seen = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, linear(colour), strict=True)))) for row in BLIND[kind]]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    xyz = [sum(a * b for a, b in zip(row, seen, strict=True)) / white for row, white in zip(to_xyz, (0.9505, 1.0, 1.089), strict=True)]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in xyz)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_stand_out_from_the_paper(scheme: str) -> None:
    paper = getattr(PAPER, scheme)
    assert all(contrast(getattr(colour, scheme), paper) >= 4.5 for colour in (INK, MUTED))
    assert all(contrast(getattr(colour, scheme), paper) >= 3 for colour in COLOURS.values())
    assert all(contrast(ON_STAGE, colour) >= 4.5 for colour in STAGES.values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", BLIND)
def test_curves_of_one_plot_have_colours_that_all_eyes_tell_apart(kind: str, scheme: str) -> None:
    for group in (("token", "latent"), ("cells", "flops", "seconds", "joules")):
        for one, other in combinations(group, 2):
            colours = [lab(getattr(COLOURS[role], scheme), kind) for role in (one, other)]  # type: ignore[index]  # a role
            assert sum((a - b) ** 2 for a, b in zip(*colours, strict=True)) ** 0.5 > 10
