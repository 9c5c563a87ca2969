"""Errors in speaking: sessions, what they remember, the steps that are executed, and the closed form of steps."""

from __future__ import annotations

from tests.planted.planting import errors_in

_PAST = errors_in(
    "model.past",
    ("a row does not see itself", "kept_BxGxTxE[:, :, : self.end]", "kept_BxGxTxE[:, :, : self.end - 1]", "layers attention_flops"),
    ("all room is attended to", "kept_BxGxTxE[:, :, : self.end]", "kept_BxGxTxE", "decoder attention_flops"),
    ("the rows of one lane are read", "self.moved += sum(ends)", "self.moved += end", "layers bytes_compulsory"),
    ("a window is opened for one lane", "self.moved += rows * len(lanes)", "self.moved += rows", "decoder bytes_compulsory"),
    ("the state of one lane", "self._row_bytes * sum(self.lengths)", "self._row_bytes * max(self.lengths)", "layers state_bytes"),
    ("the cache of one head", "kept.shape[1] * kept.shape[3]", "kept.shape[3]", "layers bytes_compulsory"),
    (
        "values are not kept",
        "for kept in (cache.k_BxGxTxE, cache.v_BxGxTxE)]",
        "for kept in (cache.k_BxGxTxE,)]",
        "layers bytes_compulsory",
    ),
)

_LATENT = errors_in(
    "model.speak.latent",
    ("spans are counted too long", "[length // span for", "[length // (span + 1) for", "state_bytes"),
    ("window 0 carries", "shape.carry * (spans > 0)", "shape.carry", "decoder attention_flops"),
    (
        "each token is encoded, too",
        "        last = self.opened[lanes[0]] - 1\n",
        "        self.model.encoder(self.model.encoder_embedding(self.ids_BxS.flatten()))\n        last = self.opened[lanes[0]] - 1\n",
        "embedding bytes_compulsory",
    ),
    (
        "the span is encoded twice",
        "        u_WxZ = model.encoder(",
        "        model.encoder(model.encoder_embedding(ids_WxS.flatten()))\n        u_WxZ = model.encoder(",
        "embedding bytes_compulsory",
    ),
    ("the closed window stays", "keep.own, self.model.shape.prefix + self.model.carry)", "[], 0) if lanes is None else None", "decoder"),
    (
        "the mixer runs twice",
        "        feed = Feed(",
        "        model.mixer(u_WxZ, Resumed(self.mixer, self.mixer.look(lanes)))\n        feed = Feed(",
        "mixer matrix_flops",
    ),
    (
        "the bridge runs twice",
        "        keep = Keep()\n",
        "        self.memory or model.context(c_WxZ[:, None])\n        keep = Keep()\n",
        "bridge matrix_flops",
    ),
    ("a span stays open", "self.opened[lane] = 0", "self.opened[lane] = 1", "decoder state_bytes"),
    ("a closed span is not counted", "self.spans[lane] += 1", "self.spans[lane] += 0", "mixer state_bytes"),
    ("new latents are not remembered", "Remembered(rows, cache, spot, c_WxZ)", "Remembered(rows, cache, spot)", "decoder matrix_flops"),
    ("c_K without a span", "sum(spans > 0 for spans in self.spans)", "len(self.spans)", "mixer state_bytes"),
    ("ids of a whole span are kept", "sum(self.opened) * self", "self.ids_BxS.numel() * self", "decoder state_bytes"),
    ("start rows are kept for ever", "0 if all(self.spans) else self._start_bytes()", "self._start_bytes()", "decoder state_bytes"),
    ("start rows are read for nothing", "self._start_bytes() if self.start_read else 0", "0", "decoder bytes_compulsory"),
    ("the memory is not kept", "self.local.bytes() + self._memory_bytes()", "self.local.bytes()", "decoder state_bytes"),
    (
        "the memory is not read",
        "self.local.moved_bytes() + self._memory_moved_bytes()",
        "self.local.moved_bytes()",
        "decoder bytes_compulsory",
    ),
)

_DENSE = errors_in(
    "model.speak.dense",
    ("the token before is forgotten", "sizes, lengths, capacity", "sizes, [n - 1 for n in lengths], capacity", "layers attention_flops"),
    ("what is read is free", '{"layers": self.past.moved_bytes()}', "{}", "layers bytes_compulsory"),
)

_CROSS = errors_in(
    "model.cross",
    (
        "a latent's keys and values are made twice",
        "            kv = memory.kept.extend(",
        "            self._keys_values(memory.latent_WxZ[:, None])\n            kv = memory.kept.extend(",
        "decoder matrix_flops",
    ),
)

_RUN = errors_in(
    "run.spoken",
    ("the step after", "self.point.batch, n, 1)", "self.point.batch, n + 1, 1)", "layers attention_flops"),
    ("rows of the first step", "steps[n - self.point.tokens]", "steps[0]", "embedding bytes_compulsory"),
    (
        "a request is scored first",
        'subject_of(self.model, "prefill"',
        'subject_of(self.model, "score"',
        "token prefill, layers bytes_compulsory",
    ),
    ("the prefill is left out of the sum", "_summed(forms)", "_summed(forms[len(opening) :])", "token request, embedding"),
    (
        "the state before the last step",
        "step[stage] for step in steps) for stage in steps[-1]",
        "step[stage] for step in steps[:-1]) for stage in steps[-1]",
        "token decode",
    ),
    ("the cheapest for the dearest", "return max(steps", "return min(steps", "attention_flops"),
)

_STEPS = errors_in(
    "count.formula.steps",
    ("the step after closes", "closing = (n + 1) % point.span == 0", "closing = n % point.span == 0", "embedding"),
    ("a span begun is mixed", "n // self.point.span for", "-(-n // self.point.span) for", "mixer attention_flops"),
    ("window 0 carries", "(0 if self.first else shape.carry)", "shape.carry", "decoder attention_flops"),
    ("windows open with nothing", "self.count * start + sum(", "sum(", "decoder attention_flops"),
)

_FORMULA = errors_in(
    "count.formula.speaking",
    ("a row does not see itself", "keys=phase.read + phase.count", "keys=phase.read", "layers attention_flops"),
    ("a row of a window does not see itself", "keys=phase.rows + count", "keys=phase.rows", "decoder attention_flops"),
    ("a latent does not see itself", "keys=phase.latents + phase.count", "keys=phase.latents", "mixer attention_flops"),
    ("carried tokens read no memory", "(shape.prefix + shape.carry, [plan.batch])", "(shape.prefix, [plan.batch])", "decoder"),
    ("queries of one step", "times(count - 1, queries_alone) + all_keys", "all_keys", "token decode, layers bytes_fused"),
    (
        "start rows are read once a window",
        "keys = count * shape.prefix if",
        "keys = shape.prefix if",
        "latent decode, decoder attention_flops",
    ),
)

SPEAKING = [*_PAST, *_LATENT, *_DENSE, *_CROSS, *_RUN, *_STEPS, *_FORMULA]
