"""Arm `latent`: encoder, mixer, bridge, decoder and head around one latent a span."""

from __future__ import annotations

from torch import Tensor, nn

from spanbench.model.decoder import Decoder
from spanbench.model.encoder import Encoder
from spanbench.model.layers import Embedding, Layout, Linear
from spanbench.model.stack import Fresh, Stack
from spanbench.model.state import Keep, State
from spanbench.model.windows import prefill_feed, score_feed
from spanbench.point import Shape

__all__ = ["Bridge", "Latent"]


class Bridge(Linear):
    """c_j -> the P prefix slots of window j: B x K x Z -> B x K x P x Dd, one linear map."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.mixer.width, shape.prefix * shape.decoder.width)
        self.prefix = shape.prefix

    def forward(self, c_BxKxZ: Tensor) -> Tensor:
        return super().forward(c_BxKxZ).unflatten(-1, (self.prefix, -1))  # type: ignore[no-any-return]  # Tensor.unflatten is untyped


class Latent(nn.Module):
    """Latent-per-span model: ids (B x N) -> logits (B x N x V), K = N // S spans mixed as K x K."""

    def __init__(self, shape: Shape, span: int) -> None:
        super().__init__()
        self.shape, self.span, self.carry = shape, span, shape.carry
        self.encoder_embedding = Embedding(shape.vocab, shape.encoder.width)
        self.encoder = Encoder(shape, span)
        self.mixer = Stack(shape.mixer, gated=shape.gated, causal=True)
        self.bridge = None if shape.cross_attention else Bridge(shape)
        self.decoder_embedding = Embedding(shape.vocab, shape.decoder.width)
        self.decoder = Decoder(shape)
        self.head = Linear(shape.decoder.width, shape.vocab)

    def forward(self, ids_BxN: Tensor) -> Tensor:
        """Score: return all logits; logits[:, i] predicts ids[:, i+1] from ids[:, <= i]."""
        c_BxKxZ = self._mix(ids_BxN)
        feed = score_feed(ids_BxN, self.span, self.carry, split_first=self.carry > 0 or self.bridge is None)
        rows = self.decoder(self.decoder_embedding(feed.ids), feed, self.context(c_BxKxZ))
        return self.head(rows).view(*ids_BxN.shape, -1)  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def prefill(self, ids_BxN: Tensor) -> tuple[Tensor, State]:
        """Return the last logits (B x V) and the state: mixer k and v, c_K, local k and v, the open ids."""
        mixed, local = Keep(), Keep()
        c_BxKxZ = self._mix(ids_BxN, mixed)
        feed = prefill_feed(ids_BxN, self.span, self.carry)
        last = c_BxKxZ if c_BxKxZ is None or self.bridge is None else c_BxKxZ[:, -1:]
        rows_BxD = self.decoder(self.decoder_embedding(feed.ids), feed, self.context(last), local)
        open_ids = ids_BxN[:, ids_BxN.shape[1] // self.span * self.span :]
        other = {"mixer": [] if c_BxKxZ is None else [c_BxKxZ[:, -1].clone()], "decoder": [open_ids]}
        return self.head(rows_BxD), State({"mixer": mixed.own, "decoder": local.own}, other, local.memory)

    def _mix(self, ids_BxN: Tensor, keep: Keep | None = None) -> Tensor | None:
        """Encode the complete spans and mix them: c_1 .. c_K (B x K x Z), None where no span is complete."""
        prompts, tokens = ids_BxN.shape
        spans = tokens // self.span
        if not spans:
            return None
        u_RxZ = self.encoder(self.encoder_embedding(ids_BxN[:, : spans * self.span].flatten()))
        c_RxZ = self.mixer(u_RxZ, Fresh(Layout(((prompts, spans),)), None if keep is None else keep.own))
        return c_RxZ.unflatten(0, (prompts, spans))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def context(self, c_BxKxZ: Tensor | None) -> Tensor | None:
        """Return what the decoder is told of the spans before a window: prefix slots, or the latents themselves."""
        return c_BxKxZ if c_BxKxZ is None or self.bridge is None else self.bridge(c_BxKxZ)

    def stages(self) -> dict[nn.Module, str]:
        """Return the stage that each part belongs to."""
        parts: dict[nn.Module | None, str] = {
            self.encoder_embedding: "embedding",
            self.decoder_embedding: "embedding",
            self.encoder: "encoder",
            self.mixer: "mixer",
            self.bridge: "bridge",
            self.decoder: "decoder",
            self.head: "head",
        }
        return {module: stage for module, stage in parts.items() if module is not None}
