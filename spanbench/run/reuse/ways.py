"""The strategies as real work: reading the document and keeping it, and answering a query from what was kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spanbench.count.reuse.stored import token_bytes
from spanbench.count.reuse.strategies import ANEW, DENSE, DENSE_DISK, DENSE_KV, DENSE_TOKENS, LATENT_STATE, LATENT_U
from spanbench.files import write_whole
from spanbench.model.latent import Latent
from spanbench.model.pair import Model, Pair
from spanbench.model.speak import Session, start_session
from spanbench.model.speak.latent import LatentSession
from spanbench.run.reuse.asked import Asked
from spanbench.run.reuse.reading import read_from_u
from spanbench.store.disk import Store
from spanbench.store.document import Library
from spanbench.store.document.reading import read_latents
from spanbench.store.keys import arm_fingerprint
from spanbench.store.resume import load, save
from spanbench.store.spans import span_keys

__all__ = ["Way", "ways_of"]

DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Way:
    """One strategy as calls.

    Attributes:
        once: reads the document and keeps what is kept of it; None where nothing is.
        ask: answers a query (its ids, 1 × q) with the logits of the next token (1 × V); `once` was called before.
        disk_bytes: the bytes of its files after `once`; None: nothing is kept on disk, for a reason.
    """

    once: Callable[[], object] | None
    ask: Callable[[Tensor], Tensor]
    disk_bytes: Callable[[], int] | None = None


def ways_of(pair: Pair, asked: Asked, folder: Path) -> Mapping[str, Way]:
    """Return every strategy of one document by its name; all files are made below the folder."""
    ids = list(asked.prompt.ids[0])
    anew = {arm: partial(_anew, model, _row(ids, asked.point.device)) for arm, model in pair.arms().items()}
    return {
        DENSE: Way(None, anew["token"]),
        DENSE_KV: _in_memory(pair.token, ids, asked.query_tokens),
        DENSE_DISK: _on_disk(pair.token, ids, asked.query_tokens, folder / "kv"),
        DENSE_TOKENS: _tokens(pair.token, ids, folder / "ids.bin", asked.point.shape.vocab),
        ANEW: Way(None, anew["latent"]),
        LATENT_U: _latents(pair.latent, ids, asked, folder / "u"),
        LATENT_STATE: _state(pair.latent, ids, asked, folder),
    }


def _row(ids: list[int], device: str | torch.device) -> Tensor:
    return torch.tensor([ids], dtype=torch.int64, device=device)


def _anew(model: Model, ids_1xN: Tensor, query_1xQ: Tensor) -> Tensor:
    """Read document and query from the first token on, as prefill does."""
    return model.prefill(torch.cat((ids_1xN, query_1xQ), 1))[0]


def _in_memory(model: Model, ids: list[int], room: int) -> Way:
    """Keep the session; each query goes on from the same place, and what it writes is overwritten by the next."""
    held: dict[str, tuple[Session, Callable[[], None]]] = {}

    def once() -> None:
        session, _ = start_session(model, [ids], room)
        held["now"] = session, session.mark()

    def ask(query_1xQ: Tensor) -> Tensor:
        session, rewind = held["now"]
        rewind()
        return session.read(query_1xQ)

    return Way(once, ask)


def _on_disk(model: Model, ids: list[int], room: int, folder: Path) -> Way:
    """Save the session, and load it for each query; the model's weights are hashed once, not in each query."""
    fingerprint = arm_fingerprint(model)

    def once() -> None:
        session, _ = start_session(model, [ids], 0)
        save(session, folder, DOCUMENT, fingerprint=fingerprint)

    def ask(query_1xQ: Tensor) -> Tensor:
        return load(model, folder, DOCUMENT, room, fingerprint=fingerprint).read(query_1xQ)

    return Way(once, ask, partial(_size, folder))


def _tokens(model: Model, ids: list[int], path: Path, vocab: int) -> Way:
    """Keep the ids in a file, as many bytes each as the vocabulary needs; it is on the disk when `once` returns, as all others are."""
    kind = np.dtype(f"<u{token_bytes(vocab)}")

    def once() -> None:
        write_whole(path, [np.asarray(ids, dtype=kind).tobytes()])

    def ask(query_1xQ: Tensor) -> Tensor:
        read = np.frombuffer(path.read_bytes(), dtype=kind).astype(np.int64)
        return _anew(model, torch.from_numpy(read)[None].to(query_1xQ.device), query_1xQ)

    return Way(once, ask, partial(_size, path))


def _latents(model: Latent, ids: list[int], asked: Asked, folder: Path) -> Way:
    """Add the document to a store, a new one each time, and mix what is read back anew for each query.

    The library is made here, once: it hashes the encoder's weights, which the other strategies do not do in `once` either.
    """
    numbers = count()
    library = Library(_new_store(folder, numbers), model, asked.point.dtype)

    def once() -> None:
        library.store.close()
        library.store = _new_store(folder, numbers)
        library.store.require(library.u_space)
        library.add(DOCUMENT, ids)

    def ask(query_1xQ: Tensor) -> Tensor:
        held = library.manifest(DOCUMENT)
        u_KxZ = read_latents(library.store, library.u_space, DOCUMENT, span_keys(held.ids, held.span), model.head.weight, {})
        session = LatentSession(model, [0], asked.point.tokens + asked.query_tokens)
        return read_from_u(session, u_KxZ[None], _row(_tail(list(held.ids), asked), query_1xQ.device), query_1xQ)

    return Way(once, ask, lambda: library.store.stats().disk_bytes)


def _new_store(folder: Path, numbers: Iterator[int]) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    return Store.open(folder / str(next(numbers)), create=True)


def _tail(ids: list[int], asked: Asked) -> list[int]:
    """Return the open ids, and before them those that the last window carries over."""
    windows = asked.point.windows
    return ids[windows.complete * windows.span - (windows.carry if windows.complete else 0) :]


def _state(model: Latent, ids: list[int], asked: Asked, folder: Path) -> Way:
    """Save the latent session, beside a store of u for edits; queries read the session alone."""
    session, latents = _on_disk(model, ids, asked.query_tokens, folder / "state"), _latents(model, ids, asked, folder / "u-beside-state")

    def once() -> None:
        for part in (session.once, latents.once):
            if part is not None:
                part()

    def size() -> int:
        return sum(part.disk_bytes() for part in (session, latents) if part.disk_bytes is not None)

    return Way(once, session.ask, size)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)
