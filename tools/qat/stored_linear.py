"""A linear layer from the tensors of a compressed-tensors directory (W8A8), with octet's int8 arithmetic."""
import torch
from torch import nn

from fake_quant import (MIN_SCALE, QuantizedChannels, finish_rows, integer_product, quantize_rows_static,
                        quantize_rows_u8)

S8_TO_U8 = 128  # octet's activations are u8; a stored s8 zero point is that much lower


def quantize_rows_symmetric(x):
    """x: [rows, depth], f32. Each row in [-max|x|, max|x|], 255 steps, zero point in the middle."""
    largest = x.abs().amax(1, keepdim=True)
    steps = torch.full_like(largest, 255.0)
    scale = largest / steps + largest / steps
    scale = torch.where(scale < MIN_SCALE, torch.ones_like(scale), scale)
    return quantize_rows_static(x, scale, torch.full_like(scale, S8_TO_U8))


class StoredLinear(nn.Module):
    """tensors: weight [out_dim, in_dim] s8, weight_scale [out_dim, 1], bias, and for fixed ranges input_scale and, if
    asymmetric, input_zero_point. activations: "input_activations" of the directory's config.json."""

    TENSORS = ("weight", "weight_scale", "bias", "input_scale", "input_zero_point")

    def __init__(self, tensors, activations):
        super().__init__()
        q = tensors["weight"].float()
        self.channels = QuantizedChannels(q, tensors["weight_scale"].float(), q.sum(1).to(torch.int32))
        self.bias = tensors["bias"]
        self.is_symmetric, self.is_dynamic = activations["symmetric"], activations["dynamic"]
        if not self.is_dynamic:
            zero_point = 0 if self.is_symmetric else float(tensors["input_zero_point"])
            self.fixed = (tensors["input_scale"].float().view(1, 1), torch.full((1, 1), zero_point + S8_TO_U8))

    def quantize(self, x):
        """x: [rows, in_dim], f32."""
        if not self.is_dynamic:
            return quantize_rows_static(x, *self.fixed)
        return quantize_rows_symmetric(x) if self.is_symmetric else quantize_rows_u8(x)

    def forward(self, x):
        rows = self.quantize(x)
        return finish_rows(integer_product(rows.q, self.channels.q), rows, self.channels, self.bias)
