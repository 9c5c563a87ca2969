"""Errors in the closed form: a term forgotten, counted twice, of the wrong size or in the wrong regime."""

from __future__ import annotations

from tests.planted.planting import errors_in

_UNITS = errors_in(
    "count.formula.units",
    ("a product counts MACs for FLOPs", "=2 * rows * inner * outer", "=rows * inner * outer", "layers matrix_flops"),
    (
        "a product does not read its weight",
        "rows * inner + inner * outer + rows * outer",
        "rows * inner + rows * outer",
        "layers bytes_fused",
    ),
    ("a product of no rows reads its weight", "    if not rows:\n        return Tally()\n", "", "bridge bytes_fused"),
    ("a norm has no weight", "2 * rows * width + width", "2 * rows * width", "layers bytes_fused"),
    ("a look-up does not write its rows", "ids + 2 * ids * width", "ids + ids * width", "embedding bytes_fused"),
    ("ids of four bytes", "ID_BYTES * ids +", "4 * ids +", "embedding bytes_fused"),
    ("a token does not see itself", "rows * (rows + 1) // 2", "rows * (rows - 1) // 2", "layers attention_flops_useful"),
    ("causal attention is not called so", "// 2, causal=True)", "// 2)", "layers attention_flops_causal_half"),
    ("attention without AV", "flops = 4 * dense", "flops = 2 * dense", "layers attention_flops"),
    ("useful FLOPs are the dense ones", "=4 * useful", "=4 * dense", "layers attention_flops_useful"),
    ("causal-half halves the encoder too", "flops // 2 if a.causal else flops", "flops // 2", "encoder attention_flops_causal_half"),
    ("scores by key-value heads", "dense * stack.heads", "dense * stack.kv_heads", "layers scores_dense"),
    (
        "keys and values read once a query head",
        "2 * sets * a.keys * stack.kv_width",
        "2 * sets * a.keys * stack.width",
        "layers bytes_fused",
    ),
    ("the start memory is read once a prompt", "min(a.calls, 1) if a.shared_keys else a.calls", "a.calls", "decoder bytes_fused"),
)

_LAYERS = errors_in(
    "count.formula.layers",
    ("one norm a layer", "times(2, norm(rows, d, item))", "norm(rows, d, item)", "layers bytes_fused"),
    ("no closing norm", "times(stack.layers, layer) + norm(rows, d, item)", "times(stack.layers, layer)", "layers bytes_fused"),
    (
        "keys and values as wide as queries",
        "product(rows, d, d + 2 * stack.kv_width, item)",
        "product(rows, d, 3 * d, item)",
        "layers matrix_flops",
    ),
    ("gate and up are one matrix", "(2 if gated else 1) * stack.mlp", "stack.mlp", "layers matrix_flops"),
    ("the MLP does not come down", "            product(rows, stack.mlp, d, item),\n", "", "layers matrix_flops"),
    ("MLP rows of one layer only", "Tally(mlp_rows=rows)", "Tally(mlp_rows=rows // stack.layers)", "layers mlp_rows"),
    (
        "the memory's keys as wide as queries",
        "product(memory, latent, 2 * stack.kv_width, item)",
        "product(memory, latent, 2 * d, item)",
        "decoder matrix_flops",
    ),
    (
        "the memory's keys once for the stack",
        "memory, latent, 2 * stack.kv_width",
        "memory, latent, 2 * stack.kv_width // stack.layers",
        "decoder matrix_flops",
    ),
    ("gate without parameters", "(3 if gated else 2) * d", "2 * d", "layers params"),
    ("two norms forgotten", "* d * stack.mlp + 2 * d", "* d * stack.mlp", "layers params"),
    ("a closing norm without a stack", "(d if stack.layers else 0)", "d", "encoder params"),
    ("values of the memory without a matrix", "2 * latent * stack.kv_width + d", "latent * stack.kv_width + d", "decoder params"),
)

_LATENT = errors_in(
    "count.formula.latent",
    (
        "the open span is encoded",
        "spans, span = plan.batch * plan.spans,",
        "spans, span = plan.batch * -(-plan.point.tokens // plan.point.span),",
        "encoder matrix_flops",
    ),
    (
        "the pool reads one row a span",
        "product(spans, span * encoder.width, latent",
        "product(spans, encoder.width, latent",
        "encoder matrix_flops",
    ),
    (
        "every row of a span is a query of the pool",
        "Attention.full(spans, 1, span)",
        "Attention.full(spans, span, span)",
        "encoder attention_flops",
    ),
    (
        "the mean's map runs on every row",
        'case "mean":\n            return product(spans,',
        'case "mean":\n            return product(spans * span,',
        "encoder matrix_flops",
    ),
    (
        "the encoder is causal",
        "inside = [Attention.full(spans, span, span)]",
        "inside = [Attention.causal_self(spans, span)]",
        "encoder attention_flops_useful",
    ),
    (
        "the mixer sees the future",
        "Attention.causal_self(plan.batch, plan.spans)",
        "Attention.full(plan.batch, plan.spans, plan.spans)",
        "mixer attention_flops_useful",
    ),
    (
        "the mixer mixes the batch",
        "Attention.causal_self(plan.batch, plan.spans)",
        "Attention.causal_self(1, plan.batch * plan.spans)",
        "mixer attention_flops",
    ),
    ("one prompt's latents", "rows=plan.batch * plan.spans, attentions", "rows=plan.spans, attentions", "mixer matrix_flops"),
    ("the bridge runs for all spans in prefill", "product(batch * plan.bridged", "product(batch * plan.spans", "bridge matrix_flops"),
    ("the bridge makes one slot", "shape.prefix * decoder, item)", "decoder, item)", "bridge matrix_flops"),
    ("all rows through the head", "batch * plan.wanted, decoder", "batch * plan.point.tokens, decoder", "head matrix_flops"),
    ("each token is decoded once", "lookup(batch * plan.token_rows", "lookup(batch * plan.point.tokens", "embedding bytes_fused"),
    (
        "a start memory for each prompt",
        "plan.batch * plan.spans, start]",
        "plan.batch * plan.spans, plan.batch * start]",
        "decoder matrix_flops",
    ),
    (
        "all latents are useful to all windows",
        "group.rows * group.latents_read",
        "group.rows * group.count * plan.spans",
        "decoder attention_flops_useful",
    ),
    (
        "window 0 reads latents",
        "group.rows, plan.shape.prefix, shared_keys",
        "group.rows, plan.spans, shared_keys",
        "decoder attention_flops",
    ),
    ("one embedding for both", "shape.vocab * (shape.encoder.width + decoder)", "shape.vocab * decoder", "embedding params"),
    ("a bridge beside cross-attention", "0 if shape.cross_attention else latent * slots", "latent * slots", "bridge params"),
    ("no start slots", "+ slots + memory", "+ memory", "decoder params"),
    ("no start memory", "latent) + shape.prefix * latent if", "latent) if", "decoder params"),
    ("the pool's query is not learned", '"attention": d + 2', '"attention": 2', "encoder params"),
)

_PLAN = errors_in(
    "count.formula.plan",
    (
        "window j reads c_1 .. c_j+1",
        "(2 * self.first + self.count - 1)",
        "(2 * self.first + self.count + 1)",
        "decoder attention_flops_useful",
    ),
    ("the windows inside carry nothing", "last - 1, w.inner_rows)", "last - 1, w.first_rows)", "embedding bytes_compulsory"),
    ("window 0 carries padding", "Group(0, 1, w.first_rows)", "Group(0, 1, w.inner_rows)", "embedding bytes_compulsory"),
    ("prefill decodes every window", 'if self.regime == "prefill" or not last', "if not last", "embedding bytes_compulsory"),
    ("the bridge makes window 0's slots", "self.windows - self.decodes_first", "self.windows", "mixer bytes_compulsory"),
    ("prefix slots of one window", "self.shape.prefix * self.windows", "self.shape.prefix", "embedding bytes_compulsory"),
    ("score keeps a state", 'return self.regime == "prefill"\n', "return True\n", "layers bytes_compulsory"),
)

_TOKEN = errors_in(
    "count.formula.token",
    ("all rows through the dense head", "plan.batch * plan.wanted", "rows", "head matrix_flops"),
    (
        "the dense arm is not masked",
        "Attention.causal_self(plan",
        "Attention.full(plan.point.tokens, plan",
        "layers attention_flops_useful",
    ),
    ("the dense head is tied", '"head": table}', '"head": 0}', "head params"),
)

_BYTES = errors_in(
    "count.formula.bytes",
    ("the cache holds every query head", "2 * rows * stack.kv_width", "2 * rows * stack.width", "layers bytes_compulsory"),
    ("the cache holds keys alone", "2 * plan.batch * plan.spans * mixer", "plan.batch * plan.spans * mixer", "mixer bytes_compulsory"),
    ("open ids of four bytes", "plan.point.windows.open * ID_BYTES", "plan.point.windows.open * 4", "decoder state_bytes"),
    ("c_K without a span", "plan.item if plan.spans else 0", "plan.item", "mixer state_bytes"),
    (
        "start rows kept for each prompt",
        "if plan.spans else plan.shape.prefix",
        "if plan.spans else plan.batch * plan.shape.prefix",
        "decoder bytes_compulsory",
    ),
    ("stages that do not run are read", "if not plan.spans:", "if plan.spans < 0:", "encoder bytes_compulsory"),
    ("the start is read in every prefill", "if not plan.decodes_first:", "if plan.spans < 0:", "decoder bytes_compulsory"),
    (
        "the start slots are unused, not the memory",
        "shape.mixer.width if shape.cross_attention else shape",
        "shape",
        "decoder bytes_compulsory",
    ),
    (
        "the mixer hands on all latents",
        "return plan.spans if plan.shape.cross_attention else plan.bridged",
        "return plan.spans",
        "mixer bytes_compulsory",
    ),
    ("latents are handed to nobody", "spans * latent if shape.cross_attention else slots", "slots", "decoder bytes_compulsory"),
    ("logits in float32", "plan.wanted * plan.shape.vocab * plan.item", "plan.wanted * plan.shape.vocab * 4", "total bytes_compulsory"),
    ("the ids of one prompt", "plan.batch * plan.point.tokens * ID_BYTES", "plan.point.tokens * ID_BYTES", "total bytes_compulsory"),
    ("the whole table is read", "distinct.token * d", "plan.shape.vocab * d", "embedding bytes_compulsory"),
    ("prefill looks up what score does", "distinct.decoder[plan.regime]", 'distinct.decoder["score"]', "embedding bytes_compulsory"),
    ("a stage does not write its keys", ") + kept.kv.get(stage, 0) for", ") for", "layers bytes_compulsory"),
)

_WINDOWS = errors_in(
    "point",
    ("a span begun is complete", "return self.tokens // self.span", "return -(-self.tokens // self.span)", "embedding bytes_compulsory"),
    (
        "a window is fed S tokens",
        "self.prefix + self.carry + self.span - 1",
        "self.prefix + self.carry + self.span",
        "embedding bytes_compulsory",
    ),
    ("the halves of a bfloat16", '"bfloat16": 2', '"bfloat16": 4', "embedding bytes_compulsory"),
    ("the only window carries", "(self.carry if self.complete else 0)", "self.carry", "embedding bytes_compulsory"),
)

FORMULA = [*_UNITS, *_LAYERS, *_LATENT, *_PLAN, *_TOKEN, *_BYTES, *_WINDOWS]
