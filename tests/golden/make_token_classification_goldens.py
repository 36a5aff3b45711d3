#!/usr/bin/env python3
"""Makes tests/golden/token_classification.json: for sentences given as words, token ids, the first token of each word and
logits of a tiny token classification model, by the reference implementation.

    make goldens          (after tools/make_goldens.py, in the same environment)

The model is the one that build/tests/model/write_tiny_model writes (random weights from a fixed seed), so that the
test makes it again and nothing but numbers is kept. Ids are those of transformers with is_split_into_words=True.
torch + transformers in f32 (recorded) and BERT from its definition in float64 (numpy) must agree before anything is
written.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, os.pardir, os.pardir)
sys.path.insert(0, os.path.join(ROOT, "tools"))

from make_goldens import GOLDEN_DIR, Float64Bert, sha256  # noqa: E402

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
# Two layers in f32; logits are of the order of 1. Anything near this is a real error.
MAX_DIFFERENCE = 1e-5

# Words that are in the tiny vocabulary, are spelled, are unknown, are split, or leave nothing.
SENTENCES = [
    ["what"], ["the", "quick", "fox"], ["The", "QUICK", "fox", ",", "the", "quick", "dog", "!"],
    ["zebra", "in", "U.S.", "isn't", "(42)"], ["\u65e5\u672c", "is", "\u6771\u4eacdog"],
    ["Caf\u00e9", "Zoe\u0308", "\u0301fox", "\u0130s"], ["[MASK]", "the", "fox[SEP]dog", "[", "CLS", "]"],
    ["\u200b", "fox", "\u00a0", "dog", "\u0301", "\ufeff"], ["deep learning", " the ", "a\tb", "fox"],
    ["\U0001f642", "@fox_dog", "#the", "fox.dog/what", "..."], ["x" * 101, "fox"], ["f" + "\u00ad" + "ox", "\x01", "is"],
    list("abcdefghijklmnopqrstuvwxyz01"),
]


def first_tokens(word_ids, num_words):
    return [word_ids.index(i) if i in word_ids else None for i in range(num_words)]


def torch_logits(model_dir, encodings):
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the directory
    import torch
    from transformers import BertForTokenClassification
    model, about = BertForTokenClassification.from_pretrained(
        model_dir, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if about["missing_keys"] or about["mismatched_keys"] or about["unexpected_keys"]:
        sys.exit(f"transformers and the model do not have the same weights: {about}")
    model.eval()
    with torch.no_grad():
        return [model(input_ids=torch.tensor([e["input_ids"]])).logits[0].numpy() for e in encodings]


def float64_logits(model_dir, encodings):
    reference = Float64Bert(model_dir)
    return [reference.linear(reference.hidden(e["input_ids"], [0] * len(e["input_ids"])), "classifier")
            for e in encodings]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writer", default=os.path.join(ROOT, "build", "tests", "model", "write_tiny_model"))
    parser.add_argument("--out", default=os.path.join(GOLDEN_DIR, "token_classification.json"))
    args = parser.parse_args()
    import tokenizers
    import torch
    import transformers
    with tempfile.TemporaryDirectory() as model_dir:
        subprocess.run([args.writer, model_dir, ",".join(LABELS)], check=True)
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=os.path.join(model_dir, "tokenizer.json"))
        encodings = [tokenizer(words, is_split_into_words=True) for words in SENTENCES]
        logits = torch_logits(model_dir, encodings)
        expected = float64_logits(model_dir, encodings)
        digest = sha256(os.path.join(model_dir, "model.safetensors"))
    difference = max(np.abs(a - b).max() for a, b in zip(logits, expected))
    if not difference < MAX_DIFFERENCE:
        sys.exit(f"the two implementations differ by {difference:.3g}, more than {MAX_DIFFERENCE:.3g}")
    items = [{"words": words, "ids": e["input_ids"], "first_tokens": first_tokens(e.word_ids(), len(words)),
              "logits": [[float(v) for v in row] for row in rows]}
             for words, e, rows in zip(SENTENCES, encodings, logits)]
    about = {
        "made_by": "tests/golden/make_token_classification_goldens.py",
        "model": f"write_tiny_model, {','.join(LABELS)}",
        "model_safetensors_sha256": digest,
        "reference": {"torch": torch.__version__, "transformers": transformers.__version__,
                      "tokenizers": tokenizers.__version__, "numpy": np.__version__,
                      "python": platform.python_version()},
        "largest_difference_to_numpy_float64": float(f"{difference:.3g}"),
    }
    with open(args.out, "w", encoding="utf-8") as f:  # an item a line
        f.write(json.dumps(about, indent=1)[:-2] + ',\n "items": [\n  ' + ",\n  ".join(map(json.dumps, items)) + "\n ]\n}\n")
    print(f"{len(items)} items, logits from {min(r.min() for r in logits):.3f} to {max(r.max() for r in logits):.3f}, "
          f"within {difference:.3g} of float64")


if __name__ == "__main__":
    main()
