"""Every preset under every allocation, by the closed form alone."""

from __future__ import annotations

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.errors import UsageError
from spanbench.measure.host.memory import available_bytes
from spanbench.presets import ALLOCATIONS, PRESETS
from spanbench.request import Request, point_of
from spanbench.run.fit import needed_bytes
from spanbench.show.presets import PresetList, PresetRow

__all__ = ["list_presets"]


def list_presets(tokens: int, span: int, dtype: str) -> PresetList:
    """Return parameters, FLOPs of score and the memory to run both arms, for each preset and allocation.

    Raises:
        UsageError: tokens, span or dtype that cannot be.
    """
    point_of(Request(tokens=tokens, span=span, dtype=dtype, allocation="lean"))
    rows = [_row(Request(preset, allocation, tokens=tokens, span=span, dtype=dtype)) for preset in PRESETS for allocation in ALLOCATIONS]
    return PresetList(tokens, span, dtype, rows, available_bytes())


def _row(request: Request) -> PresetRow:
    base = PRESETS[request.preset]
    named = PresetRow(request.preset, request.allocation, base.layers, base.width, base.mlp, base.vocab)
    try:
        point, prompt, _ = point_of(request)
    except UsageError as error:
        return PresetRow(*_names(named), refused=str(error))
    arms = closed_form(point, "score", distinct_rows(prompt.ids, point))
    token, latent = arms["token"]["total"], arms["latent"]["total"]
    return PresetRow(*_names(named), token.params, latent.params, token.flops(), latent.flops(), needed_bytes(point))


def _names(row: PresetRow) -> tuple[str, str, int, int, int, int]:
    return row.preset, row.allocation, row.layers, row.width, row.mlp, row.vocab
