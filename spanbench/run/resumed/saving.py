"""`--save`: each arm's session with its last logits in a folder, all of them or what was there before."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import torch

from spanbench.errors import SpanbenchError, UsageError
from spanbench.model.pair import Model
from spanbench.model.speak import Sampler, Session
from spanbench.run.generated import Said
from spanbench.run.resumed.kept import MANIFEST, Kept, KeptArm, Recipe, load_kept, write_kept
from spanbench.show.generate import ARMS
from spanbench.store.disk import NoStore, StoreFull
from spanbench.store.resume import save

__all__ = ["KeptSampler", "Saving", "check_writable_folder"]

LAST = 8
"""Ids of a text that are kept for its reader: what a tokenizer's piece looks like depends on those before it."""

_OWN = re.compile(rf"\.?{re.escape(MANIFEST)}.*|\.?({'|'.join(ARMS)})-[0-9a-f]{{16}}\.safetensors.*")


@dataclass(frozen=True, slots=True)
class KeptSampler(Sampler):
    """A sampler whose source of chance goes on where it stands, and can be kept."""

    source: torch.Generator | None = None

    def generator(self, device: torch.device) -> torch.Generator:
        """Return the source; a new one of the seed where there is none."""
        return Sampler.generator(self, device) if self.source is None else self.source

    def begun(self, device: torch.device) -> KeptSampler:
        """Return the sampler with a source of its own, which begins with the seed."""
        return replace(self, source=Sampler.generator(self, device))


def check_writable_folder(option: str, folder: str, *, own: bool) -> None:
    """Refuse a folder that cannot be written, before any work is done; it is made if it is not there.

    Args:
        option: how a message begins.
        folder: where.
        own: refuse one with files in it that no save has written.

    Raises:
        UsageError: what is wrong with it.
    """
    path = Path(folder)
    try:
        if path.exists() and not path.is_dir():
            raise UsageError(f"{option} {folder!r}: is a file; give a folder")
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            strangers = sorted(one.name for one in path.iterdir() if not _OWN.fullmatch(one.name))
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{option} {folder!r}: cannot be written ({why}); give a folder that you may write") from None
    if own and strangers:
        raise UsageError(f"{option} {folder!r}: holds something other than kept sessions ({strangers[0]}); give a new or empty folder")


class Saving:
    """Keeps one arm after the other, and puts them in the place of what was kept before by `commit`; without it nothing stays.

    What cannot be written is no error at once, since by then something was said: it is the `failure` that is told after it.
    """

    def __init__(self, folder: str, recipe: Recipe, point: dict[str, Any]) -> None:
        self.folder, self.recipe, self.point = folder, recipe, point
        self.tokens = point["tokens"] + point["generate"]
        self.failure: SpanbenchError | None = None
        self._arms: dict[str, KeptArm] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._written: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def keep(self, arm: str, model: Model, session: Session, said: Said, sampler: KeptSampler) -> None:
        """Let an arm read what it said last, and write its session.

        The logits behind the last token are kept too, so the next one is chosen from the very figures it would have been.
        """
        if self.failure is not None:
            return
        device, name = model.head.weight.device, f"{arm}-{secrets.token_hex(8)}"
        with torch.inference_mode():
            logits_BxV = session.step(torch.tensor([lane[-1] for lane in said.ids], device=device))
        try:
            path = save(session, self.folder, name, logits=logits_BxV)
        except (NoStore, StoreFull) as error:
            self.failure = error
            return
        self._written.append(path)
        self._arms[arm] = KeptArm(name, sampler.generator(device).get_state().numpy().tobytes().hex(), [lane[-LAST:] for lane in said.ids])
        self._told[arm] = {"tokens": self.tokens, "bytes": _bytes_by_kind(path), "file_bytes": path.stat().st_size}

    def commit(self) -> None:
        """Make what was written what is kept, and have removed what was kept before."""
        if self.failure is not None:
            return
        before = self._before()
        try:
            write_kept(Path(self.folder), Kept(self.recipe, self.point, self.tokens, self._arms))
        except OSError as error:
            self.failure = NoStore(f"--save {self.folder!r}: cannot be written ({error.strerror}); what was kept before is unchanged")
            return
        self._written = before

    def told(self) -> dict[str, Any]:
        """Return what was kept as plain JSON values, nothing where it could not be."""
        return {"saved": {"folder": self.folder, **self._told}} if self.failure is None else {}

    def _before(self) -> list[Path]:
        try:
            return [Path(self.folder) / f"{arm.name}.safetensors" for arm in load_kept(self.folder).arms.values()]
        except SpanbenchError:  # there is nothing yet, or nothing that could be read again
            return []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove what is not kept: without a commit what was written, with it what that replaced."""
        for path in self._written:
            with suppress(OSError):
                path.unlink()


def _bytes_by_kind(path: Path) -> dict[str, int]:
    """Return the bytes of a session's tensors as its file has them, by the first part of their names."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    sizes: Counter[str] = Counter()
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            sizes[name.partition(".")[0]] += end - begin
    return dict(sorted(sizes.items()))
