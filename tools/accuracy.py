#!/usr/bin/env python3
"""Accuracy of every precision on STS-B (test split, 1,379 pairs), through `octet embed`.

    make accuracy [STSB=path/to/stsbenchmark.tsv]

Spearman: rank correlation of the cosine of the two sentences with the human score, times 100. Cosine to
f32: of the same sentence's vectors, over all 2,758 sentences. Fails when int8 leaves its bounds.
"""
import argparse
import csv
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir))
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


def embed(binary, model, precision, sentences):
    with tempfile.TemporaryDirectory() as folder:
        lines, out = os.path.join(folder, "in.txt"), os.path.join(folder, "out.npy")
        with open(lines, "w", encoding="utf-8") as f:
            f.writelines(s + "\n" for s in sentences)
        with open(lines, encoding="utf-8") as f:
            done = subprocess.run([binary, "embed", "--model", model, "--precision", precision, "--npy", out],
                                  stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            return None, done.stderr.strip()
        return np.load(out).astype(np.float64), ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--stsb", default=DEFAULT_STSB)
    parser.add_argument("--precisions", default="f32,bf16,int8")
    args = parser.parse_args()
    if not os.path.exists(args.stsb):
        sys.exit(f"no STS-B file at {os.path.normpath(args.stsb)}: give --stsb stsbenchmark.tsv")
    scores, first, second = zip(*read_pairs(args.stsb))
    print(f"STS-B test, {len(scores)} pairs\n\n| precision | Spearman | cosine to f32, mean | min |\n|---|---|---|---|")
    reference, failures = None, []
    for precision in args.precisions.split(","):
        vectors, error = embed(args.binary, args.model, precision, [*first, *second])
        if vectors is None:
            print(f"| {precision} | not on this CPU | | |" if precision == "bf16" else f"| {precision} | failed | | |")
            if precision != "bf16":
                failures.append(error)
            continue
        assert vectors.shape[0] == 2 * len(scores), f"{vectors.shape[0]} vectors for {2 * len(scores)} lines"
        score = 100 * spearman(scores, cosines(vectors[:len(first)], vectors[len(first):]))
        reference = vectors if precision == "f32" else reference
        cosine = cosines(vectors, reference) if reference is not None else np.array([np.nan])
        print(f"| {precision} | {score:.2f} | {cosine.mean():.5f} | {cosine.min():.5f} |")
        if abs(score - F32_SPEARMAN) > SPEARMAN_SLACK:
            failures.append(f"{precision}: Spearman {score:.2f}, wanted {F32_SPEARMAN} +- {SPEARMAN_SLACK}")
        if precision == "int8" and not (cosine.mean() >= INT8_COSINE_MEAN and cosine.min() >= INT8_COSINE_MIN):
            failures.append(f"int8: cosine below {INT8_COSINE_MEAN} mean or {INT8_COSINE_MIN} min")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
