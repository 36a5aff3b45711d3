"""The steps between octet's int8 linear layers, bit for bit, in PyTorch: LayerNorm, softmax, attention, GELU.

PyTorch takes the same sums in another order and has other polynomials. That moves last bits only, but a value at the
edge between two integers then falls to the other side, and after a few layers most roundings differ
(docs/quantization.md). `use_served_floats_` gives a model of bert.py octet's orders and polynomials
(kernels/row_kernels_simd.cc, kernels/attention_integer.cc, kernels/softmax_s16.h; the same at every vector level), for
checks: slow, one text a batch, no gradients.
"""
import torch
from torch import nn

import bert
from fake_quant import fused_multiply_add_f64

LONG_SUMS = 64  # running sums of a row: lane l has elements l, l + 64, l + 128, ...
ROUNDING_BIAS = 1.5 * 2.0**23  # added to |x| < 2^22, it leaves x rounded to the nearest integer
LOG2_E = 1.44269504
# 2^-f = c0 - f (c1 - f (c2 - f c3)) in steps of 2^-16.
POWER_COEFFICIENTS = (65534, 45308, 15119, 2579)
# Bounds of the integers of attention (kernels/kernel_table.h).
SCORE_LIMIT, VALUE_LIMIT, MOST_WEIGHTS = 127, 2047, 1e6
WHOLE_SCALE = 32767.0
ZERO_HEAD_SCALE = 1e-30
# 0.5 (1 + erf(x / sqrt 2)) = 0.5 + x P(x^2) for |x| <= 4; highest power first.
GELU_BOUND = 4.0
GELU_COEFFICIENTS = (2.25881269e-08, -1.58882267e-06, 4.77637914e-05, -0.00081218651, 0.00876368582, -0.0645543933,
                     0.397870302)


def multiply_add(a, b, c):
    """fma(a, b, c), rounded once; numbers and shapes are broadcast to the largest."""
    a, b, c = torch.broadcast_tensors(*(torch.as_tensor(value, dtype=torch.float32) for value in (a, b, c)))
    return fused_multiply_add_f64(a.contiguous(), b, c)


def sum_rows(rows, lanes, add=torch.add):
    """[..., cols] -> [..., 1]. `add(sums, elements)` takes as many elements as lanes into the running sums, which are
    folded half onto half at the end. Zeros fill the last elements: they change no sum."""
    padded = nn.functional.pad(rows, (0, -rows.shape[-1] % lanes))
    sums = torch.zeros_like(padded[..., :lanes])
    for begin in range(0, padded.shape[-1], lanes):
        sums = add(sums, padded[..., begin:begin + lanes])
    while sums.shape[-1] > 1:
        half = sums.shape[-1] // 2
        sums = sums[..., :half] + sums[..., half:]
    return sums


def square_root(x):
    """Correctly rounded, which torch's f32 root is not: one in f64 has more than twice the digits, so that rounding
    it again is harmless (Figueroa 1995)."""
    return x.double().sqrt().float()


def layer_norm(x, weight, bias, epsilon):
    """x: [rows, cols]; weight, bias: [cols]."""
    cols = torch.full((), float(x.shape[-1]))
    centred = x - sum_rows(x, LONG_SUMS) / cols
    variance = sum_rows(centred, LONG_SUMS, lambda sums, h: multiply_add(h, h, sums)) / cols
    factor = torch.ones(()) / square_root(variance + torch.tensor(epsilon, dtype=torch.float32))
    return multiply_add(centred * factor, weight, bias)


def power_series(x, coefficients):
    """A polynomial, highest power first."""
    p = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        p = multiply_add(p, x, coefficient)
    return p


def gelu_erf(x):
    t = x.clamp(-GELU_BOUND, GELU_BOUND)
    return x * multiply_add(t, power_series(t * t, GELU_COEFFICIENTS), 0.5)


def to_integers(x, factor):
    return multiply_add(x, factor, ROUNDING_BIAS) - ROUNDING_BIAS


def quantize_heads(x, limit):
    """x: [..., head_dim] -> integers up to `limit`, and [..., 1] scales."""
    limit = torch.tensor(float(limit), dtype=torch.float32)
    largest = x.abs().amax(-1, keepdim=True)
    scale = largest * (torch.ones(()) / limit)
    is_zero = scale < 1e-30
    integers = to_integers(x, limit / torch.where(is_zero, torch.ones(()), largest))
    return torch.where(is_zero, torch.zeros(()), integers), torch.where(is_zero, torch.tensor(ZERO_HEAD_SCALE), scale)


def relative_scales(scales):
    """[..., tokens, 1] -> integers up to 32767 and the largest, [..., 1, 1]."""
    largest = scales.amax(-2, keepdim=True)
    return to_integers(scales, torch.tensor(WHOLE_SCALE) / largest).long(), largest


def multiply_rounded(a, b):
    """Integers of 15 bits."""
    return (a * b + (1 << 14)) >> 15


def score_steps(unit):
    """What a step of scores, a power of two's exponent [...], makes of them: a factor of 16 bits and a power of two."""
    bits = unit.view(torch.int32).long()
    whole_bits = (bits >> 23) - 127 + 17
    mantissa = ((bits & 0x7FFFFF) | 0x800000) >> 8
    factor = torch.where(whole_bits > 15, 0xFFFF, mantissa >> (-whole_bits).clamp(0, 16))
    return factor, torch.ones_like(bits) << whole_bits.clamp(0, 15)


def weigh(below, unit):
    """2^-(below unit) in steps of 2^-15, of integers."""
    factor, power = score_steps(unit)
    t = (below * factor) >> 16
    f = (t * power) & 0xFFFF
    y = torch.full_like(f, POWER_COEFFICIENTS[-1])
    for coefficient in POWER_COEFFICIENTS[-2::-1]:
        y = coefficient - ((f * y) >> 16)
    return ((y >> ((t * power) >> 16).clamp(max=16)) + 1) >> 1


def attend(query, key, value, attn_mask=None, dropout_p=0.0):
    """As scaled_dot_product_attention, over tokens of one text: [1, num_heads, tokens, head_dim] each."""
    assert attn_mask is None and dropout_p == 0.0, "one text a batch, in eval mode"
    tokens, head_dim = query.shape[-2:]
    query, query_scales = quantize_heads(query, SCORE_LIMIT)
    key, key_scales = quantize_heads(key, SCORE_LIMIT)
    value, value_scales = quantize_heads(value, VALUE_LIMIT)
    key_parts, largest_key = relative_scales(key_scales)
    value_parts, largest_value = relative_scales(value_scales)
    whole = torch.tensor(32768.0) / WHOLE_SCALE

    shift = 31 - (SCORE_LIMIT * SCORE_LIMIT * head_dim).bit_length()
    scores = (query.double() @ key.double().transpose(-1, -2)).long()
    scores = multiply_rounded((scores << shift) >> 16, key_parts.transpose(-1, -2))
    scale = torch.ones(()) / square_root(torch.tensor(float(head_dim)))
    unit = largest_key * (torch.tensor(LOG2_E) * whole) * 2.0**(16 - shift) * (query_scales * scale)
    weights = weigh(scores.amax(-1, keepdim=True) - scores, unit)

    # A number as a tensor: torch divides a plain one by multiplying with the reciprocal.
    sums = weights.sum(-1, keepdim=True).float()
    products = multiply_rounded(weights, value_parts.transpose(-1, -2))
    narrowing = torch.tensor(32768.0)
    if tokens * 32767 > MOST_WEIGHTS:
        narrowing = (torch.tensor(MOST_WEIGHTS * 32768) / sums).floor().clamp(max=32767.0)
        products = multiply_rounded(products, narrowing.long())
    outputs = (products.double() @ value.double()).float()  # exact, then rounded
    return outputs * (largest_value * whole * 32768.0 / (sums * narrowing))


def use_served_floats_(model):
    """Gives a model of bert.py, in place, the arithmetic of this file."""
    for module in model.modules():
        if isinstance(module, bert.SelfAttention):
            module.attend = attend
        elif isinstance(module, bert.Layer):
            module.activate = gelu_erf
        elif isinstance(module, nn.LayerNorm):
            def forward(x, norm=module):
                return layer_norm(x, norm.weight, norm.bias, norm.eps)

            module.forward = forward
