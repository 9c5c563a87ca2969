"""Agreement, tolerance 0: closed form with ledger, ledger with the witnesses, the model counted with the model timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields

from spanbench.count.ledger import TOTAL, Counted, Operation
from spanbench.count.subject import Subject
from spanbench.count.witness import attention_cells, flopcounter_flops, fvcore_macs
from spanbench.errors import CountMismatch
from spanbench.tally import Tally

__all__ = ["equal", "same_census", "witness"]


def equal(formula: Mapping[str, Tally], counted: Counted, what: str) -> None:
    """Compare every field of every stage; a stage that one side does not have counts as zeros there.

    Args:
        formula: the closed form, by stage, with 'total'.
        counted: what the ledger counted.
        what: arm and regime, for the message.

    Raises:
        CountMismatch: the first difference, with stage, field and both values.
    """
    for stage in dict.fromkeys((*formula, *counted.stages)):
        ours, theirs = formula.get(stage, Tally()), counted.stages.get(stage, Tally())
        for field in fields(Tally):
            expected, executed = getattr(ours, field.name), getattr(theirs, field.name)
            _same(what, f"{stage} {field.name}", ("closed form", expected), ("ledger", executed))


def _same(what: str, quantity: str, one: tuple[str, int], other: tuple[str, int]) -> None:
    if one[1] != other[1]:
        raise CountMismatch(f"{what}, {quantity}: {one[0]} says {one[1]:,}, {other[0]} says {other[1]:,}; they must be equal")


def witness(subject: Subject, counted: Counted, what: str) -> list[str]:
    """Run the subject under each witness, compare its whole with the ledger's, and return what was checked.

    Raises:
        CountMismatch: a witness disagrees.
        UncountedOperation: a witness met an operation that it cannot count.
    """
    total = counted.stages[TOTAL]
    cells = attention_cells(subject)
    checks = (
        ("flops", total.flops(), "2 × fvcore", 2 * fvcore_macs(subject)),
        ("flops", total.flops(), "torch FlopCounterMode", flopcounter_flops(subject)),
        ("cells_dense", total.cells_dense, "intercepted attention", cells.dense),
        ("scores_dense", total.scores_dense, "intercepted attention", cells.scores),
        ("scores_dense", total.scores_dense, "softmax witness", cells.softmax),
    )
    for quantity, value, name, seen in checks:
        _same(what, f"{TOTAL} {quantity}", ("ledger", value), (name, seen))
    return [f"{quantity} = {name}" for quantity, _, name, _ in checks]


def same_census(counted: Counter[Operation], timed: Counter[Operation], what: str) -> None:
    """Compare the matrix operations of the model that was counted with those of the model that is timed.

    Raises:
        CountMismatch: one ran an operation, of one set of shapes, more often than the other.
    """
    for name, shapes in sorted({*counted, *timed}):
        ours, theirs = counted[name, shapes], timed[name, shapes]
        operation = f"{name} {' '.join('×'.join(map(str, shape)) for shape in shapes)}"
        _same(what, f"runs of {operation}", ("the model counted", ours), ("the model timed", theirs))
