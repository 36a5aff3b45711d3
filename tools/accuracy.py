#!/usr/bin/env python3
"""Accuracy of every precision, through `octet embed`: on STS-B (test split, 1,379 pairs) where its file is
there, and on the golden sentences of tests/golden.

    make accuracy [ARGS="--stsb path/to/stsbenchmark.tsv"]

Spearman: rank correlation of the cosine of the two sentences with the human score, times 100. Cosine to
f32: of the same sentence's vectors. Fails when a bound is not met.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from octet_tools import DEFAULT_MODEL, ROOT

GOLDEN_DIR = os.path.join(ROOT, "tests", "golden")
DEFAULT_STSB = os.path.join(ROOT, os.pardir, "shared", "data", "stsbenchmark-en", "stsbenchmark.tsv")

F32_SPEARMAN = 82.03  # measured with torch in f32, mean pooling, at most 256 tokens
SPEARMAN_SLACK = 0.2
INT8_COSINE_MEAN, INT8_COSINE_MIN = 0.9985, 0.990


def read_pairs(path, split="test"):
    """[(score, sentence 1, sentence 2)]"""
    with open(path, encoding="utf-8", newline="") as f:
        return [(float(row["score"]), row["sentence1"], row["sentence2"])
                for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE) if row["split"] == split]


def ranks(values):
    """1-based, ties share their mean rank."""
    values = np.asarray(values)
    order = values.argsort(kind="stable")
    result = np.empty(len(values))
    _, first, count = np.unique(values[order], return_index=True, return_counts=True)
    result[order] = np.repeat(first + (count + 1) / 2, count)
    return result


def spearman(a, b):
    return np.corrcoef(ranks(a), ranks(b))[0, 1]


def cosines(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def embed(binary, model, precision, texts):
    """[num_texts, dimensions] float64, or None and the program's error line."""
    with tempfile.TemporaryDirectory() as folder:
        lines, out = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.npy")
        with open(lines, "w", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        done = subprocess.run([binary, "embed", "--model", model, "--precision", precision, "--npy", out, lines],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return None, done.stderr.strip().splitlines()[-1]
        return np.load(out).astype(np.float64), ""


def stsb_table(args):
    """Prints it; returns what is out of bounds."""
    scores, first, second = zip(*read_pairs(args.stsb))
    print(f"STS-B test, {len(scores)} pairs\n\n| precision | Spearman | cosine to f32, mean | min |\n|---|---|---|---|")
    reference, failures = None, []
    for precision in args.precisions.split(","):
        vectors, error = embed(args.binary, args.model, precision, [*first, *second])
        if vectors is None:
            print(f"| {precision} | {error} | | |")
            if precision != "bf16":  # not every CPU has it
                failures.append(error)
            continue
        assert len(vectors) == 2 * len(scores), f"{len(vectors)} vectors for {2 * len(scores)} lines"
        reference = vectors if reference is None else reference
        score = 100 * spearman(scores, cosines(vectors[:len(first)], vectors[len(first):]))
        cosine = cosines(vectors, reference)
        print(f"| {precision} | {score:.2f} | {cosine.mean():.5f} | {cosine.min():.5f} |")
        if abs(score - F32_SPEARMAN) > SPEARMAN_SLACK:
            failures.append(f"{precision}: Spearman {score:.2f}, wanted {F32_SPEARMAN} +- {SPEARMAN_SLACK}")
        if precision == "int8" and not (cosine.mean() >= INT8_COSINE_MEAN and cosine.min() >= INT8_COSINE_MIN):
            failures.append(f"int8: cosine below {INT8_COSINE_MEAN} mean or {INT8_COSINE_MIN} min")
    return failures


def golden_table(args):
    """Prints it. The bounds are those of tests/golden and are gated there."""
    with open(os.path.join(GOLDEN_DIR, "sentences.jsonl"), encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    reference = np.load(os.path.join(GOLDEN_DIR, "embeddings.npy")).astype(np.float64)
    print(f"\nGolden sentences, {len(texts)}, against torch in f32\n\n"
          "| precision | cosine, mean | min | largest difference |\n|---|---|---|---|")
    for precision in args.precisions.split(","):
        vectors, error = embed(args.binary, args.model, precision, texts)
        if vectors is None:
            print(f"| {precision} | {error} | | |")
            continue
        cosine = cosines(vectors, reference)
        print(f"| {precision} | {cosine.mean():.5f} | {cosine.min():.5f} | {np.abs(vectors - reference).max():.2g} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--stsb", default=DEFAULT_STSB)
    parser.add_argument("--precisions", default="f32,bf16,int8", help="f32 first: the others are compared with it")
    args = parser.parse_args()
    failures = []
    if os.path.exists(args.stsb):
        failures = stsb_table(args)
    else:
        print(f"SKIPPED: no STS-B file at {os.path.normpath(args.stsb)} (--stsb FILE)")
    golden_table(args)
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
