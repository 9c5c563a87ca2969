"""Errors in the counters: the ledger's rules and handlers, and the witnesses."""

from __future__ import annotations

from tests.planted.planting import errors_in

_RULES = errors_in(
    "count.rules",
    ("products count MACs for FLOPs", "2 * out.numel() *", "out.numel() *", "layers matrix_flops"),
    (
        "products are contracted over the first dimension",
        "return tensors[0].shape[-1]",
        "return tensors[0].shape[0]",
        "layers matrix_flops",
    ),
    ("linear is a view", '_VIEW = """view', '_VIEW = """linear view', "layers matrix_flops"),
    ("a look-up is a view", '_VIEW = """view', '_VIEW = """embedding view', "embedding bytes_compulsory"),
    ("attention is a copy", "Rule(Kind.ATTENTION)", "Rule(Kind.COPY)", "layers attention_flops"),
    ("norms are taken apart", '("rms_norm", "_fused_rms_norm", ', "(", "layers bytes_fused"),
    ("a norm is element-wise", "Rule(Kind.NORM, _NORM_WORK)", "Rule(Kind.ELEMENTWISE, _NORM_WORK)", "layers bytes_fused"),
    ("GELU has no rule", "gelu silu", "silu", "aten.gelu.default:"),
)

_ATTENTION = errors_in(
    "count.attention",
    ("attention of one head", "2 * self.scores_dense * self.widths", "2 * self.cells_dense * self.widths", "layers attention_flops"),
    ("attention without AV", "query.shape[-1] + value.shape[-1]", "query.shape[-1]", "layers attention_flops"),
    ("a token does not see itself", "rows * (rows + 1) // 2", "rows * (rows - 1) // 2", "layers attention_flops_useful"),
    ("the triangle of one prompt", "prod(batch) * _triangle", "_triangle", "layers attention_flops_useful"),
    (
        "causal attention is not masked",
        "useful = prod(batch) * _triangle(rows, columns)",
        "useful = dense",
        "layers attention_flops_useful",
    ),
    ("heads of the keys", "*batch, heads = query.shape[:-2] if", "*batch, heads = key.shape[:-2] if", "layers attention_flops"),
    ("as many keys as queries", "query.shape[-2], key.shape[-2]", "query.shape[-2], query.shape[-2]", "decoder attention_flops"),
    ("the mask of one prompt", "int(declared) * dense // own", "int(declared)", "decoder attention_flops_useful"),
    ("masks are ignored", "useful = _allowed(mask, dense, has_heads=query.ndim > 3)", "pass", "decoder attention_flops_useful"),
    (
        "causal-half halves the encoder too",
        "self.flops // 2 if self.causal else self.flops",
        "self.flops // 2",
        "encoder attention_flops_causal_half",
    ),
)

_WORK = errors_in(
    "count.work",
    (
        "a product is not written",
        "out), bytes_fused=unique_bytes([*tensors, out])",
        "out), bytes_fused=unique_bytes(tensors)",
        "layers bytes_fused",
    ),
    ("a look-up reads the table", "unique_bytes(tensors[1:]) + 2", "unique_bytes(tensors) + 2", "embedding bytes_fused"),
    ("attention does not read its queries", "(query.numel() + out.numel())", "out.numel()", "layers bytes_fused"),
    (
        "the start memory is read once a prompt",
        'unique_bytes([arguments["key"], arguments["value"]])',
        'sum(arguments[name].numel() for name in ("key", "value")) * out.element_size()',
        "decoder bytes_fused",
    ),
)

_EXTENTS = errors_in(
    "count.extents",
    ("an expanded dimension counts in full", "strict=True) if stride)", "strict=True))", "decoder bytes_fused"),
    ("views of one storage are one operand", "(storage_key(t), _place(t)): t", "storage_key(t): t", "decoder bytes_fused"),
    ("an overlap counts twice", "max(0, start + length - max(start, end))", "length", "embedding bytes_compulsory"),
    (
        "two storages that are one",
        "return int(tensor.untyped_storage()._cdata)",
        "return tensor.untyped_storage().data_ptr()",
        "aten.embedding:",
    ),
)

_COMPULSORY = errors_in(
    "count.compulsory",
    ("what is handed in is free", "extent_bytes(crossing.entered) + ", "", "layers bytes_compulsory"),
    ("what is handed on is free", " + extent_bytes(crossing.taken)", "", "embedding bytes_compulsory"),
    (
        "a stage hands on all that it returns",
        "self._held.append(tensor)",
        "self._crossings[module].taken.append(tensor)",
        "layers bytes_compulsory",
    ),
    ("the whole table is read", "return declared or 0", "return table.shape[0]", "embedding bytes_compulsory"),
    ("ids are not handed over", "return argument.numel() * argument.element_size()", "return 0", "embedding bytes_compulsory"),
)

_LEDGER = errors_in(
    "count.ledger",
    ("MLP rows are its numbers", ".shape[:-1].numel()", ".shape.numel()", "layers mlp_rows"),
    ("all work is one stage's", "self.stages[self.running[-1]]", "next(iter(self.stages.values()))", "embedding matrix_flops"),
    ("views are booked, nothing else", "if rule.kind is not Kind.VIEW:", "if rule.kind is Kind.VIEW:", "embedding bytes_compulsory"),
    (
        "the state is its keys and values",
        "state_bytes=sum(kept.kv.values()) + sum(kept.other.values())",
        "state_bytes=sum(kept.kv.values())",
        "total state_bytes",
    ),
    ("logits are not written", " + extent_bytes([logits])", "", "total bytes_compulsory"),
    ("parameters by tensor, not by size", "sum(p.numel() for p in {", "sum(1 for p in {", "embedding params"),
    ("weights of the stages are read by none", "account.usage.whole |= self.weights.among(tensors)", "pass", "layers bytes_compulsory"),
)

LEDGER = [*_RULES, *_ATTENTION, *_WORK, *_EXTENTS, *_COMPULSORY, *_LEDGER]

_FVCORE = errors_in(
    "count.witness.fvcore",
    ("fvcore: attention without AV", "(query[-1] + value[-1])", "query[-1]", "2 × fvcore"),
    ("fvcore: as many keys as queries", "* value[-2] *", "* query[-2] *", "2 × fvcore"),
    ("fvcore: attention is free", 'attention": _attention,', 'attention": _nothing,', "2 × fvcore"),
    (
        "fvcore: attention has no handler",
        '    "aten::scaled_dot_product_attention": _attention,\n',
        "",
        "aten::scaled_dot_product_attention:",
    ),
    ("fvcore: products are contracted over the first dimension", "_shape(inputs[first])[-1]", "_shape(inputs[first])[0]", "2 × fvcore"),
    ("fvcore: norms have no handler", '"aten::rms_norm", ', "", "aten::rms_norm:"),
    ("fvcore: GELU is not known", "erf gelu\n", "erf\n", "aten::gelu:"),
)

_OTHERS = [
    *errors_in(
        "count.witness.flopcounter",
        ("torch: MACs for FLOPs", "int(counter.get_total_flops())", "int(counter.get_total_flops()) // 2", "torch FlopCounterMode"),
        (
            "torch: products are outer ones",
            "_VECTORS: dict[Any, Any] = {",
            "_VECTORS: dict[Any, Any] = {\n    _ATEN.mm: _outer_flops,",
            "torch FlopCounterMode",
        ),
    ),
    *errors_in(
        "count.witness.softmax",
        (
            "softmax: as many keys as queries",
            "query[..., 0].numel() * key.shape[-2]",
            "query[..., 0].numel() * query.shape[-2]",
            "intercepted attention",
        ),
        ("softmax: heads of the keys", "heads = query.shape[-3]", "heads = key.shape[-3]", "intercepted attention"),
        ("softmax: the last one only", "self.scores += out.numel()", "self.scores = out.numel()", "softmax witness"),
        ("softmax: no attention is entered", "self._depth += inside", "self._depth += 0", "softmax witness"),
    ),
]

WITNESSES = [*_FVCORE, *_OTHERS]
