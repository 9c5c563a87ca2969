"""What a job asks of Ray, which nodes have it, and what is refused before Ray is started."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbench.errors import UsageError
from spanbench.sweep.ray.places import Node, check_devices, check_labels, lacking, needs, nodes_of
from tests.sweep.rayjobs import needs_ray, trial

NODES = [Node(4, 0, {"kind": "small"}), Node(16, 2, {"kind": "big"})]

SELECTIONS = {"big": {"big"}, "!big": {"small", None}, "in(big,small)": {"big", "small"}, "!in(big,small)": {None}}
"""By selector, the kinds that docs.ray.io says it takes; None is a node without the label."""


def plain(kind: str | None, *, alive: bool = True) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"CPU": 2.0, "node:192.0.2.2": 1.0}, "Labels": {} if kind is None else {"kind": kind}}


@pytest.mark.parametrize(("selector", "kinds"), SELECTIONS.items())
def test_a_selector_takes_the_nodes_that_ray_says_it_takes(selector: str, kinds: set[str | None]) -> None:
    found = nodes_of([plain(kind) for kind in ("big", "small", None)], {"kind": selector})
    assert {node.labels.get("kind") for node in found} == kinds


def test_a_dead_node_is_none() -> None:
    assert nodes_of([plain("big", alive=False)], {}) == []


def test_a_node_without_a_gpu_has_none() -> None:
    assert nodes_of([plain("big")], {}) == [Node(2.0, 0, {"kind": "big"})]


@pytest.mark.parametrize("selector", SELECTIONS)
def test_selectors_of_a_label_are_taken(selector: str) -> None:
    check_labels({"kind": selector, "example.com/zone": "a_1.b"})


@pytest.mark.parametrize(
    ("key", "value"), [("", "a"), ("a b", "a"), ("-a", "a"), ("a", "@@"), ("a", ""), ("a", "in()"), ("a", "!!b"), ("/a", "a")]
)
def test_what_is_no_label_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=r"^--label"):
        check_labels({key: value})


@needs_ray
@given(st.text("ab/-_.!(),in", max_size=8), st.text("ab-_.!(),in", min_size=1, max_size=12))
def test_no_label_passes_that_ray_refuses(key: str, value: str) -> None:
    from ray._private.label_utils import validate_label_selector

    try:
        check_labels({key: value})
    except UsageError:
        return
    assert validate_label_selector({key: value}) is None


def test_a_counted_job_takes_one_cpu() -> None:
    assert needs(trial("a"), NODES) == {"num_cpus": 1}


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_job_on_cuda_takes_a_whole_gpu(device: str) -> None:
    assert needs(trial("a", device), NODES)["num_gpus"] == 1


@given(st.lists(st.integers(1, 512), min_size=1))
def test_a_job_that_times_the_cpu_takes_a_whole_node_that_there_is(cpus: list[int]) -> None:
    nodes = [Node(count, 0, {}) for count in cpus]
    wanted = needs(trial("a", "cpu"), nodes)
    takers = [node for node in nodes if node.cpus >= wanted["num_cpus"]]
    assert takers
    assert all(node.cpus - wanted["num_cpus"] < 1 for node in takers)  # no task fits beside it
    assert lacking(wanted, nodes) is None


def test_what_no_node_has_is_named() -> None:
    gpu, cpu = needs(trial("a", "cuda"), NODES), needs(trial("a"), NODES)
    assert lacking(gpu, NODES) is None
    assert lacking(gpu, NODES[:1]) == "a GPU"
    assert lacking(cpu, []) == "such a label"
    assert lacking(cpu, [Node(0, 0, {})]) == "a CPU for tasks"


def test_a_certain_gpu_cannot_be_asked_for() -> None:
    check_devices([trial("a", "cuda", device="cuda"), trial("b", "cpu", device="cpu"), trial("c")])
    with pytest.raises(UsageError, match=r"^--device cuda:1: .*give --device cuda$"):
        check_devices([trial("a", "cuda:1", device="cuda:1")])
