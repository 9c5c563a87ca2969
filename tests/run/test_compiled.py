"""`--compile` and `--threads`: what cannot work is refused in one line, and what is compiled gives the eager results."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spanbench.errors import UsageError
from spanbench.model.pair import Pair, build_pair, forward
from spanbench.model.state import State
from spanbench.point import REGIMES, SPOKEN, Point, Regime
from spanbench.request import Request, point_of
from spanbench.run.compilable import Tools, check_compile
from spanbench.run.compiled import apart, compile_caution, compiled
from spanbench.run.subjects import ids_tensor
from spanbench.run.threads import set_threads
from tests.measure.driven import World
from tests.shapes import seeded_ids, seeded_point

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler: g++ is not on the PATH")
loads_compiler = pytest.mark.filterwarnings(  # torch's own code, while it loads the compiler
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"
)


@pytest.fixture
def compiler() -> Iterator[None]:
    """Leave nothing compiled behind."""
    yield
    torch.compiler.reset()


def kept(state: State | None) -> list[Tensor]:
    return [] if state is None else [tensor for pairs in (*state.kv.values(), state.memory) for pair in pairs for tensor in pair]


def small(shape: dict[str, Any], dtype: str) -> Point:
    return point_of(Request(preset="tiny", shape={"layers": 1, "decoder.layers": 1} | shape, tokens=27, span=8, dtype=dtype))[0]


def prepared(point: Point) -> tuple[Pair, Tensor]:
    return build_pair(point), ids_tensor(seeded_ids(point), "cpu")


# ---- the forwards are one graph -------------------------------------------------------------------------------------


@loads_compiler
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("seed", [4, 1, 10, 15])  # each pool, twice gated, twice with cross-attention
def test_a_forward_is_captured_as_one_graph_that_gives_its_results_bit_for_bit(seed: int, regime: Regime) -> None:
    """Captured, and run as it was: what a compiler makes of the graph is another matter. `fullgraph` refuses a break."""
    point = replace(seeded_point(seed), dtype="float64", tokens=13)
    pair, ids = prepared(point)
    for arm, model in pair.arms().items():
        call = partial(forward, model, regime, ids)
        with torch.inference_mode():
            logits, state = call()
            found, again = torch.compile(call, backend="eager", fullgraph=True, dynamic=False)()
        assert torch.equal(found, logits), f"{arm} at {point}"
        assert all(torch.equal(one, other) for one, other in zip(kept(again), kept(state), strict=True)), f"{arm} at {point}"


@pytest.fixture
def captured_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each graph as it was captured: all of `compiled` but the minutes of C++."""
    options = {"backend": "eager", "fullgraph": True, "dynamic": False, "isolate_recompiles": True}
    monkeypatch.setattr("spanbench.run.compiled._OPTIONS", options)


@loads_compiler
@pytest.mark.usefixtures("captured_only")
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("tokens", [24, 27, 5])
def test_whatever_is_left_open_both_arms_are_held_against_eager(tokens: int, regime: Regime) -> None:
    """A whole number of spans leaves no open id, fewer tokens than a span no latent: both are kept as nothing."""
    point = replace(small({}, "float32"), tokens=tokens)
    pair, ids = build_pair(point), ids_tensor([list(range(tokens))], "cpu")
    with compiled(pair, regime, ids, "cpu", clock=World()) as works, torch.inference_mode():
        assert {arm: (found.apart, found.seconds) for arm, found in works.items()} == {"token": (0, 0), "latent": (0, 0)}
        for arm, model in pair.arms().items():
            assert torch.equal(works[arm].work()[0], forward(model, regime, ids)[0])


@loads_compiler
@pytest.mark.usefixtures("captured_only")
def test_a_call_that_would_compile_again_is_an_error_and_not_a_slow_slot() -> None:
    point = small({}, "float32")
    pair, ids = build_pair(point), ids_tensor([[1] * point.tokens], "cpu")
    with compiled(pair, "score", ids, "cpu") as works, pytest.raises(RuntimeError, match="recompile"):
        works["token"].work()  # outside inference mode, for which there is no code


# ---- the real compiler ----------------------------------------------------------------------------------------------

OPTIONS = [
    pytest.param({"pool": "attention", "carry": 2}, "float32", id="attention pool, carry"),
    pytest.param({"cross_attention": True}, "float32", id="cross-attention"),
    pytest.param({}, "bfloat16", id="bfloat16"),
]


def close(found: Tensor, wanted: Tensor, dtype: str) -> None:
    rtol, atol = (0.1, 0.1) if dtype == "bfloat16" else (1e-3, 1e-4)
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("shape", "dtype"), OPTIONS)
def test_compiled_forwards_give_the_eager_results_and_never_compile_again(shape: dict[str, Any], dtype: str, regime: Regime) -> None:
    point = small(shape, dtype)
    pair, ids = build_pair(point), ids_tensor([[token % 250 for token in range(point.tokens)]], "cpu")
    torch._dynamo.utils.counters.clear()
    with compiled(pair, regime, ids, "cpu") as works, torch.inference_mode():
        graphs = dict(torch._dynamo.utils.counters["stats"])
        assert graphs["unique_graphs"] == len(works), "one graph an arm"
        for arm, model in pair.arms().items():
            logits, state = forward(model, regime, ids)
            for _ in range(3):
                found, again = works[arm].work()
                close(found, logits, dtype)
                for one, other in zip(kept(again), kept(state), strict=True):
                    close(one, other, dtype)
            assert works[arm].seconds > 0
            assert 0 < works[arm].apart < 0.05
        assert dict(torch._dynamo.utils.counters["stats"]) == graphs


@pytest.mark.slow
@needs_compiler
def test_a_compiler_that_gives_other_results_is_refused_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a wrong kernel would do: the weights change between the eager forward and the compiled one."""
    point = small({}, "float32")
    pair, ids = build_pair(point), ids_tensor([[1] * point.tokens], "cpu")
    real = torch.compile

    def spoiled(call: Any, **options: Any) -> Any:
        pair.latent.head.weight.mul_(1.01)
        return real(call, **options)

    monkeypatch.setattr(torch, "compile", spoiled)
    message = (
        r"--compile: the compiled (token|latent) score differs from the eager one by 0\.\d+ \(rms\), and the rounding of its type explains"
    )
    with pytest.raises(UsageError, match=message), compiled(pair, "score", ids, "cpu"):
        pytest.fail("nothing may be timed")


@loads_compiler
@pytest.mark.usefixtures("compiler")
def test_a_compiler_that_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A compiler that is there and fails: `check_compile` cannot see that."""
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, str(broken)))
    point = replace(seeded_point(4), dtype="float32", tokens=5)
    pair, ids = prepared(point)
    message = r"^--compile: the token score cannot be compiled \(.*C\+\+.*\); leave --compile out$"
    with pytest.raises(UsageError, match=message), compiled(pair, "score", ids, "cpu"):
        pytest.fail("nothing may be timed")


@pytest.mark.parametrize("regime", SPOKEN)
def test_sessions_are_not_compiled(regime: Regime) -> None:
    point = replace(seeded_point(4), dtype="float32")
    pair, ids = prepared(point)
    with pytest.raises(ValueError, match=f"{regime}: a session's steps are not compiled"), compiled(pair, regime, ids, "cpu"):
        pytest.fail("nothing may be timed")


def test_the_caution_names_the_regimes_that_stay_eager() -> None:
    assert compile_caution(("score", "prefill")) is None
    caution = compile_caution(("score", "decode", "request"))
    assert caution is not None
    assert caution.code == "compile-partial"
    assert caution.text == "decode, request: not compiled; --compile reaches the forwards of score and prefill alone"


# ---- how far results are apart --------------------------------------------------------------------------------------


def test_the_distance_is_the_worst_tensors_relative_rms() -> None:
    one, other = torch.tensor([[3.0, 4.0]]).double(), torch.tensor([[10.0, 0.0]]).double()
    assert apart([one, other], [one, other]) == 0
    assert apart([one * 1.01, other], [one, other]) == pytest.approx(0.01)
    assert apart([one * 1.01, other * 0.5], [one, other]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([torch.ones(2, 3)], [torch.ones(3, 2)]),
        ([torch.ones(2)], [torch.ones(2), torch.ones(2)]),
        ([torch.ones(2), torch.tensor([math.nan, 1.0])], [torch.ones(2), torch.ones(2)]),
        ([torch.ones(2), torch.tensor([math.inf, 1.0])], [torch.ones(2), torch.ones(2)]),
        ([torch.ones(2)], [torch.zeros(2)]),
        ([torch.tensor([math.nan])], [torch.tensor([math.nan])]),
    ],
)
def test_other_shapes_and_values_that_are_not_finite_are_infinitely_far(found: list[Tensor], wanted: list[Tensor]) -> None:
    assert apart(found, wanted) == math.inf


def test_tensors_without_elements_are_equal() -> None:
    assert apart([torch.ones(0, 4)], [torch.ones(0, 4)]) == 0


# ---- whether it can work at all -------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path: Path) -> Tools:
    """A machine that has everything."""
    for name in ("g++", "gcc"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "Python.h").touch()
    return Tools("linux", (3, 11, 7), False, {"PATH": str(tmp_path)}, tmp_path, True)


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_a_machine_that_has_everything_may_compile(device: str, whole: Tools) -> None:
    check_compile(device, whole)


LACKING: list[tuple[str, dict[str, Any], str]] = [
    ("cpu", {"environment": {"PATH": ""}}, "needs a C++ compiler, and 'g++' is not on the PATH; install it, name another in CXX, or leave"),
    ("cpu", {"environment": {"PATH": "", "CXX": "clang++-21"}}, "needs a C++ compiler, and 'clang++-21' is not on the PATH"),
    ("cpu", {"environment": {"PATH": ""}, "system": "darwin"}, "needs a C++ compiler, and 'clang++' is not on the PATH"),
    ("cpu", {"headers": Path("nowhere")}, "needs Python's headers, and there is no Python.h"),
    ("cuda", {"triton": False}, "needs Triton on a GPU, which is not installed; pip install triton, or leave"),
    ("cuda", {"environment": {"PATH": ""}}, "needs a C compiler, and 'gcc' or 'clang' is not on the PATH"),
    ("cuda", {"environment": {"PATH": "", "CC": "icc"}}, "needs a C compiler, and 'icc' is not on the PATH"),
    ("mps", {}, "works on cpu and cuda, not on --device 'mps'"),
    ("cpu", {"system": "win32"}, "is not supported on Windows"),
    ("cpu", {"python": (3, 15, 0)}, "torch 2.13 does not compile on Python 3.15.0; take 3.14 or older"),
    ("cpu", {"python": (3, 13, 1), "free_threaded": True}, "torch does not compile on Python 3.13.1 without a GIL; take 3.13.3 or newer"),
    ("cpu", {"off": True}, "TORCH_COMPILE_DISABLE=1 switches the compiler off"),
]


@pytest.mark.parametrize(("device", "changed", "message"), LACKING)
def test_what_is_missing_is_named_in_one_line(device: str, changed: dict[str, Any], message: str, whole: Tools) -> None:
    if changed.pop("off", None):
        changed = {"environment": {**whole.environment, "TORCH_COMPILE_DISABLE": "1"}}
    with pytest.raises(UsageError) as refused:
        check_compile(device, replace(whole, **changed))
    assert str(refused.value).startswith(f"--compile: {message}")
    assert str(refused.value).endswith("leave --compile out")
    assert "\n" not in str(refused.value)


# ---- threads --------------------------------------------------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[int]:
    """Put torch's threads back."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_torch_computes_with_the_threads_asked_for(wanted: int) -> None:
    between = torch.get_num_interop_threads()
    set_threads(wanted)
    assert torch.get_num_threads() == wanted
    assert torch.get_num_interop_threads() == between


@pytest.mark.parametrize("wanted", [0, -1, 1 << 20])
def test_threads_that_cannot_be_meant_are_refused_and_change_nothing(wanted: int, threads: int) -> None:
    with pytest.raises(UsageError, match=rf"^--threads: {wanted} must lie between 1 and \d+, 4 for each of the \d+ usable cores"):
        set_threads(wanted)
    assert torch.get_num_threads() == threads
