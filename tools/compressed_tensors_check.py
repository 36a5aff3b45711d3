#!/usr/bin/env python3
"""Quantized directories both ways between octet and the public compressed-tensors package.

    make interop

Directories that the package writes (W8A8, s8 weights per output channel; activations per token or with one fixed
scale, symmetric or not) and that `octet quantize` writes (dynamic; static without factors). For each one:

1. octet loads it, and its vectors have the same integers in every layer as a PyTorch model that reads the stored
   integers and scales as the layout defines them, with octet's order of f32 sums (tools/qat/served_floats.py).
2. The package runs it (through `transformers` where octet wrote it): each linear layer, given what that layer gets in
   1, must answer the same but for values at the edge between two integers, which the package rounds after a division
   where octet multiplies by the reciprocal.

Vectors of whole passes are not compared with the package's: a last bit decides some roundings of the first layer,
those decide more of the second, and after six layers two correct passes are as far apart as two roundings are
(docs/quantization.md).
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
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from octet_tools import ROOT, parse_arguments

sys.path.insert(0, os.path.join(ROOT, "tools", "qat"))
import bert  # noqa: E402
import served_floats  # noqa: E402
from check_arithmetic import SAME_INTEGERS, octet_vectors, torch_vectors  # noqa: E402
from stored_linear import StoredLinear  # noqa: E402

MAX_TOKENS = 256
# A row where every integer is the same differs by f32 rounding only; relative to the largest value of the layer.
SAME_ROW = 2e-6
# So far from the edge between two integers, in steps, f32 may put a value on either side of it: a scale, its reciprocal and a
# product, each within 2^-24, of up to 255 steps. In a dynamic symmetric range the largest value is always there, 127.5 steps.
EDGE = 1e-4
MIN_SAME_ROWS = 0.9  # where no value is there by construction: elsewhere it is one row in six hundred
MAX_STEPS = 2.0  # what two such values in one row can do
SIDE_FILES = ["tokenizer.json", "tokenizer_config.json", "modules.json", "sentence_bert_config.json", "1_Pooling"]


def sentences():
    with open(os.path.join(ROOT, "tests", "golden", "sentences.jsonl"), encoding="utf-8") as f:
        lines = f.readlines()[::4]
    return [json.loads(line)["text"] for line in lines]


def linear_layers(model):
    """{name: module}; `transformers` and bert.py have the same names."""
    return {name: module for name, module in model.named_modules()
            if name.startswith("encoder.layer.") and name.endswith(("query", "key", "value", "dense"))}


@torch.inference_mode()
def inputs_of_layers(encoder, token_ids):
    """{layer name: [num_tokens, in_dim]}: what each linear layer gets, all texts one after another."""
    inputs, hooks = {}, []

    def hook_of(name):
        def hook(_, arguments):
            inputs.setdefault(name, []).append(arguments[0])
        return hook

    for name, module in linear_layers(encoder).items():
        hooks.append(module.register_forward_pre_hook(hook_of(name)))
    for ids in token_ids:
        encoder(bert.PackedBatch.of([ids]))
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts) for name, parts in inputs.items()}


def make_encoder(directory, tensors):
    classifier = bert.SequenceClassifier(bert.read_config(directory), 1)
    bert.load_weights(classifier, tensors)
    return classifier.bert.eval()


def reference_encoder(directory):
    """The stored integers, scales and activation scheme, with octet's f32 arithmetic between them."""
    tensors = load_file(os.path.join(directory, "model.safetensors"))
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as f:
        groups = json.load(f)["quantization_config"]["config_groups"]
    (activations,) = (group["input_activations"] for group in groups.values())
    encoder = make_encoder(directory, tensors)
    for name in linear_layers(encoder):
        parent, _, child = name.rpartition(".")
        stored = {key: tensors.get(f"{name}.{key}") for key in StoredLinear.TENSORS}
        encoder.get_submodule(parent)._modules[child] = StoredLinear(stored, activations)
    for table in (encoder.embeddings.word_embeddings, encoder.embeddings.position_embeddings,
                  encoder.embeddings.token_type_embeddings):
        table.weight.data = table.weight.data.half().float()  # as octet keeps them
    served_floats.use_served_floats_(encoder)
    return encoder


def quantize_with_package(model, inputs, activations):
    """The model with the package's fake quantization in its forward pass; fixed ranges are those of `inputs`."""
    model = copy.deepcopy(model)
    config = QuantizationConfig(
        config_groups={"group_0": {"targets": ["Linear"],
                                   "weights": {"num_bits": 8, "symmetric": True, "strategy": "channel"},
                                   "input_activations": activations}},
        format="int-quantized", quantization_status=QuantizationStatus.FROZEN, ignore=["pooler.dense"])
    apply_quantization_config(model, config)
    for name, module in linear_layers(model).items():
        scheme = module.quantization_scheme
        scale, _ = calculate_qparams(module.weight.amin(1, keepdim=True), module.weight.amax(1, keepdim=True),
                                     scheme.weights)
        module.weight_scale.data.copy_(scale)
        if not activations["dynamic"]:
            scale, zero = calculate_qparams(inputs[name].min().view(1), inputs[name].max().view(1),
                                            scheme.input_activations)
            module.input_scale.data.copy_(scale)
            if hasattr(module, "input_zero_point"):
                module.input_zero_point.data.copy_(zero)
        module.quantization_status = QuantizationStatus.FROZEN
    return model


def save_with_package(model, source, directory):
    model = copy.deepcopy(model)
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


@torch.inference_mode()
def compare_rows(reference, package, inputs):
    """(share of rows that are the same, share that is or differs by no more than its values at edges explain, largest difference
    in steps of the input's integers times the largest weight) over all linear layers."""
    package = linear_layers(package)
    same, explained, rows, largest = 0, 0, 0, 0.0
    for name, module in linear_layers(reference).items():
        want, got = module(inputs[name]), package[name](inputs[name][None])[0]  # the package wants a batch
        apart, rounding = (want - got).abs(), SAME_ROW * want.abs().max()
        quantized = module.quantize(inputs[name])
        steps = inputs[name].double() / quantized.scale
        at_edge = ((steps - steps.floor() - 0.5).abs() <= EDGE).float()
        # Each of them may be one integer further: by its weight's size in every output.
        weights = module.channels.dequantized().abs()
        other_side = quantized.scale * (at_edge @ weights.T)
        largest = max(largest, (apart / (quantized.scale * weights.max())).max().item())
        same += int((apart <= rounding).all(1).sum())
        explained += int((apart <= rounding + other_side).all(1).sum())
        rows += len(apart)
    return same / rows, explained / rows, largest


@torch.inference_mode()
def load_with_transformers(directory):
    model = AutoModel.from_pretrained(directory).eval()
    model(torch.tensor([[101, 102]]))  # weights are unpacked by the first pass
    return model


def check(name, args, texts, token_ids, directory, package, min_same_rows=MIN_SAME_ROWS):
    """Prints a line of the table; whether all holds."""
    reference = reference_encoder(directory)
    vectors = octet_vectors(args.binary, directory, texts)
    apart = np.abs(torch_vectors(reference, token_ids) - vectors).max(1)
    same_share, explained_share, steps = compare_rows(reference, package, inputs_of_layers(reference, token_ids))
    same = int((apart <= SAME_INTEGERS).sum())
    print(f"| {name} | {same} of {len(texts)} | {same_share:.2%} | {explained_share:.2%} | {steps:.2f} |", flush=True)
    return same == len(texts) and same_share >= min_same_rows and explained_share == 1 and steps <= MAX_STEPS


def main():
    args = parse_arguments(__doc__)
    texts = sentences()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    token_ids = [tokenizer(text, truncation=True, max_length=MAX_TOKENS)["input_ids"] for text in texts]
    floats = AutoModel.from_pretrained(args.model, dtype=torch.float32).eval()
    inputs = inputs_of_layers(make_encoder(args.model, floats.state_dict()), token_ids)
    print("\n| directory | octet: texts with the stored integers' vectors | package: the same rows of linear layers | "
          "or apart by values at an edge alone | largest difference, in steps |\n|---|---|---|---|---|")
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        for dynamic in True, False:
            for symmetric in True, False:
                name = f"{'dynamic' if dynamic else 'static'} {'symmetric' if symmetric else 'asymmetric'}"
                package = quantize_with_package(floats, inputs, {
                    "num_bits": 8, "symmetric": symmetric, "strategy": "token" if dynamic else "tensor",
                    "dynamic": dynamic})
                directory = os.path.join(folder, name.replace(" ", "-"))
                save_with_package(package, args.model, directory)
                fine &= check(f"written by the package, {name}", args, texts, token_ids, directory, package,
                              min_same_rows=0 if dynamic and symmetric else MIN_SAME_ROWS)
        calibration = os.path.join(folder, "texts.jsonl")
        with open(calibration, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        for method in ["dynamic"], ["static", "--no-smoothing", "--calibration", calibration]:
            directory = os.path.join(folder, f"octet-{method[0]}")
            subprocess.run([args.binary, "quantize", args.model, "--out", directory, "--method", *method], check=True,
                           stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            fine &= check(f"written by octet, {method[0]}", args, texts, token_ids, directory,
                          load_with_transformers(directory))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
