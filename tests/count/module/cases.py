"""The awkward modules and what each comes to."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from tests.count.module.zoo import (
    ROWS,
    Calls,
    Case,
    InAThread,
    SelfAttention,
    ThroughNumpy,
    by_hand,
    bytes_pair,
    compiled,
    gram,
    grouped_mm,
    hidden_product,
    ids,
    images,
    one_query,
    pair,
    resnet,
)

ATTENTION = 2 * 5 * 5 * (8 + 8)  # one prompt's QK' and AV over 5 x 5 cells, width 8: 800
PROJECTIONS = 2 * ROWS * (8 * 24 + 8 * 8)
MLP = 2 * ROWS * (8 * 16 + 16 * 8)


CASES = [
    # attention in all its forms
    Case("SDPA", lambda: Calls(lambda q: F.scaled_dot_product_attention(q, q, q)), 2 * 3 * ATTENTION, images(2, 3, 5, 8)),
    Case("SDPA of three dimensions", lambda: Calls(lambda q: F.scaled_dot_product_attention(q, q, q)), 2 * ATTENTION),
    Case("MultiheadAttention, fast path", SelfAttention, PROJECTIONS + 2 * ATTENTION),
    Case(
        "SDPA outside inference mode",
        lambda: Calls(torch.inference_mode(mode=False)(lambda q: F.scaled_dot_product_attention(*[q.clone()[:, None]] * 3))),
        2 * ATTENTION,
    ),
    Case(
        "MultiheadAttention, eval",
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        PROJECTIONS + 2 * ATTENTION,
        lambda: pair() + pair()[:1],
    ),
    Case(
        "MultiheadAttention, train",
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        PROJECTIONS + 2 * ATTENTION,
        lambda: pair() + pair()[:1],
        train=True,
    ),
    Case(
        "TransformerEncoderLayer, eval", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), PROJECTIONS + 2 * ATTENTION + MLP
    ),
    Case(
        "TransformerEncoderLayer, train",
        lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        PROJECTIONS + 2 * ATTENTION + MLP,
        train=True,
    ),
    Case(
        "TransformerDecoderLayer",
        lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True),
        2 * PROJECTIONS + 4 * ATTENTION + MLP,
        pair,
    ),
    Case("compiled TransformerEncoderLayer", compiled, PROJECTIONS + 2 * ATTENTION + MLP),
    Case("attention as (q*k).sum", lambda: Calls(by_hand), 2 * ATTENTION),
    Case("one query as (q*k).sum", lambda: Calls(one_query), 2 * ATTENTION // 5),
    Case(
        "attention by einsum",
        lambda: Calls(lambda q: torch.einsum("bts,bsd->btd", torch.einsum("btd,bsd->bts", q, q).softmax(-1), q)),
        2 * ATTENTION,
    ),
    Case(
        "_flash_attention_forward",
        lambda: Calls(lambda q: torch.ops.aten._flash_attention_forward(q, q, q, None, None, 5, 5, 0.0, False, False)),
        2 * 3 * ATTENTION,
        images(2, 5, 3, 8),
    ),
    Case(
        "_efficient_attention_forward",
        lambda: Calls(lambda q: torch.ops.aten._efficient_attention_forward(q, q, q, None, None, None, 5, 5, 0.0, 1, False)),
        2 * 3 * ATTENTION,
        images(2, 5, 3, 8),
    ),
    # recurrences
    Case(
        "LSTM, 2 layers, bidirectional, projected",
        lambda: nn.LSTM(8, 6, 2, bidirectional=True, proj_size=3, batch_first=True),
        2 * ROWS * 2 * ((24 * 8 + 24 * 3 + 3 * 6) + (24 * 6 + 24 * 3 + 3 * 6)),
    ),
    Case("LSTM", lambda: nn.LSTM(8, 6, batch_first=True), 2 * ROWS * 24 * (8 + 6)),
    Case("GRU", lambda: nn.GRU(8, 6), 2 * ROWS * (18 * 8 + 18 * 6)),
    Case("RNN", lambda: nn.RNN(8, 6, 2, nonlinearity="relu"), 2 * ROWS * (6 * 8 + 6 * 6 + 6 * 6 + 6 * 6)),
    Case("LSTMCell", lambda: nn.LSTMCell(8, 6), 2 * 5 * 24 * (8 + 6), images(5, 8)),
    # convolutions and their surroundings
    Case("Conv1d, dilated", lambda: nn.Conv1d(4, 6, 3, dilation=2), 2 * 2 * 6 * 5 * 4 * 3, images(2, 4, 9)),
    Case("Conv2d, strided, grouped", lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), 2 * 6 * 4 * 4 * 2 * 9, images(1, 4, 8, 8)),
    Case("Conv2d, 'same'", lambda: nn.Conv2d(3, 4, (3, 5), padding="same"), 2 * 4 * 8 * 8 * 3 * 15, images(1, 3, 8, 8)),
    Case("Conv3d, depthwise", lambda: nn.Conv3d(4, 8, 2, groups=4), 2 * 8 * 3 * 3 * 3 * 8, images(1, 4, 4, 4, 4)),
    Case("ConvTranspose1d", lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), 2 * 2 * 4 * 9 * 6 * 3, images(2, 4, 9)),
    Case(
        "ConvTranspose2d, grouped",
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, groups=2),
        2 * 4 * 64 * 3 * 9,
        images(1, 4, 8, 8),
    ),
    Case("ConvTranspose3d", lambda: nn.ConvTranspose3d(2, 3, 2), 2 * 2 * 27 * 3 * 8, images(1, 2, 3, 3, 3)),
    Case(
        "conv_tbc",
        lambda: Calls(lambda x: torch.conv_tbc(x, x.new_zeros(3, 8, 6), x.new_zeros(6))),
        2 * 3 * 2 * 6 * 3 * 8,
        lambda: (torch.zeros(5, 2, 8),),
    ),
    Case("small ResNet", resnet, 2 * (8 * 256 * 147 + 16 * 16 * 72 + 16 * 16 * 144 + 16 * 16 * 8 + 160), images(1, 3, 32, 32)),
    Case(
        "pools, norms, resampling",
        lambda: nn.Sequential(
            nn.AvgPool2d(2), nn.GroupNorm(2, 4), nn.Upsample(scale_factor=2, mode="bilinear"), nn.InstanceNorm2d(4), nn.LPPool2d(2, 2)
        ),
        0,
        images(1, 4, 8, 8),
    ),
    Case("unfolded convolution", lambda: Calls(lambda x: F.unfold(x, 3).mT @ x.new_zeros(36, 5)), 2 * 36 * 36 * 5, images(1, 4, 8, 8)),
    # products that hide
    Case(
        "mv, dot, outer",
        lambda: Calls(lambda x: torch.outer(torch.mv(x, x[0]), x[1]) * torch.dot(x[0], x[1])),
        2 * (40 + 40 + 8),
        images(5, 8),
    ),
    Case("addbmm", lambda: Calls(lambda x: torch.addbmm(x.new_zeros(5, 5), x, x.mT)), 2 * 2 * 5 * 5 * 8),
    Case("baddbmm", lambda: Calls(lambda x: torch.baddbmm(x[:, :, :5], x, x.mT)), 2 * 2 * 5 * 5 * 8),
    Case("_int_mm", lambda: Calls(torch._int_mm), 2 * 32 * 16 * 24, bytes_pair),
    Case("_grouped_mm", lambda: Calls(lambda a, b, ends: torch._grouped_mm(a, b, offs=ends)), 2 * 32 * 16 * 24, grouped_mm),
    Case("Bilinear", lambda: nn.Bilinear(8, 8, 3), 2 * ROWS * 3 * 8 * (8 + 1), pair),
    Case("tensordot", lambda: Calls(lambda x: torch.tensordot(x, x, dims=([2], [2]))), 2 * ROWS * ROWS * 8),
    Case("inner and vecdot", lambda: Calls(lambda x: torch.inner(x, x[0, 0]).sum() + torch.linalg.vecdot(x, x + 1).sum()), 2 * 80 + 2 * 80),
    Case("einsum without a matrix", lambda: Calls(lambda x: torch.einsum("btd,btd->bt", x, x + 1)), 2 * 80),
    Case("chained products", lambda: Calls(lambda x: torch.linalg.multi_dot([x, x.T, x])), 2 * (5 * 5 * 8) * 2, images(5, 8)),
    Case("vmap", lambda: Calls(torch.vmap(gram)), 2 * 2 * 5 * 5 * 8),
    Case(
        "weighted EmbeddingBag",
        lambda: Calls(lambda x: F.embedding_bag(x, torch.zeros(9, 4), per_sample_weights=torch.zeros(2, 5), mode="sum")),
        2 * ROWS * 4,
        ids,
        meta=False,
    ),
    Case("spectral norm", lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 3)), 2 * ROWS * 24 + 2 * (24 + 3)),
    # nothing to multiply
    Case("embeddings", lambda: nn.Sequential(nn.Embedding(9, 8), nn.LayerNorm(8), nn.Dropout(0.5)), 0, ids, train=True),
    Case("EmbeddingBag", lambda: nn.EmbeddingBag(9, 4), 0, ids),
    Case(
        "activations",
        lambda: nn.Sequential(
            nn.GELU(), nn.Mish(), nn.PReLU(), nn.CELU(), nn.LogSigmoid(), nn.RReLU(), nn.Softshrink(), nn.GLU(), nn.Softmin(-1)
        ),
        0,
    ),
    Case("norm of a tensor with itself", lambda: Calls(lambda x: (x * x).sum(-1) + x.square().mean() + x.var()), 0),
    Case("gate, then average over positions", lambda: Calls(lambda x: (x * x.new_zeros(8)).mean(1)), 0),
    # what must be refused
    Case("cdist", lambda: Calls(lambda x: torch.cdist(x, x)), "aten._cdist_forward"),
    Case("FFT", lambda: Calls(torch.fft.rfft), "aten._fft_r2c"),
    Case("complex product", lambda: Calls(lambda x: x.to(torch.complex64) @ x.mT.to(torch.complex64)), "complex"),
    Case("inverse", lambda: Calls(torch.linalg.inv), "aten.linalg_inv_ex", images(3, 3)),
    Case("custom operation", lambda: Calls(hidden_product), "spanbench_tests.relu"),
    Case("NumPy inside", lambda: Calls(ThroughNumpy.apply), "Tensor.numpy", meta=False),
    Case("another thread", InAThread, "another thread"),
    Case("another thread, then more", lambda: nn.Sequential(InAThread(), nn.ReLU()), "another thread"),
    Case(
        "complex convolution",
        lambda: nn.Conv1d(5, 3, 2, dtype=torch.complex64),
        "complex",
        lambda: (torch.zeros(2, 5, 8, dtype=torch.complex64),),
    ),
    Case("sparse product", lambda: Calls(lambda x: x.to_sparse() @ x.T), "sparse", images(5, 8), meta=False),
    Case(
        "nested encoder", lambda: Calls(lambda x: torch.nested.nested_tensor([x[0], x[1, :3]]) @ torch.zeros(2, 8, 4)), "nested", meta=False
    ),
    Case(
        "higher-order operation",
        lambda: Calls(lambda x: torch.cond(torch.ones((), dtype=torch.bool), lambda y: y @ y.mT, lambda y: y, (x,))),
        "cond",
        meta=False,
    ),
    Case(
        "sequences end to end",
        lambda: Calls(lambda q, ends: torch.ops.aten._flash_attention_forward(q, q, q, ends, ends, 5, 5, 0.0, False, False)),
        "cum_seq_q",
        lambda: (torch.zeros(10, 3, 8), torch.zeros(3, dtype=torch.int32)),
    ),
]

ON_META_ONLY = {"_flash_attention_forward", "_efficient_attention_forward", "sequences end to end"}
"""Kernels that a CPU does not have."""
