"""Grams of CO2 equivalent: what `--co2` takes, where a country's figure is from, and every way to get it wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.measure.carbon import Carbon, parse_carbon

ONE_KWH = 3.6e6


@pytest.mark.parametrize(
    ("text", "grams_per_kwh"),
    [
        ("56 g/kWh", 56.0),
        ("56g/kWh", 56.0),
        ("56 G/KWH", 56.0),
        ("0.2 kg/kWh", 200.0),
        ("475 kg/MWh", 475.0),
        ("5.5e1 gCO2e/kWh", 55.0),
        ("  12.5 g CO2eq / kWh ", 12.5),
        ("0 g/kWh", 0.0),
    ],
)
def test_an_intensity_is_read_in_its_unit(text: str, grams_per_kwh: float) -> None:
    carbon = parse_carbon(text)
    assert carbon.grams(ONE_KWH) == pytest.approx(grams_per_kwh)
    assert carbon.by == f"{grams_per_kwh:g} g/kWh, as given"


@given(st.floats(0, 10_000), st.floats(0, 1e12))
def test_grams_are_kilowatt_hours_times_the_intensity(per_kwh: float, joules: float) -> None:
    grams = parse_carbon(f"{per_kwh!r} g/kWh").grams(joules)
    assert grams == pytest.approx(joules / ONE_KWH * per_kwh)
    assert grams is not None
    assert grams >= 0


def test_unknown_joules_are_unknown_grams() -> None:
    assert Carbon(1.0, "given").grams(None) is None


@pytest.mark.parametrize("text", ["FRA", "fra", "France", " france "])
def test_a_country_is_its_code_or_its_name_in_any_case(text: str) -> None:
    assert parse_carbon(text) == parse_carbon("FRA")


def test_a_countrys_intensity_is_codecarbons_own_with_its_year() -> None:
    from codecarbon.core.units import Energy
    from codecarbon.external.geography import GeoMetadata

    emissions = pytest.importorskip("codecarbon.core.emissions").Emissions(pytest.importorskip("codecarbon.input").DataSource())
    for code, name in {"FRA": "France", "POL": "Poland", "IND": "India"}.items():
        carbon = parse_carbon(code)
        expected = 1000 * emissions.get_country_emissions(Energy.from_energy(1.0), GeoMetadata(country_iso_code=code, country_name=name))
        assert carbon.grams(ONE_KWH) == pytest.approx(expected)
        assert f", {name} 20" in carbon.by
        assert "table of CodeCarbon 3." in carbon.by


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("-3 g/kWh", "between 0 and 10,000 g/kWh, got '-3 g/kWh'"),
        ("nan g/kWh", "between 0 and 10,000 g/kWh"),
        ("inf g/kWh", "between 0 and 10,000 g/kWh"),
        ("475 MWh", "unknown value '475 MWh'"),
        ("475 kg/kWh", "between 0 and 10,000 g/kWh"),  # a slip of the unit: 475 g/kWh is the world's mean
        ("56", "'56' has no unit"),
        ("-5", "'-5' has no unit"),
        ("g/kWh", "'' in 'g/kWh' is not a number"),
        ("abc g/kWh", "'abc' in 'abc g/kWh' is not a number"),
        ("56 lb/kWh", "such as '56 g/kWh'"),
        ("Frnace", "did you mean 'france'?"),
        ("FR", "codes of three letters"),
        ("nowhere at all", "such as '56 g/kWh'"),
        ("", "unknown value ''"),
        ("CAF", "the intensity of Central African Republic is not known (the table has 0.0)"),
    ],
)
def test_what_it_does_not_take_is_refused_in_one_line_that_says_what_would_be_right(text: str, fragment: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_carbon(text)
    message = str(refused.value)
    assert message.startswith("--co2: ")
    assert fragment in message
    assert "\n" not in message
    assert len(message) < 240


@pytest.mark.parametrize(
    ("table", "fragment"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[1, 2]", "not a table of countries"),
        (json.dumps({"FRA": 5}), "unknown value 'FRA'"),
        (json.dumps({"FRA": {"country_name": "France", "carbon_intensity": None}}), "is not known (the table has None)"),
        (json.dumps({"FRA": {"country_name": "France", "carbon_intensity": "56"}}), "is not known (the table has 56)"),
        (json.dumps({"FRA": {"country_name": "France", "carbon_intensity": -56}}), "is not known (the table has -56)"),
    ],
)
def test_a_broken_table_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: str | None, fragment: str) -> None:
    folder = tmp_path / "codecarbon" / "data" / "private_infra"
    folder.mkdir(parents=True)
    (tmp_path / "codecarbon" / "__init__.py").touch()
    if table is not None:
        (folder / "global_energy_mix.json").write_text(table, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "codecarbon", raising=False)
    with pytest.raises(UsageError, match="--co2: ") as refused:
        parse_carbon("FRA")
    assert fragment in str(refused.value)


def test_without_codecarbon_an_intensity_still_works_and_a_country_says_what_is_missing(tmp_path: Path) -> None:
    script = "import sys\nsys.modules['codecarbon'] = None\nfrom spanbench.measure.carbon import parse_carbon\n"
    script += "print(parse_carbon('56 g/kWh').by)\ntry:\n    parse_carbon('FRA')\nexcept Exception as error:\n    print(error)\n"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    given_line, refused_line = done.stdout.splitlines()
    assert given_line == "56 g/kWh, as given"
    assert refused_line.startswith("--co2: a country needs the table of CodeCarbon, which is not installed")


def test_a_country_is_found_without_a_network_and_without_loading_codecarbon_or_pandas(tmp_path: Path) -> None:
    script = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("socket.") else None)
from spanbench.measure.carbon import parse_carbon
parse_carbon("FRA")
print(sorted({"codecarbon", "pandas", "requests"} & set(sys.modules)), seen)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"
    assert list(tmp_path.iterdir()) == []
