#!/usr/bin/env python3
"""Makes tests/kernels/golden/fake_quant.json: what fake_quant.py computes for a few small linear layers. The C++ test
fake_quant_golden_test.cc wants the same bits from octet's kernels, and check_arithmetic.py the same file from here.

Arrays are base64 of little-endian f32, s32 or u8, in row order; their names end in the element type.
"""
import base64
import json
import os
import platform

import numpy as np
import torch

import fake_quant

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "tests", "kernels", "golden",
                      "fake_quant.json")


def special_rows(depth, generator):
    """[rows, depth]: both signs, one sign, halves between two integers, zeros, the ends of f32, and no numbers."""
    x = torch.randn(12, depth, generator=generator) * torch.logspace(-3, 3, 12)[:, None]
    x[1] = x[1].abs() + 0.5
    x[2] = -x[2].abs() - 0.5
    x[3] = torch.arange(depth) - 100.5
    x[3, :2] = torch.tensor([-127.0, 128.0])  # scale 1: every other value is halfway between two integers
    x[4] = 0.0
    x[5] = 1e-38
    x[6] *= 1e-38
    x[7] = torch.where(torch.arange(depth) % 2 == 0, 3e38, -3e38)
    x[8, 3] = torch.nan
    x[9, depth - 1] = -torch.inf
    return x


def special_channels(depth, generator):
    """[channels, depth]: random, zeros, too small for a scale, halves between two integers, the largest integers."""
    w = torch.randn(7, depth, generator=generator) * torch.logspace(-3, 0, 7)[:, None]
    w[1] = 0.0
    w[2] *= 1e-38
    w[3] = torch.arange(depth) - depth / 2 + 0.5
    w[3, 0] = 127.0  # scale 1
    w[4] = torch.where(torch.arange(depth) % 3 == 0, -2.0, 2.0)
    return w


def largest_sums():
    """Inputs mostly 255 and weights of 127, deep enough for a sum beyond 2^24 that f32 would round."""
    depth = fake_quant.EXACT_DEPTH + 64
    x = torch.full((1, depth), 3.0)
    x[0, ::7] = torch.linspace(0.0, 3.0, len(x[0, ::7]))
    w = torch.full((2, depth), 0.25)
    w[1, ::5] = -0.125
    return x, w


def case(name, x, weight, bias):
    """One layer: its input, weights and bias, the integers on the way, and the output."""
    rows, channels = fake_quant.quantize_rows_u8(x), fake_quant.quantize_channels_s8(weight)
    acc = fake_quant.integer_product(rows.q, channels.q)
    arrays = {
        "x_f32": x, "weight_f32": weight, "bias_f32": bias,
        "q_u8": rows.q.to(torch.uint8), "scale_f32": rows.scale, "zero_point_s32": rows.zero_point.to(torch.int32),
        "acc_s32": acc, "y_f32": fake_quant.finish_rows(acc, rows, channels, bias),
    }
    return {"name": name, "rows": len(x), "in_dim": x.shape[1], "out_dim": len(weight),
            **{key: base64.b64encode(value.contiguous().numpy().tobytes()).decode() for key, value in arrays.items()}}


def cases():
    generator = torch.Generator().manual_seed(1)
    special = (special_rows(37, generator), special_channels(37, generator), torch.randn(7, generator=generator))
    return [case("special values", *special), case("largest sums", *largest_sums(), torch.tensor([0.5, -1e4]))]


def main():
    os.makedirs(os.path.dirname(GOLDEN), exist_ok=True)
    golden = {"made_by": "tools/qat/make_arithmetic_golden.py",
              "versions": {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()},
              "cases": cases()}
    with open(GOLDEN, "w", encoding="utf-8") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
