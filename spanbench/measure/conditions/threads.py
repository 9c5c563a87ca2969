"""Threads: more of them than cores to run them, or variables that contradict one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spanbench.measure.conditions.condition import Condition, Place
from spanbench.measure.machine.cpu import usable_cores
from spanbench.measure.machine.threads import quota_cores, thread_counts, variables

__all__ = ["THREADS", "Allowance"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Threads of one operation, the cores that they may use, and the variables that set them."""

    threads: int | None
    cores: int | None
    quota: float | None
    variables: Mapping[str, str]


def _read(place: Place) -> Allowance:
    counts = thread_counts()
    return Allowance(counts[0] if counts else None, usable_cores(), quota_cores(place.root), variables())


def judge(_: Allowance, after: Allowance) -> str | None:
    """Return what is wrong after the run: before it torch may not have had its threads yet."""
    threads = after.threads
    if threads is None:
        return None
    found = []
    if after.cores is not None and threads > after.cores:
        found.append(f"torch computes with {threads} threads on {after.cores} usable cores")
    if after.quota is not None and threads > after.quota:
        found.append(f"torch computes with {threads} threads where a control group allows {after.quota:g} cores' time")
    return "; ".join(found + _contradiction(threads, after.variables)) or None


def _contradiction(threads: int, given: Mapping[str, str]) -> list[str]:
    """Return that OpenMP's and MKL's variables differ, unless neither of them counts because torch was told another number."""
    omp, mkl = (given.get(name, "").partition(",")[0].strip() for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    if not (omp.isdecimal() and mkl.isdecimal()) or int(omp) == int(mkl) or threads not in {int(omp), int(mkl)}:
        return []
    return [f"OMP_NUM_THREADS={omp} and MKL_NUM_THREADS={mkl} contradict one another: torch computes with {threads}"]


THREADS = Condition("threads", _read, judge)
"""Threads exceed the cores of the affinity mask or of the CPU control group's quota, or two variables differ."""
