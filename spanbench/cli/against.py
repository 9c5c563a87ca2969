"""`spanbench check --against REF`: the working tree timed against another commit of it, side by side."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from spanbench.cli.output import progress, put
from spanbench.cli.values import completed, seconds, share
from spanbench.errors import Inconclusive, SpanbenchError, UsageError, suggest
from spanbench.request import Request

if TYPE_CHECKING:
    from spanbench.judge.verdict import AgainstResult

__all__ = [
    "DEFAULT_AGAINST_SECONDS",
    "DEFAULT_QUANTITY",
    "DEFAULT_TOLERANCE",
    "Against",
    "ArmName",
    "Dirty",
    "MaxTime",
    "Quantity",
    "Slower",
    "Tolerance",
    "check_against",
    "config_of",
]

DEFAULT_TOLERANCE = 0.02
DEFAULT_AGAINST_SECONDS = 120.0
DEFAULT_QUANTITY = "seconds"
QUANTITIES = ("seconds", "joules")
ARMS = ("token", "latent")


class Slower(SpanbenchError):
    """The head takes more than the base, by more than the tolerance."""

    exit_code = 1


def _one_of(option: str, known: tuple[str, ...], text: str) -> str:
    if text not in known:
        raise UsageError(f"{option}: unknown value {text!r}{suggest(text, known)}")
    return text


Against = Annotated[
    str | None, typer.Option("--against", metavar="REF", help="Time this working tree against a commit, branch or tag of it, side by side")
]
Tolerance = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        parser=share("--tolerance"),
        show_default=False,
        help=f"Slowdown that --against lets pass [default: {DEFAULT_TOLERANCE:.0%}]",
    ),
]
MaxTime = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        parser=seconds("--max-time"),
        show_default=False,
        help=f"Time for all slots of --against together [default: {DEFAULT_AGAINST_SECONDS:g}]",
    ),
]
Quantity = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        parser=lambda text: _one_of("--quantity", QUANTITIES, text),
        autocompletion=completed(QUANTITIES),
        show_default=False,
        help=f"What --against compares: {', '.join(QUANTITIES)} (measured ones only) [default: {DEFAULT_QUANTITY}]",
    ),
]
ArmName = Annotated[
    str | None,
    typer.Option(
        "--arm",
        metavar="NAME",
        parser=lambda text: _one_of("--arm", ARMS, text),
        autocompletion=completed(ARMS),
        help=f"Which arm --against times: {', '.join(ARMS)} [default: both]",
    ),
]
Dirty = Annotated[bool, typer.Option("--dirty", help="Let --against time a working tree with changes that are not committed")]


def config_of(context: typer.Context) -> str | None:
    """Return the `--config` that a command of `takes_request` was given, which its request no longer tells."""
    found = context.params.get("config")
    return found if isinstance(found, str) else None


def check_against(
    ref: str,
    request: Request,
    *,
    config: str | None = None,
    quantity: str = DEFAULT_QUANTITY,
    arm: str | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    max_time: float = DEFAULT_AGAINST_SECONDS,
    threads: int | None = None,
    dirty: bool = False,
    fmt: str = "table",
) -> None:
    """Time the working tree against commit `ref` of it, print the verdict, and raise what the exit code says.

    `request` is what the head is asked; where it came from a file, `config` is that file's path: the base reads its own.

    Raises:
        Slower: some arm is worse in some regime (exit 1).
        Inconclusive: no arm is worse, and for some nothing can be told as finely as was asked (exit 4).
        UsageError: there is no such commit, the tree has changes, the base cannot run this point (exit 2).
    """
    from spanbench.cli.guard import check_device
    from spanbench.run.against.asked import asked_of
    from spanbench.run.against.check import Ask, against
    from spanbench.show.against import render_against
    from spanbench.sweep.interrupt import Interrupts

    check_device(request.device)
    asked = asked_of(request, config, arm)
    ask = Ask(tolerance, max_time, quantity=quantity, threads=threads, dirty=dirty)
    with Interrupts(), _terminated(), progress() as tell:
        found = against(ref, asked, ask, progress=tell)
    put(render_against, found, fmt)
    _refuse(found)


@contextmanager
def _terminated() -> Iterator[None]:
    """Let a runner that cancels the job (SIGTERM) be answered as Ctrl-C is: the worktree goes, and the processes with it."""

    def answer(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, answer)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse(found: AgainstResult) -> None:
    """Raise what the exit code says: worse before what is not told.

    Raises:
        Slower, Inconclusive: which arm and regime, and what would help.
    """
    from spanbench.show.against import sentence

    worse = [row for row in found.rows if row.judged.verdict == "worse"]
    if worse:
        raise Slower(f"--against {found.ref}: {len(worse)} of {len(found.rows)} worse; {sentence(worse[0])}")
    unknown = [row for row in found.rows if row.judged.verdict == "inconclusive"]
    if unknown:
        raise Inconclusive(
            f"--against {found.ref}: {sentence(unknown[0])}; give more --max-time, a quieter machine or a larger --tolerance"
        )
