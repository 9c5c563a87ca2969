"""What a job needs of a machine, in Ray's words, and whether the cluster has such a machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanbench.errors import UsageError
from spanbench.sweep.job import Job

__all__ = ["Node", "check_devices", "check_labels", "lacking", "needs", "nodes_of"]

_OWN_GPU = ("cpu", "cuda", "cuda:0")
_WORD = r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?{_WORD}")
_VALUE = re.compile(rf"!?({_WORD}|in\({_WORD}(,{_WORD})*\))")


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster: how many CPUs and GPUs Ray was told that it has, and its labels."""

    cpus: float
    gpus: float
    labels: Mapping[str, str]


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse what Ray would refuse, before it is started.

    A selector is a label's value, `!value`, `in(a,b)` or `!in(a,b)`.

    Raises:
        UsageError: not a label's name, or not a selector.
    """
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise UsageError(f"--label {f'{key}={value}'!r}: {key!r} is no name of a label; give KEY=VALUE, such as accelerator=h200")
        if not _VALUE.fullmatch(value):
            raise UsageError(f"--label {f'{key}={value}'!r}: {value!r} selects nothing; give a value, '!value', 'in(a,b)' or '!in(a,b)'")


def check_devices(jobs: Iterable[Job]) -> None:
    """Refuse a request for a certain GPU: which one a task gets is Ray's to say, and the record would name another.

    Raises:
        UsageError: such a device.
    """
    for job in jobs:
        device = job.request.get("device", "cpu")
        if device not in _OWN_GPU:
            raise UsageError(f"--device {device}: with --engine ray a point has the GPU that Ray gives it; give --device cuda")


def nodes_of(plain: Iterable[Mapping[str, Any]], labels: Mapping[str, str]) -> list[Node]:
    """Return the live nodes of `ray.nodes()` that the labels select."""
    alive = [node for node in plain if node["Alive"]]
    found = [Node(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0), node.get("Labels") or {}) for node in alive]
    return [node for node in found if all(_selects(value, node.labels.get(key)) for key, value in labels.items())]


def _selects(selector: str, value: str | None) -> bool:
    """Return whether a node with this value of a label (None: without the label) is selected, as Ray's scheduler says it."""
    wanted = selector.removeprefix("!")
    among = wanted[3:-1].split(",") if wanted.startswith("in(") else [wanted]
    return (value in among) != selector.startswith("!")


def needs(job: Job, nodes: Sequence[Node]) -> dict[str, float]:
    """Return the options of a job's task.

    A counted job needs a CPU, a measured one on CUDA a whole GPU. One that times the CPU needs every CPU of its node, so
    that Ray puts nothing beside it: as many as the largest node has, and smaller nodes, which are other machines, get none.
    """
    if job.device is None:
        return {"num_cpus": 1}
    if job.device.startswith("cuda"):
        return {"num_cpus": 1, "num_gpus": 1}
    return {"num_cpus": max((node.cpus for node in nodes), default=0) or 1}


def lacking(options: Mapping[str, float], nodes: Sequence[Node]) -> str | None:
    """Return what no node has that a task needs, or None where one has it all."""
    cpus, gpus = options["num_cpus"], options.get("num_gpus", 0)
    if any(node.cpus >= cpus and node.gpus >= gpus for node in nodes):
        return None
    return "a GPU" if gpus and nodes else "such a label" if not nodes else "a CPU for tasks"
