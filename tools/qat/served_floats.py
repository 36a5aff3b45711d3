"""The steps between octet's int8 linear layers, bit for bit, in PyTorch: LayerNorm, softmax, attention, GELU.

PyTorch takes the same sums in another order and has other polynomials. That moves last bits only, but a value at the
edge between two integers then falls to the other side, and after a few layers most roundings differ
(docs/quantization.md). `use_served_floats_` gives a model of bert.py octet's orders and polynomials
(kernels/row_kernels_simd.cc, kernels/attention_integer.cc; the same at every vector level), for checks: slow, one text
a batch, no gradients.
"""
import torch
from torch import nn

import bert
from fake_quant import fused_multiply_add_f64

SHORT_SUMS, LONG_SUMS = 16, 64  # running sums of a row: lane l of 16 has elements l, l + 16, l + 32, ...
ROUNDING_BIAS = 1.5 * 2.0**23  # added to |x| < 2^22, it leaves x rounded to the nearest integer
LOG2_E = 1.44269504
# 2^r = 1 + r P(r), |r| <= 1/2; highest power first.
EXP2_COEFFICIENTS = (0.009582853, 0.055906426, 0.24024099, 0.69312418, 1.0)
# Bounds of the integers of attention (kernels/kernel_table.h).
SCORE_LIMIT, VALUE_LIMIT, MOST_WEIGHT, MOST_WEIGHTS = 127.0, 2047.0, 32767.0, 1e6
# 0.5 (1 + erf(x / sqrt 2)) = 0.5 + x P(x^2) for |x| <= 3.94; highest power first.
GELU_BOUND = 3.94
GELU_COEFFICIENTS = (2.4892850e-8, -1.7039068e-6, 4.9990806e-5, -0.000833144, 0.008861814, -0.06476019, 0.39800572)


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
    from_below = x.clamp(min=-GELU_BOUND)
    t = from_below.clamp(max=GELU_BOUND)
    return from_below * multiply_add(t, power_series(t * t, GELU_COEFFICIENTS), 0.5)


def exp2(x):
    """2^x for x <= 0; below -125 it is taken there."""
    x = x.clamp(min=-125.0)
    whole = (x + ROUNDING_BIAS) - ROUNDING_BIAS
    r = x - whole
    return power_series(r, EXP2_COEFFICIENTS) * ((whole.to(torch.int32) + 127) << 23).view(torch.float32)


def to_integers(x, factor):
    return multiply_add(x, factor, ROUNDING_BIAS) - ROUNDING_BIAS


def quantize_heads(x, limit):
    """x: [..., head_dim] -> integers up to `limit`, and [..., 1] scales."""
    limit = torch.tensor(limit, dtype=torch.float32)
    largest = x.abs().amax(-1, keepdim=True)
    scale = largest * (torch.ones(()) / limit)
    is_zero = scale < 1e-30
    integers = to_integers(x, limit / torch.where(is_zero, torch.ones(()), largest))
    return torch.where(is_zero, torch.zeros(()), integers), torch.where(is_zero, torch.ones(()), scale)


def integer_product(a, b):
    """The exact product of matrices of integers, rounded to f32."""
    return (a.double() @ b.double()).float()


def attend(query, key, value, attn_mask=None, dropout_p=0.0):
    """As scaled_dot_product_attention, over tokens of one text: [1, num_heads, tokens, head_dim] each."""
    assert attn_mask is None and dropout_p == 0.0, "one text a batch, in eval mode"
    head_dim = query.shape[-1]
    query, query_scales = quantize_heads(query, SCORE_LIMIT)
    key, key_scales = quantize_heads(key, SCORE_LIMIT)
    value, value_scales = quantize_heads(value, VALUE_LIMIT)
    scale = torch.ones(()) / square_root(torch.tensor(float(head_dim)))
    factors = query_scales * scale * torch.tensor(LOG2_E, dtype=torch.float32)
    scores = integer_product(query, key.transpose(-1, -2)) * key_scales.transpose(-1, -2)
    exps = exp2(multiply_add(scores, factors, -(scores.amax(-1, keepdim=True) * factors)))
    sums = sum_rows(exps, SHORT_SUMS)
    # A number as a tensor: torch divides a plain one by multiplying with the reciprocal.
    most = torch.clamp(torch.tensor(MOST_WEIGHTS) / sums, max=MOST_WEIGHT)
    factors = most / value_scales.amax(-2, keepdim=True)
    weights = to_integers(exps * value_scales.transpose(-1, -2), factors)
    return integer_product(weights, value) * (torch.ones(()) / (factors * sums))


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
