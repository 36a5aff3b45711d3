"""Fake quantization with the integers of octet's int8 linear layers, for quantization-aware training in PyTorch.

Forward: exactly what `octet serve --precision int8` computes from the same f32 input, in its order of operations:
quantized rows, quantized weights, s32 sums, the f32 epilogue (kernels/scalar_kernels.cc, kernels/linear.cc).
Backward: straight through (Bengio et al. 2013, arXiv 1308.3432): the gradient of the linear layer whose input and
weights are the dequantized ones; scales are constants; where a fixed range clips an input, its gradient is zero.

Integers are kept in f32 tensors, which hold them exactly. CPU only: other devices may divide by multiplying.
"""
import dataclasses
import functools

import torch
from torch import nn

# Below this 1 / scale would be infinite; such a row or channel is zero for every purpose and gets scale 1.
MIN_SCALE = 1e-37
# A sum of this many products of u8 and s8 stays below 2^24 in every order of addition, so f32 holds it exactly:
# 512 * 255 * 127 = 16,581,120 < 16,777,216.
EXACT_DEPTH = 512
MAX_F16 = 65504.0
MIN_NORMAL = 2.0**-126  # of f32


@dataclasses.dataclass(frozen=True)
class QuantizedRows:
    """real = scale * (q - zero_point). q: [rows, depth], integers 0..255. scale, zero_point: [rows, 1]."""
    q: torch.Tensor
    scale: torch.Tensor
    zero_point: torch.Tensor

    def dequantized(self):
        return (self.q - self.zero_point) * self.scale


@dataclasses.dataclass(frozen=True)
class QuantizedChannels:
    """real = scale * q. q: [out_dim, in_dim], integers -127..127. scale: [out_dim, 1]. sums: [out_dim] of q, s32."""
    q: torch.Tensor
    scale: torch.Tensor
    sums: torch.Tensor

    def dequantized(self):
        return self.q * self.scale


def range_to_u8(low, high):
    """(scale, zero_point) of ranges that hold 0: low <= 0 <= high, of any one shape. A range that is not finite gets
    scale NaN and zero point 0."""
    finite = torch.isfinite(low) & torch.isfinite(high)
    # Divided before the difference: the difference itself may overflow. A tensor divisor, because a number may be
    # turned into a multiplication by its reciprocal.
    steps = torch.full_like(low, 255.0)
    scale = high / steps - low / steps
    scale = torch.where(scale < MIN_SCALE, torch.ones_like(scale), scale)
    scale = torch.where(finite, scale, torch.full_like(scale, torch.nan))
    zero_point = torch.where(finite, torch.round(-low * (torch.ones_like(scale) / scale)), torch.zeros_like(scale))
    return scale, zero_point


def levels_of(x, scale, zero_point):
    """The integers of x, f32, before they are clipped: round half to even of a product that is not rounded itself."""
    factor = torch.ones_like(scale) / scale
    return torch.round(x.double().mul_(factor)).float().add_(zero_point)


def quantize_rows(x, scale, zero_point):
    """x: [rows, depth]; scale, zero_point: [rows, 1]. The integers of a row whose scale is NaN are zeros."""
    return QuantizedRows(levels_of(x, scale, zero_point).clamp_(0, 255).nan_to_num_(nan=0.0), scale, zero_point)


def quantize_rows_static(x, scale, zero_point):
    """x: [rows, depth], f32. All rows with one scale and zero point: [1, 1] each; values outside saturate. A row that
    is not finite gets scale NaN and zero point 0."""
    finite = torch.isfinite(x).all(1, keepdim=True)
    return quantize_rows(x, torch.where(finite, scale, torch.full_like(scale, torch.nan)),
                         torch.where(finite, zero_point, torch.zeros_like(zero_point)))


def quantize_rows_u8(x):
    """x: [rows, depth], f32. Each row in its own range, widened to hold 0; round half to even."""
    low = x.amin(1, keepdim=True).clamp(max=0.0)
    high = x.amax(1, keepdim=True).clamp(min=0.0)
    return quantize_rows(x, *range_to_u8(low, high))


def quantize_channels_s8(weight):
    """weight: [out_dim, in_dim], f32, finite. Symmetric per output channel, scale = max|w| / 127."""
    largest = weight.abs().amax(1, keepdim=True)
    scale = largest / torch.full_like(largest, 127.0)
    scale = torch.where(scale < MIN_SCALE, torch.ones_like(scale), scale)
    q = torch.round(weight * (torch.ones_like(scale) / scale)).clamp_(-127, 127)
    return QuantizedChannels(q, scale, q.sum(1).to(torch.int32))  # |sum| <= 127 in_dim: exact below 2^17 inputs


def integer_product(q, weight_q):
    """[rows, out_dim] s32: exact sums over k of q[r, k] * weight_q[j, k]."""
    total = None
    for begin in range(0, q.shape[1], EXACT_DEPTH):
        end = begin + EXACT_DEPTH
        part = (q[:, begin:end] @ weight_q[:, begin:end].T).to(torch.int32)
        total = part if total is None else total.add_(part)
    return total


def fused_multiply_add(a, b, c):
    """a * b + c in f32, rounded once. a, b: [rows, cols], contiguous; c: [cols]."""
    return torch.addcmul(c, a, b) if _addcmul_rounds_once() else fused_multiply_add_f64(a, b, c)


@functools.cache
def _addcmul_rounds_once():
    """Whether this build of PyTorch has fused multiply-adds in addcmul, which is five times faster here than f64 but
    promises nothing. Asked at every width up to several vectors: a * b, minus itself rounded, leaves what was rounded
    off, which is zero in no element below."""
    for cols in range(1, 70):
        a = (1 + 2.0**-12 * (2 * torch.arange(cols) + 1)).repeat(3, 1)  # odd parts of 2^-24: beyond f32 in the product
        c = -(a[0] * a[0])
        if not torch.equal(torch.addcmul(c, a, a), fused_multiply_add_f64(a, a, c)):
            return False
    return True


def fused_multiply_add_f64(a, b, c):
    """As fused_multiply_add, of any shapes that broadcast to that of a. The product of two f32 is exact in f64, so
    rounding the f64 sum to f32 errs only where that sum was itself rounded to halfway between two f32: there, and
    below the normal f32, where halfway lies elsewhere, it is done with care."""
    total = a.double().mul_(b).add_(c)
    result = total.float()
    doubtful = ((total.view(torch.int64) & 0x1FFFFFFF) == 0x10000000) | (total.abs() < MIN_NORMAL)
    if doubtful.any():
        result[doubtful] = _add_rounding_once(a[doubtful].double() * b.expand_as(a)[doubtful].double(),
                                              c.expand_as(a)[doubtful].double())
    return result


def _add_rounding_once(x, y):
    """x + y of f64 as f32, by rounding the f64 sum to odd (Boldo and Melquiond 2008), which a second rounding cannot
    spoil. The error of the sum is TwoSum's (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    total = x + y
    virtual = total - x
    error = (x - (total - virtual)) + (y - virtual)
    bits = total.view(torch.int64)
    # The neighbour on the side of the exact sum; a sum that is zero has no error.
    neighbour = bits + torch.where((error > 0) == (total > 0), 1, -1)
    inexact_even = (error != 0) & ((bits & 1) == 0)
    return torch.where(inexact_even, neighbour, bits).view(torch.float64).float()


def finish_rows(acc, rows, channels, bias):
    """[rows, out_dim] f32: fma(acc - zero_point * channel sum, row scale * channel scale, bias)."""
    centred = (acc - rows.zero_point.to(torch.int32) * channels.sums).to(torch.float32)
    return fused_multiply_add(centred, rows.scale * channels.scale.T, bias)


class _Int8Linear(torch.autograd.Function):
    """x: [rows, in_dim], weight: [out_dim, in_dim], bias: [out_dim]. fixed: None, or (scale, zero_point) of the input,
    [1, 1] each."""

    @staticmethod
    def forward(ctx, x, weight, bias, fixed):
        rows = quantize_rows_u8(x) if fixed is None else quantize_rows_static(x, *fixed)
        channels = quantize_channels_s8(weight)
        ctx.clips = fixed is not None
        ctx.save_for_backward(rows.dequantized(), channels.dequantized(), *((x, *fixed) if ctx.clips else ()))
        return finish_rows(integer_product(rows.q, channels.q), rows, channels, bias)

    @staticmethod
    def backward(ctx, grad):
        x_hat, weight_hat, *clipped = ctx.saved_tensors
        grad_x = grad @ weight_hat
        if ctx.clips:
            x, scale, zero_point = clipped
            level = levels_of(x, scale, zero_point)
            grad_x = torch.where((level >= 0) & (level <= 255), grad_x, torch.zeros_like(grad_x))
        return grad_x, grad.T @ x_hat, grad.sum(0), None


class RangeObserver(nn.Module):
    """The range of a layer's input for static quantization: an exponential moving average of each batch's minimum and
    maximum, widened to hold 0 (Jacob et al. 2018, section 3.1). The first batch sets it. Frozen in eval mode."""

    def __init__(self, momentum=0.99):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("low", torch.zeros(1, 1))
        self.register_buffer("high", torch.zeros(1, 1))
        self.register_buffer("is_set", torch.tensor(False))

    def forward(self, x):
        """(scale, zero_point), [1, 1] each, after taking in x: [rows, depth]."""
        if self.training:
            low, high = x.detach().amin().clamp(max=0.0), x.detach().amax().clamp(min=0.0)
            keep = self.momentum if self.is_set else 0.0
            self.low.mul_(keep).add_(low * (1 - keep))
            self.high.mul_(keep).add_(high * (1 - keep))
            self.is_set.fill_(True)
        return range_to_u8(self.low, self.high)


class FakeQuantLinear(nn.Linear):
    """nn.Linear with octet's int8 arithmetic forward and straight-through gradients. Same parameters and names."""

    def __init__(self, linear, static=False):
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.observer = RangeObserver() if static else None

    def forward(self, x):
        rows = x.reshape(-1, self.in_features)
        fixed = None if self.observer is None else self.observer(rows)
        return _Int8Linear.apply(rows, self.weight, self.bias, fixed).view(*x.shape[:-1], self.out_features)


class HalfEmbedding(nn.Embedding):
    """nn.Embedding whose rows are rounded to f16, as octet keeps its tables in int8 precision; gradients go straight
    through. A table with values beyond f16 stays f32, there as here."""

    def __init__(self, embedding):
        super().__init__(embedding.num_embeddings, embedding.embedding_dim, device="meta")
        self.weight = embedding.weight
        self.is_half = bool(embedding.weight.detach().abs().max() <= MAX_F16)

    def forward(self, ids):
        rows = super().forward(ids)
        if not self.is_half:
            return rows
        return rows + (rows.detach().half().float() - rows.detach())


def quantize_encoder_(model, static=False):
    """Replaces, in place, every nn.Linear inside encoder layers and every embedding table of a BERT, be it bert.py's or
    transformers' (`...encoder.layer.N...`). Pooler and classifier stay f32, as octet runs them. Query, key and value
    have the same input and so the same integers. Optimizers made before stay valid: the parameters are the same
    objects. Returns the names of the linear layers."""
    names = []
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and "encoder.layer." in name:
            replacement = FakeQuantLinear(module, static)
            names.append(name)
        elif type(module) is nn.Embedding:
            replacement = HalfEmbedding(module)
        else:
            continue
        parent, _, child = name.rpartition(".")
        model.get_submodule(parent)._modules[child] = replacement.train(module.training)
    if not names:
        raise ValueError("the model has no encoder.layer.* linear layers")
    return names
