from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.record import Measure, Record, append, read
from spanbench.show.report.tables.frame import check_parquet, read_tidy_csv, tidy_frame, wide_frame, write_parquet
from tests.show.report.records import BIG, counted, measured

VALUES = st.one_of(st.none(), st.integers(0, BIG), st.floats(0, 1e300))


def holding(values: list[Any]) -> Record:
    """Return a record whose stages have these values, nulls with a reason."""
    made = counted()
    rows = [
        Measure.model_validate(
            {"arm": arm, "regime": "prefill", "stage": "total", "quantity": quantity, "value": value, "unit": "FLOP", "source": "counted"}
            | {"by": "ledger", "reason": "it is not known" if value is None else None}
        )
        for value, (arm, quantity) in zip(values, [(a, q) for a in ("token", "latent") for q in ("flops", "macs", "params")], strict=False)
    ]
    return made.model_copy(update={"measures": rows})


def values_of(frame: Any) -> list[int | float | None]:
    """Return the figures of a tidy frame: integers from their own column, nulls as None."""
    wholes, values = (frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in ("value_int", "value"))
    return [value if whole is None else whole for whole, value in zip(wholes, values, strict=True)]


def same(found: list[int | float | None], wanted: list[Any]) -> bool:
    return [(type(value), value) for value in found] == [(type(value), value) for value in wanted]


@settings(max_examples=40)
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_every_figure_survives_json_lines_pandas_csv_and_parquet_to_its_last_digit(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("frames")
    append(folder / "records.jsonl", holding(values))
    records = read(folder / "records.jsonl")
    frame = tidy_frame(records)
    assert same(values_of(frame), values)
    frame.to_csv(folder / "records.csv", index=False)
    assert same(values_of(read_tidy_csv(folder / "records.csv")), values)
    assert same(values_of(_from_parquet(write_parquet(frame))), values)


def _from_parquet(content: bytes) -> Any:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="needs the extra spanbench[parquet]")
    return pandas.read_parquet(io.BytesIO(content))


def test_counts_are_int64_and_nulls_null_in_both_frames() -> None:
    record = holding([BIG, None, BIG - 1])
    tidy, wide = tidy_frame([record]), wide_frame([record])
    assert str(tidy["value_int"].dtype) == str(wide["flops.token.prefill"].dtype) == "Int64"
    assert [int(wide["flops.token.prefill"][0]), int(wide["params.token.prefill"][0])] == [BIG, BIG - 1]
    assert wide["macs.token.prefill"].isna().tolist() == [True]
    assert str(wide["macs.token.prefill"].dtype) == "Int64"


def test_a_wide_frame_reads_back_from_parquet_as_it_was() -> None:
    frame = wide_frame([counted(), measured()])
    assert _from_parquet(write_parquet(frame)).equals(frame)


def test_noisy_figures_are_floats_whatever_they_are_in_one_record() -> None:
    frame = wide_frame([counted(), measured(seconds=(2.0, 1.0))])
    assert str(frame["seconds.token.prefill"].dtype) == "Float64"
    assert frame["seconds.token.prefill"].isna().tolist() == [True, False]


def test_a_text_that_pandas_takes_for_null_stays_a_text(tmp_path: Path) -> None:
    record = counted()
    named = [m.model_copy(update={"by": "NA"}) for m in record.measures[:1]]
    frame = tidy_frame([record.model_copy(update={"measures": named})])
    frame.to_csv(tmp_path / "records.csv", index=False)
    assert read_tidy_csv(tmp_path / "records.csv")["by"].tolist() == ["NA"]


def test_an_integer_beyond_64_bits_is_refused_by_a_frame_and_not_rounded() -> None:
    with pytest.raises(UsageError, match="value_int: an integer beyond 64 bits"):
        tidy_frame([holding([BIG + 1])])


def test_a_missing_pyarrow_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"pyarrow is not installed; pip install 'spanbench\[parquet\]'"):
        check_parquet()
