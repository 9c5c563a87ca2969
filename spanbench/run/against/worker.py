"""The process that runs one version of a project: a script, which asks as little as it can of the package that it finds.

It is run by its path, always the head's own copy, while `import spanbench` gives the version that is timed. A job comes as one
line of JSON on standard input and is answered with what was built; then each line is an order to run an arm so many times,
answered with its seconds. The end of the input ends the process.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Work = Callable[[], object]


def main() -> None:
    """Answer one line for each line. Standard output is kept for the answers: what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    works: dict[tuple[str, str], Work] = {}
    wait: Work = _nothing
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "job" in order:
                built, wait, told = _build(order["job"])
                works.update(built)
                gc.collect()
                gc.freeze()  # to look for cycles in all of torch before each slot took longer than the slot
            else:
                told = {"seconds": _timed(works[order["arm"], order["regime"]], order["repeats"], wait)}
        except Exception as error:  # noqa: BLE001  # another version of the package may raise anything; the parent says what
            told = {"error": _one_line(error)}
        _answer(answers, told)


def _answer(answers: TextIO, told: Mapping[str, Any]) -> None:
    answers.write(f"{json.dumps(told)}\n")
    answers.flush()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    known = hasattr(error, "exit_code")  # spanbench's own errors are sentences, others need their name
    return text if known and text else f"{type(error).__name__}: {text}".rstrip(": ")


# ---- building -------------------------------------------------------------------------------------------------------


def _build(job: Mapping[str, Any]) -> tuple[dict[tuple[str, str], Work], Work, dict[str, Any]]:
    """Return each arm's work in each regime, the wait for the device, and what the parent is told of it."""
    import spanbench
    from spanbench.request import Request, point_of, read_toml

    given = {name: tuple(value) if name == "regimes" else value for name, value in job["flags"].items()}
    request = (read_toml(job["config"]) if job["config"] else Request()).with_flags(**given)
    point, prompt, convention = point_of(request)
    # Only now: torch takes seconds to load, and what cannot be asked is known by here.
    import torch

    from spanbench.model.pair import build_arm

    if job["threads"] is not None:
        torch.set_num_threads(job["threads"])
    text_BxT = _text(point, prompt)
    works = {}
    for arm in job["arms"]:
        model = build_arm(point, arm)
        for regime in job["regimes"]:
            works[arm, regime] = _inferring(_work(model, regime, text_BxT, point))
    told = {
        "package": str(spanbench.__file__),
        "flops": _flops(job, point, prompt, convention),
    }
    return works, _wait(point.device), told


def _text(point: Any, prompt: Any) -> Any:
    import torch

    steps = getattr(point, "said", 0)  # a version that takes no steps says so by having none
    said = prompt.following(steps) if steps else [()] * len(prompt.ids)
    return torch.tensor([[*row, *tail] for row, tail in zip(prompt.ids, said, strict=True)], dtype=torch.int64, device=point.device)


def _work(model: Any, regime: str, text_BxT: Any, point: Any) -> Work:
    """Return a regime's work. The two forwards are called as they are, so that a version without steps can still be timed."""
    from spanbench.model.pair import forward

    if regime in {"score", "prefill"}:
        ids_BxN = text_BxT[:, : point.tokens]
        return lambda: forward(model, regime, ids_BxN)  # type: ignore[arg-type]  # one of the two
    from spanbench.run.work import work_of

    steps = point.generate - 1 if regime == "request" else point.span
    return work_of(model, regime, text_BxT, point.tokens, steps)  # type: ignore[arg-type]  # the parent has checked the names


def _inferring(work: Work) -> Work:
    import torch

    def run() -> None:
        with torch.inference_mode():
            work()

    return run


def _flops(job: Mapping[str, Any], point: Any, prompt: Any, convention: Any) -> dict[str, dict[str, int]] | None:
    """Return arm → regime → FLOPs by this version's closed form; None where it has no such thing."""
    try:
        from spanbench.count.distinct import distinct_rows
        from spanbench.count.formula import closed_form

        distinct = distinct_rows(prompt.ids, point, prompt.following(point.said) or None)
        forms = {regime: closed_form(point, regime, distinct) for regime in job["regimes"]}
        return {arm: {regime: forms[regime][arm]["total"].flops(convention) for regime in forms} for arm in job["arms"]}
    except Exception:  # noqa: BLE001  # context beside the verdict: another version may count otherwise, or not at all
        return None


def _wait(device: str) -> Work:
    if not device.startswith("cuda"):
        return _nothing
    import torch

    return lambda: torch.cuda.synchronize(device)


def _nothing() -> None:
    """Work on the CPU is done when the call returns."""


# ---- running --------------------------------------------------------------------------------------------------------


def _timed(work: Work, repeats: int, wait: Work) -> float:
    """Return the seconds of so many runs. One goes before, untimed: other processes have used the caches meanwhile."""
    gc.collect()
    gc.disable()
    try:
        if repeats > 1:
            work()
        wait()
        opened = time.perf_counter()
        for _ in range(repeats):
            work()
        wait()
        return time.perf_counter() - opened
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
