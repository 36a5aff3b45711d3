#!/usr/bin/env python3
"""Quantized directories both ways between octet and the public compressed-tensors package.

    make interop

1. The package quantizes the default model (W8A8, s8 weights per output channel; activations per token, symmetric and
   asymmetric, and with one fixed scale) and writes it; octet must load the directory and give the vectors that the
   package's own forward pass gives.
2. `octet quantize` writes directories (dynamic; static without factors); `transformers` must load them through the package and give the
   vectors that octet gives.

Vectors are compared by cosine: both sides quantize with the same integers up to ties, but sum floats in other orders.
"""
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import QuantizationConfig, QuantizationStatus, apply_quantization_config
from compressed_tensors.quantization.utils import calculate_qparams
from transformers import AutoModel, AutoTokenizer

from octet_tools import ROOT, parse_arguments

# One rounding that falls the other way changes a cosine by less than this; f32 against int8 is 1.4e-3 away.
LIMIT = 3e-4
SIDE_FILES = ["tokenizer.json", "tokenizer_config.json", "modules.json", "sentence_bert_config.json", "1_Pooling"]


def sentences():
    with open(os.path.join(ROOT, "tests", "golden", "sentences.jsonl"), encoding="utf-8") as f:
        lines = f.readlines()[::4]  # the package takes a third of a second a text
    return [json.loads(line)["text"] for line in lines]


def vectors_of(model, tokenizer, texts):
    """Mean-pooled, normalized, [num_texts, dim]: one text at a time, since padding is part of a fixed range."""
    rows = []
    with torch.no_grad():
        for text in texts:
            batch = tokenizer([text], return_tensors="pt", truncation=True, max_length=256)
            rows.append(model(**batch).last_hidden_state[0].mean(0).double().numpy())
    rows = np.stack(rows)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def octet_vectors(binary, directory, texts):
    with tempfile.TemporaryDirectory() as folder:
        lines, out = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.npy")
        with open(lines, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        subprocess.run([binary, "embed", "--model", directory, "--npy", out, lines], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return np.load(out).astype(np.float64)


def linear_layers(model):
    return {name: module for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and ".layer." in name}


def input_ranges(model, tokenizer, texts):
    """{layer name: (min, max)} of each linear layer's input on `texts`; query, key and value have the same."""
    ranges, hooks = {}, []

    def hook_of(name):
        def hook(_, inputs):
            low, high = inputs[0].min().item(), inputs[0].max().item()
            before = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(low, before[0]), max(high, before[1]))
        return hook

    for name, module in linear_layers(model).items():
        hooks.append(module.register_forward_pre_hook(hook_of(name)))
    vectors_of(model, tokenizer, texts)
    for hook in hooks:
        hook.remove()
    return ranges


def quantize_with_package(model, tokenizer, activations, texts):
    """The model with the package's fake quantization in its forward pass."""
    ranges = input_ranges(model, tokenizer, texts)
    model = copy.deepcopy(model)
    config = QuantizationConfig(
        config_groups={"group_0": {"targets": ["Linear"],
                                   "weights": {"num_bits": 8, "symmetric": True, "strategy": "channel"},
                                   "input_activations": activations}},
        format="int-quantized", quantization_status=QuantizationStatus.FROZEN, ignore=["pooler.dense"])
    apply_quantization_config(model, config)
    for name, module in linear_layers(model).items():
        scheme = module.quantization_scheme
        scale, zero = calculate_qparams(module.weight.amin(1, keepdim=True), module.weight.amax(1, keepdim=True),
                                        scheme.weights)
        module.weight_scale.data.copy_(scale)
        if not activations["dynamic"]:
            low, high = (torch.tensor([value]) for value in ranges[name])
            scale, zero = calculate_qparams(low, high, scheme.input_activations)
            module.input_scale.data.copy_(scale)
            if hasattr(module, "input_zero_point"):
                module.input_zero_point.data.copy_(zero)
        module.quantization_status = QuantizationStatus.FROZEN
    return model


def save_with_package(model, source, directory):
    compressor = ModelCompressor.from_pretrained_model(model, "int-quantized")
    compressor.compress_model(model)
    model.save_pretrained(directory)
    compressor.update_config(directory)
    for name in SIDE_FILES:
        path = os.path.join(source, name)
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(directory, name))
        elif os.path.exists(path):
            shutil.copy(path, directory)


def report(name, expected, actual):
    loss = 1 - (expected * actual).sum(1)
    print(f"{name:58s} 1 - cosine: mean {loss.mean():.1e}, largest {loss.max():.1e}")
    return loss.mean() <= LIMIT


def main():
    args = parse_arguments(__doc__)
    torch.manual_seed(0)
    texts = sentences()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    floats = AutoModel.from_pretrained(args.model, dtype=torch.float32).eval()
    fine = report("f32 against octet's dynamic int8, for comparison", vectors_of(floats, tokenizer, texts),
                  octet_vectors(args.binary, args.model, texts)) or True
    schemes = {"dynamic symmetric": {"num_bits": 8, "symmetric": True, "strategy": "token", "dynamic": True},
               "dynamic asymmetric": {"num_bits": 8, "symmetric": False, "strategy": "token", "dynamic": True},
               "static symmetric": {"num_bits": 8, "symmetric": True, "strategy": "tensor", "dynamic": False},
               "static asymmetric": {"num_bits": 8, "symmetric": False, "strategy": "tensor", "dynamic": False}}
    with tempfile.TemporaryDirectory() as folder:
        for name, activations in schemes.items():
            model = quantize_with_package(floats, tokenizer, activations, texts[:100])
            expected = vectors_of(model, tokenizer, texts)
            directory = os.path.join(folder, name.replace(" ", "-"))
            save_with_package(model, args.model, directory)
            fine &= report(f"written by the package, {name}", expected, octet_vectors(args.binary, directory, texts))
        calibration = os.path.join(folder, "texts.jsonl")
        with open(calibration, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        for method in ["dynamic"], ["static", "--no-smoothing", "--calibration", calibration]:
            ours = os.path.join(folder, f"octet-{method[0]}")
            subprocess.run([args.binary, "quantize", args.model, "--out", ours, "--method", *method], check=True)
            loaded = AutoModel.from_pretrained(ours).eval()
            fine &= report(f"written by octet ({method[0]}), loaded by transformers",
                           octet_vectors(args.binary, ours, texts), vectors_of(loaded, tokenizer, texts))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
