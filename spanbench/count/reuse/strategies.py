"""Each strategy's counts: what the document costs once, what a query costs, what is kept and read. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spanbench.count.distinct import distinct_rows
from spanbench.count.formula import closed_form
from spanbench.count.reuse.extension import encoding, extension, from_u
from spanbench.count.reuse.extent import Extent, extent_rows
from spanbench.count.reuse.moved import moved_by_encoding, moved_by_extension, moved_from_u, weights_by_extension, weights_from_u
from spanbench.count.reuse.stored import Stored, stored_bytes
from spanbench.judge.reuse import Cost, Strategy
from spanbench.point import Point
from spanbench.tally import Convention

__all__ = ["ANEW", "BASELINES", "DENSE", "DENSE_DISK", "DENSE_KV", "DENSE_TOKENS", "LATENTS", "LATENT_STATE", "LATENT_U", "strategies"]

DENSE, DENSE_KV, DENSE_DISK, DENSE_TOKENS = "dense", "dense-kv-ram", "dense-kv-disk", "dense-tokens"
ANEW, LATENT_U, LATENT_STATE = "latent", "latent-u", "latent-state"

BASELINES = (DENSE, DENSE_KV, DENSE_DISK, DENSE_TOKENS)
LATENTS = (ANEW, LATENT_U, LATENT_STATE)

_NOTHING = Cost(0, 0)


@dataclass(frozen=True, slots=True)
class _Count:
    """What every strategy is put together from."""

    point: Point
    ids: Sequence[Sequence[int]]
    asked: Sequence[Sequence[int]]
    convention: Convention

    @property
    def extent(self) -> Extent:
        return Extent(self.point, self.point.tokens, len(self.asked[0]))

    @property
    def texts(self) -> list[list[int]]:
        return [[*document, *query] for document, query in zip(self.ids, self.asked, strict=True)]

    def prefill(self, arm: str, *, query: bool) -> Cost:
        """Read the document, and the query behind it, from their first token on."""
        point, ids = (self.extent.whole, self.texts) if query else (self.point, self.ids)
        total = closed_form(point, "prefill", distinct_rows(ids, point))[arm]["total"]
        whole = Extent(point, 0, point.tokens)
        weights = weights_by_extension(whole)["token"] if arm == "token" else weights_from_u(whole)
        return Cost(total.flops(self.convention), total.bytes_compulsory, weight_bytes=weights)

    def extended(self, arm: str) -> Cost:
        """Read the query behind a state that is kept."""
        extent, rows = self.extent, extent_rows(self.extent, self.texts)
        tally = extension(self.point, extent.before, extent.read)[arm]["total"]
        moved, weights = moved_by_extension(extent, rows)[arm], weights_by_extension(extent)[arm]
        return Cost(tally.flops(self.convention), moved, weight_bytes=weights)

    def encoded(self) -> Cost:
        """Encode the document's complete spans, and nothing else."""
        whole = Extent(self.point, 0, self.point.tokens)
        return Cost(
            encoding(self.point, self.point.windows.complete).flops(self.convention),
            moved_by_encoding(whole, extent_rows(whole, self.ids)),
        )

    def mixed_anew(self) -> Cost:
        """Read the query behind stored latents u."""
        extent, rows = self.extent, extent_rows(self.extent, self.texts, fresh=True)
        tally = from_u(self.point, extent.before, extent.read)["total"]
        return Cost(tally.flops(self.convention), moved_from_u(extent, rows), weight_bytes=weights_from_u(extent))


def strategies(
    point: Point, ids: Sequence[Sequence[int]], asked: Sequence[Sequence[int]], convention: Convention = "dense"
) -> tuple[Strategy, ...]:
    """Return all strategies by count; `ids` are the document's (B × N), `asked` a query's (B × q).

    The dense arm reads the document as prefill does, one head row with it; so does the latent arm where it keeps its whole
    state. Where it keeps u alone it only encodes.
    """
    count, kept = _Count(point, ids, asked, convention), stored_bytes(point)
    return (*_dense(count, kept), *_latent(count, kept))


def _dense(count: _Count, kept: Stored) -> list[Strategy]:
    anew, once, query = count.prefill("token", query=True), count.prefill("token", query=False), count.extended("token")
    return [
        Strategy(DENSE, "dense, no cache", "token", "nowhere", _NOTHING, anew, 0, 0),
        Strategy(DENSE_KV, "dense, KV in RAM", "token", "memory", once, query, kept.kv, 0),
        Strategy(DENSE_DISK, "dense, KV on disk", "token", "disk", once, query, kept.kv, kept.kv),
        Strategy(DENSE_TOKENS, "dense, tokens on disk", "token", "disk", _NOTHING, anew, kept.tokens, kept.tokens),
    ]


def _latent(count: _Count, kept: Stored) -> list[Strategy]:
    u, state = kept.u + kept.open_ids, kept.state
    anew, read = count.prefill("latent", query=True), count.prefill("latent", query=False)
    return [
        Strategy(ANEW, "latent, no store", "latent", "nowhere", _NOTHING, anew, 0, 0),
        Strategy(LATENT_U, "latent, u on disk", "latent", "disk", count.encoded(), count.mixed_anew(), u, u),
        Strategy(LATENT_STATE, "latent, u + mixer KV", "latent", "disk", read, count.extended("latent"), kept.u + state, state),
    ]
