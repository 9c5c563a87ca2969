"""Hugging Face models from their configurations, on meta, where `transformers` is installed; it is no dependency."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spanbench import count_module

transformers: Any = pytest.importorskip("transformers")

ROWS, WIDTH, CELLS = 16, 64, 16 * 16
SIZES = {"vocab_size": 100}
ATTENTION = 2 * 4 * CELLS * WIDTH  # two layers


def counted(kind: str, config: Any, attention: str = "sdpa") -> Any:
    config._attn_implementation = attention
    with torch.device("meta"):
        model = getattr(transformers, kind)(config).eval()
    return count_module(model, torch.zeros(1, ROWS, dtype=torch.int64, device="meta"))


def gpt2() -> Any:
    return transformers.GPT2Config(n_layer=2, n_embd=WIDTH, n_head=4, bos_token_id=0, eos_token_id=0, **SIZES)


def llama() -> Any:
    return transformers.LlamaConfig(
        hidden_size=WIDTH, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, **SIZES
    )


def bert() -> Any:
    return transformers.BertConfig(hidden_size=WIDTH, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, **SIZES)


def test_gpt2() -> None:
    answer = counted("GPT2LMHeadModel", gpt2())
    layer = 2 * ROWS * 12 * WIDTH**2
    assert answer.flops == 2 * layer + ATTENTION + 2 * ROWS * WIDTH * 100
    assert (answer.cells_dense, answer.cells_useful) == (2 * CELLS, 2 * 16 * 17 // 2)


def test_llama_with_shared_keys() -> None:
    answer = counted("LlamaForCausalLM", llama())
    layer = 2 * ROWS * (WIDTH * (2 * WIDTH + 2 * 32) + 3 * WIDTH * 128)
    head = 2 * ROWS * WIDTH * 100
    rotary = answer.by_operation.get("matmul", 0)
    assert rotary in (0, 2 * 8 * ROWS)  # releases differ in how they multiply frequencies by positions
    assert answer.flops == 2 * layer + ATTENTION + head + rotary
    assert (answer.cells_dense, answer.cells_useful) == (2 * CELLS, 2 * 16 * 17 // 2)


def test_bert() -> None:
    answer = counted("BertModel", bert())
    layer = 2 * ROWS * (4 * WIDTH**2 + 2 * WIDTH * 128)
    assert answer.flops == 2 * layer + ATTENTION + 2 * WIDTH**2
    assert (answer.cells_dense, answer.cells_useful) == (2 * CELLS, 2 * CELLS)


@pytest.mark.parametrize(("kind", "config"), [("GPT2LMHeadModel", gpt2), ("LlamaForCausalLM", llama), ("BertModel", bert)])
def test_eager_attention_has_the_same_flops_and_no_known_cells(kind: str, config: Any) -> None:
    eager = counted(kind, config(), "eager")
    assert eager.flops == counted(kind, config()).flops
    assert eager.cells_dense is None
    assert "attention" in eager.reasons["cells_dense"]
