"""Compute the network as slowly as the published code, with the same results.

This is the baseline of ``tools/analysis_tools/benchmark.py``, used in ``configs/benchmark/``.
"""

from collections.abc import Callable
from functools import partial

import torch
from timm.layers import Attention
from torch import Tensor, nn

from mapper_mm.errors import WrongConfigError
from mapper_mm.models.adapters.parameters import encoders
from mapper_mm.models.encoders.cast_once import CastOnceConv2d, CastOnceLinear
from mapper_mm.models.encoders.text_encoder import TextEncoder
from mapper_mm.models.grounders import MaPPER
from mapper_mm.models.necks.fusion_encoder import FusionEncoder, FusionEncoderLayer
from mapper_mm.registry import MODELS

_PLAIN = {CastOnceLinear: nn.Linear, CastOnceConv2d: nn.Conv2d}


@MODELS.register_module()
class PublishedComputing(MaPPER):
    """MaPPER computed like the published code; the same weights give the same boxes.

    Attention is computed explicitly; all layers of the fusion encoder compute all tokens; frozen
    weights are cast in each forward pass; the prior is computed in full precision. With
    ``share_images=False``, which ``configs/published/`` sets, an image is encoded once for each of
    its expressions.

    Args:
        full_graph: keep the autograd graph from the first layer of the image encoder on, instead of
            from the first adapter on.
        **kwargs: arguments of :class:`MaPPER`.

    Raises:
        WrongConfigError: if the neck is no :class:`FusionEncoder`, or one with ``pre_norm``.
    """

    def __init__(self, full_graph: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.full_graph = full_graph
        for module in self.modules():
            if type(module) in _PLAIN:
                module.__class__ = _PLAIN[type(module)]
            if isinstance(module, Attention):
                module.fused_attn = False
        if not isinstance(self.neck, FusionEncoder) or self.neck.layers[0].pre_norm:
            raise WrongConfigError(
                "`model.type='PublishedComputing'` is for `neck=dict(type='FusionEncoder', "
                "pre_norm=False)`: change the neck, or set `model.type='MaPPER'`."
            )
        for layer in self.neck.layers:
            layer.__class__ = _SequenceFirstLayer
            layer.self_attn.batch_first = False
            layer.dropout = nn.Dropout(layer.dropout.p)
        for _, encoder in encoders(self):
            if isinstance(encoder, TextEncoder):
                encoder.encoder.set_attn_implementation('eager')
                if encoder.is_prior:
                    encoder.features = partial(_in_full_precision, encoder.features)

    def _encode_images(self, batch_inputs: Tensor, *args) -> Tensor:
        if self.full_graph and self.training:
            batch_inputs = batch_inputs.requires_grad_()
        return super()._encode_images(batch_inputs, *args)


class _SequenceFirstLayer(FusionEncoderLayer):
    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        padding_bias: Tensor,
        num_queries: int | None = None,
        with_attention: bool = False,
    ) -> tuple[Tensor, None]:
        x = x.transpose(0, 1).contiguous()
        keys = x + positions[:, None]
        attended, _ = self.self_attn(keys, keys, x, key_padding_mask=padding_bias)
        x = self.norm1(x + self.dropout(attended))
        x = self.norm2(x + self._feed_forward(x))
        return x.transpose(0, 1)[:, :num_queries], None


def _in_full_precision(features: Callable, ids: Tensor, padding_mask: Tensor) -> Tensor:
    with torch.autocast(padding_mask.device.type, enabled=False):
        return features(ids, padding_mask)
