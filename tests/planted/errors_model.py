"""Errors in the model and in what is told of the prompt: work that was not meant, and work that was left out."""

from __future__ import annotations

from tests.planted.planting import errors_in

_EXPANDED = """\
    repeats = q_WxHxTxE.shape[1] // k_WxGxTxE.shape[1]
    k_WxGxTxE, v_WxGxTxE = ({}.repeat_interleave(repeats, 1) for x in (k_WxGxTxE, v_WxGxTxE))
    grouped = q_WxHxTxE"""

_LAYERS = errors_in(
    "model.layers",
    (
        "the MLP goes up twice",
        "return self.down(F.gelu(self.up(x_RxD)))",
        "self.up(x_RxD)\n            return self.down(F.gelu(self.up(x_RxD)))",
        "layers matrix_flops",
    ),
    (
        "the MLP's product is written by hand",
        "F.gelu(self.up(x_RxD))",
        "F.gelu((x_RxD[:, None] * self.up.weight).sum(-1))",
        "aten.sum:",
    ),
    (
        "keys and values are expanded to every query head",
        "    grouped = q_WxHxTxE",
        _EXPANDED.format("x"),
        "layers bytes_fused",
    ),
    ("attention ignores its mask", "is_causal=causal,", "is_causal=False,", "layers attention_flops_useful"),
    ("matrices with a bias", "bias=False", "bias=True", "layers params"),
    ("the cache keeps queries", "place.keep.append(owned(k, v))", "place.keep.append(owned(q, v))", "layers bytes_compulsory"),
)

_STACK = errors_in(
    "model.stack",
    ("no closing norm", "return self.norm(x_RxD)", "return x_RxD", "layers bytes_compulsory"),
    ("one norm for two", "self.mlp(self.mlp_norm(x_RxD))", "self.mlp(x_RxD)", "layers bytes_compulsory"),
    ("a layer runs twice", "= block(x_RxD, place, memory)", "= block(block(x_RxD, place, memory), place, memory)", "layers matrix_flops"),
    (
        "the last layer is left out",
        "zip(self.blocks, self._places(x_RxD, how), self._memories(how), strict=True)",
        "zip(self.blocks[:-1], self._places(x_RxD, how), self._memories(how))",
        "layers matrix_flops",
    ),
)

_LATENT = errors_in(
    "model.latent",
    ("the bridge runs for all spans in prefill", "else c_BxKxZ[:, -1:]", "else c_BxKxZ", "mixer bytes_compulsory"),
    ("the mixer sees the future", "gated=shape.gated, causal=True)", "gated=shape.gated, causal=False)", "mixer attention_flops_useful"),
    (
        "the mixer runs twice",
        "c_RxZ = self.mixer(u_RxZ,",
        "c_RxZ = self.mixer(self.mixer(u_RxZ, Fresh(Layout(((prompts, spans),)))),",
        "mixer matrix_flops",
    ),
    (
        "the mixer mixes the batch",
        "Layout(((prompts, spans),)), None if",
        "Layout(((1, prompts * spans),)), None if",
        "mixer attention_flops",
    ),
    ("the state has no c_K", "else [c_BxKxZ[:, -1].clone()]", "else []", "mixer state_bytes"),
    ("the state has all latents", "else [c_BxKxZ[:, -1].clone()]", "else [c_BxKxZ]", "mixer state_bytes"),
    ("the open ids are not kept", '"decoder": [open_ids]', '"decoder": []', "decoder state_bytes"),
)

_PARTS = [
    *errors_in(
        "model.encoder",
        ("the encoder is causal", "causal=False", "causal=True", "encoder attention_flops_useful"),
        ("spans are encoded as one", "Layout(((spans, self.span),))", "Layout(((1, spans * self.span),))", "encoder attention_flops"),
        (
            "the mean's map runs on every row",
            "super().forward(x_KxSxD.mean(1))",
            "super().forward(x_KxSxD).mean(1)",
            "encoder matrix_flops",
        ),
    ),
    *errors_in(
        "model.decoder",
        (
            "a window is fed S tokens",
            "rows = self._layers(windows, memory, keep)",
            """fed = [torch.cat((window, window[:, :, -1:]), 2) for window in windows]
        rows = [part[:, :, :-1] for part in self._layers(fed, remembered or self._memory(fed, feed, context, keep), keep)]""",
            "decoder matrix_flops",
        ),
        ("the decoder sees the future", "causal=True", "causal=False", "decoder attention_flops_useful"),
        ("all rows through the head in prefill", "return rows[-1][:, -1, -1]", "return rows[-1][:, -1]", "decoder bytes_compulsory"),
        (
            "latents of windows inside are read without a mask",
            "latents, group.ids.device))",
            "latents, group.ids.device).new_ones(()))",
            "aten.scaled_dot_product_attention:",
        ),
    ),
    *errors_in(
        "model.cross",
        ("the mask is off by one", "windows * (windows + 1) // 2", "windows * (windows - 1) // 2", "decoder attention_flops_useful"),
        (
            "the latents' keys are computed for each read",
            "for source in dict.fromkeys(read.source for read in memory.reads)}",
            "for source in (*dict.fromkeys(read.source for read in memory.reads), *(read.source for read in memory.reads))}",
            "decoder matrix_flops",
        ),
        (
            "start rows kept for each prompt",
            "memory.keep.extend(owned(k, v) for k, v in kv.values())",
            "memory.keep.extend((k.expand(memory.prompts, -1, -1, -1), v.expand(memory.prompts, -1, -1, -1)) for k, v in kv.values())",
            "decoder bytes_compulsory",
        ),
    ),
    *errors_in(
        "model.windows",
        (
            "prefill carries one token more",
            "_open(ids_BxN, span, carry),), last",
            "_open(ids_BxN, span, carry + 1),), last",
            "embedding bytes_compulsory",
        ),
        ("prefill carries nothing", "_open(ids_BxN, span, carry),), last", "_open(ids_BxN, span, 0),), last", "embedding bytes_compulsory"),
    ),
    *errors_in(
        "model.dense",
        (
            "all rows through the dense head",
            "[:, -1]\n        return self.head(last_BxD), ",
            "\n        return self.head(last_BxD)[:, -1], ",
            "layers bytes_compulsory",
        ),
        ("the state is one layer's", 'State({"layers": keep})', 'State({"layers": keep[:1]})', "layers bytes_compulsory"),
    ),
]

_TOLD = [
    *errors_in(
        "count.distinct",
        ("ids, not distinct ones", "return len(set().union(*parts))", "return sum(map(len, parts))", "embedding bytes_compulsory"),
    ),
    *errors_in(
        "model.pair",
        ("the MLPs are not told", "if isinstance(module, MLP))", "if isinstance(module, Pair))", "layers mlp_rows"),
        ("weights in float32", "dtype=getattr(torch, point.dtype)", "dtype=torch.float32", "embedding bytes_compulsory"),
    ),
    *errors_in(
        "model.latent", ("the bridge is told to be the decoder", 'self.bridge: "bridge"', 'self.bridge: "decoder"', "bridge matrix_flops")
    ),
    *errors_in(
        "run.subjects",
        ("prefill looks up what score does", "distinct.decoder[regime]", 'distinct.decoder["score"]', "embedding bytes_compulsory"),
    ),
    *errors_in(
        "tally",
        (
            "keys and values are all that a stage keeps",
            "self.kv.get(name, 0) + self.other.get(name, 0)",
            "self.kv.get(name, 0)",
            "total state_bytes",
        ),
    ),
]

MODEL = [*_TOLD, *_LAYERS, *_STACK, *_LATENT, *_PARTS]

# Nothing on meta can know these, so `count` alone prints them: they show when the model that is timed is held against
# the one that was counted.

_DISTINCT = errors_in(
    "count.distinct",
    ("distinct ids of the first prompt", "token=_count(ids)", "token=_count(ids[:1])", "12 declared, 20 in the ids"),
    ("the open span is encoded", "prompt[:mixed] for", "prompt[: mixed and len(prompt)] for", "20 declared, 18 in the ids"),
    (
        "a span's last token is decoded",
        "    del read[point.span - 1 : point.windows.complete * point.span : point.span]\n",
        "",
        "10 declared, 8 in the ids",
    ),
    ("prefill carries nothing", "windows.carry if windows.complete else 0", "0", "6 declared, 9 in the ids"),
)

_DEVICE = errors_in(
    "model.layers",
    (
        "a product more on a real device",
        "F.gelu(self.up(x_RxD))",
        "F.gelu(self.up(x_RxD) if x_RxD.is_meta else self.up(x_RxD) + self.up(x_RxD))",
        "runs of linear 26×16 24×16",
    ),
    (
        "keys expanded on a real device",
        "    grouped = q_WxHxTxE",
        _EXPANDED.format("x if x.is_meta else x"),
        "runs of scaled_dot_product_attention 2×4×15×4 2×2×15×4 2×2×15×4",
    ),
)

_OPERANDS = "(q_WxHxTxE, k_WxGxTxE, v_WxGxTxE,"
_CALL = "F.scaled_dot_product_attention(q_WxHxTxE, k_WxGxTxE, v_WxGxTxE, attn_mask=mask, is_causal=causal, enable_gqa=grouped)"

_CONTENTS = [
    *errors_in(
        "model.cross",
        ("the mask lets less through than it says", "device=device) <= window_R", "device=device) < window_R", "attention_flops_useful"),
    ),
    *errors_in(
        "model.layers",
        ("no mask on a real device", "is_causal=causal,", "is_causal=causal and q_WxHxTxE.is_meta,", "attention_flops_useful"),
        (
            "attention in float64 on a real device",
            _CALL,
            _CALL.replace(_OPERANDS, f"(*(x if x.is_meta else x.double() for x in {_OPERANDS})),") + ".to(q_WxHxTxE.dtype)",
            "bytes_fused",
        ),
    ),
]

TIMED = [*_DISTINCT, *_DEVICE, *_CONTENTS]
