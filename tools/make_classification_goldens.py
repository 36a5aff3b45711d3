#!/usr/bin/env python3
"""Makes tests/golden/classification.json: logits of a tiny classification model by the reference implementation.

    make goldens          (after make_goldens.py, in the same environment)

The model is the one that build/tests/model/write_tiny_model writes (random weights from a fixed seed), so that the
test makes it again and nothing but numbers is kept. As in make_goldens.py, torch + transformers in f32 (recorded) and
BERT from its definition in float64 (numpy) must agree before anything is written.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile

import numpy as np

from make_goldens import GOLDEN_DIR, HERE, Float64Bert, sha256

NUM_LABELS = 3
# Two layers in f32; logits are of the order of 1. Anything near this is a real error.
MAX_DIFFERENCE = 1e-5

# Texts, and pairs in lists. Their words are in the tiny tokenizer's vocabulary as such, letter by letter, or not.
INPUTS = [
    "", "a", "what is deep learning?", "The quick fox, the quick dog!", "zebra 42", "\u65e5\u672c", "[MASK] the fox",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1",
    ["what is deep learning?", "the quick fox"], ["the quick fox", "what is deep learning?"], ["", "dog"],
    ["dog", ""], ["query", "a b c d e f g h i j k l m n o p q r s t u v"],
]


def encode(model_dir):
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
    return [tokenizer.encode(*item) if isinstance(item, list) else tokenizer.encode(item) for item in INPUTS]


def torch_logits(model_dir, encodings):
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the directory
    import torch
    from transformers import BertForSequenceClassification
    model, about = BertForSequenceClassification.from_pretrained(
        model_dir, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if about["missing_keys"] or about["mismatched_keys"]:
        sys.exit(f"transformers does not find every weight: {about}")
    model.eval()
    with torch.no_grad():
        return np.stack([model(input_ids=torch.tensor([e.ids]), token_type_ids=torch.tensor([e.type_ids]))
                         .logits[0].numpy() for e in encodings])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writer", default=os.path.join(HERE, os.pardir, "build", "tests", "model", "write_tiny_model"))
    parser.add_argument("--out", default=os.path.join(GOLDEN_DIR, "classification.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as model_dir:
        subprocess.run([args.writer, model_dir, str(NUM_LABELS)], check=True)
        encodings = encode(model_dir)
        logits = torch_logits(model_dir, encodings)
        reference = Float64Bert(model_dir)
        digest = sha256(os.path.join(model_dir, "model.safetensors"))
        expected = np.stack([reference.logits(e.ids, e.type_ids) for e in encodings])
    difference = np.abs(logits - expected).max()
    if not difference < MAX_DIFFERENCE:
        sys.exit(f"the two implementations differ by {difference:.3g}, more than {MAX_DIFFERENCE:.3g}")

    import tokenizers
    import torch
    import transformers
    softmax = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    items = [{"text": item if isinstance(item, str) else item[0],
              "pair": None if isinstance(item, str) else item[1],
              "ids": e.ids, "type_ids": e.type_ids,
              "logits": [float(v) for v in row], "softmax": [float(v) for v in scores]}
             for item, e, row, scores in zip(INPUTS, encodings, logits, softmax)]
    with open(args.out, "w", encoding="utf-8") as f:
        about = {
            "made_by": "tools/make_classification_goldens.py",
            "model": f"write_tiny_model, {NUM_LABELS} labels",
            "model_safetensors_sha256": digest,
            "reference": {"torch": torch.__version__, "transformers": transformers.__version__,
                          "tokenizers": tokenizers.__version__, "numpy": np.__version__,
                          "python": platform.python_version()},
            "largest_difference_to_numpy_float64": float(f"{difference:.3g}"),
        }
        # An item a line.
        f.write(json.dumps(about, indent=1)[:-2] + ',\n "items": [\n  ' + ",\n  ".join(map(json.dumps, items)) + "\n ]\n}\n")
    print(f"{len(items)} items, logits from {logits.min():.3f} to {logits.max():.3f}, within {difference:.3g} of float64")


if __name__ == "__main__":
    main()
