"""Which class of work an operation is, for any module. Deny by default, as in the pair's own table (count/rules.py).

To that table this adds what the pair does not use. Element-wise operations are beside that known by the tag that torch
itself puts on them; they hold no matrix work.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

import torch
from torch._ops import OpOverload

from spanbench.count.module.products import MACS
from spanbench.count.rules import Kind, name_of, rule_of

__all__ = ["Class", "class_of"]


class Class(Enum):
    """What is to be done with one operation."""

    PRODUCT = "a product in the pair's table"
    NAMED = "a product that needs its arguments by name"
    ATTENTION = "attention"
    FAST_PATH = "a whole layer in one operation"
    LOOKUP = "look-up"
    VIEW = "view: reads nothing"
    FREE = "free of matrix work"


_ATTENTION = """scaled_dot_product_attention _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu
                _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
                _scaled_dot_product_attention_math _scaled_dot_product_fused_attention_overrideable
                _flash_attention_forward _efficient_attention_forward"""

_FAST_PATH = "_transformer_encoder_layer_fwd _native_multi_head_attention"

_NORMS = """batch_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm
            _batch_norm_with_update _batch_norm_no_update group_norm native_group_norm instance_norm _weight_norm_interface
            renorm embedding_renorm norm dist"""

_POOLING = """max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
              mkldnn_max_pool2d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
              _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
              fractional_max_pool2d fractional_max_pool3d max_unpool2d max_unpool3d"""

_RESAMPLING = """upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
                 _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
                 _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler_2d grid_sampler_3d pixel_shuffle pixel_unshuffle
                 channel_shuffle im2col col2im reflection_pad1d reflection_pad2d reflection_pad3d
                 replication_pad1d replication_pad2d replication_pad3d"""

_REDUCING = """nansum cummin logcumsumexp aminmax count_nonzero sort topk kthvalue median nanmedian mode var_mean std_mean
               unique_dim unique_consecutive unique_dim_consecutive _unique _unique2 bincount histc searchsorted bucketize isin
               nonzero nonzero_static segment_reduce _masked_softmax"""

_INDEXING = """index_add index_fill index_reduce _index_put_impl _unsafe_index _unsafe_index_put masked_scatter scatter_add
               scatter_reduce put take diag_embed diagonal_scatter as_strided_scatter tril_indices triu_indices rot90 block_diag
               _pack_padded_sequence unsafe_split unsafe_split_with_sizes split_with_sizes_copy
               split_copy unbind_copy resize_as"""

_MAKING = """rand rand_like randn randn_like randint randint_like randperm normal normal_functional uniform bernoulli multinomial
             exponential geometric cauchy log_normal random dropout native_dropout rrelu_with_noise poisson _sample_dirichlet
             _standard_gamma empty_permuted logspace range hann_window hamming_window kaiser_window blackman_window
             fill_diagonal"""

_ACTIVATIONS = "prelu _prelu_kernel celu log_sigmoid_forward fake_quantize_per_tensor_affine fake_quantize_per_channel_affine"

_LOSSES = """nll_loss_forward nll_loss2d_forward mse_loss binary_cross_entropy huber_loss smooth_l1_loss soft_margin_loss
             multi_margin_loss multilabel_margin_loss_forward"""

_CHECKING = """_assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async result_type is_pinned pin_memory
               _pin_memory record_stream conj_physical _is_all_true _is_any_true"""

_FREE = frozenset(f"{_NORMS} {_POOLING} {_RESAMPLING} {_REDUCING} {_INDEXING} {_MAKING} {_ACTIVATIONS} {_LOSSES} {_CHECKING}".split())
_VIEWS = ("resolve_conj", "resolve_neg", "conj", "_conj", "_neg_view", "lift")

_NO_WORK = ("prim", "profiler")
"""`prim` asks a fake tensor for its device or layout; `profiler` is a user's own marks in a profile."""

_OF_KIND = {Kind.PRODUCT: Class.PRODUCT, Kind.ATTENTION: Class.ATTENTION, Kind.LOOKUP: Class.LOOKUP, Kind.VIEW: Class.VIEW}

_NAMED: dict[str, Class] = {
    **dict.fromkeys(_FREE, Class.FREE),
    **dict.fromkeys(_VIEWS, Class.VIEW),
    **dict.fromkeys(MACS, Class.NAMED),
    **dict.fromkeys(_ATTENTION.split(), Class.ATTENTION),
    **dict.fromkeys(_FAST_PATH.split(), Class.FAST_PATH),
}


@cache
def class_of(operation: OpOverload) -> Class | None:
    """Return the operation's class, or None: it is to be taken apart, or else refused."""
    if operation.namespace in _NO_WORK:
        return Class.VIEW
    if operation.namespace != "aten":
        return None
    rule, named = rule_of(operation), _NAMED.get(name_of(operation))
    if rule is not None and named is not Class.FREE:
        return _OF_KIND.get(rule.kind, Class.FREE)
    if named is None and torch.Tag.pointwise in operation.tags:
        return Class.FREE
    return named
