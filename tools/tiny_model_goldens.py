"""What the makers of golden files about a tiny model share: the model that build/tests/model/write_tiny_model writes
(random weights from a fixed seed), so that the test makes it again and nothing but numbers is kept; its answers by
torch + transformers in f32, which must agree with BERT from its definition in float64 (numpy) before they are written.
"""
import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile

import numpy as np

from make_goldens import GOLDEN_DIR, HERE

# Two layers in f32; logits are of the order of 1. Anything near this is a real error.
MAX_DIFFERENCE = 1e-5


def parse_arguments(description, file_name):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--writer", default=os.path.join(HERE, os.pardir, "build", "tests", "model", "write_tiny_model"))
    parser.add_argument("--out", default=os.path.join(GOLDEN_DIR, file_name))
    return parser.parse_args()


@contextlib.contextmanager
def tiny_model(writer, labels):
    """Its directory. `labels`: how many, or their names with commas between."""
    with tempfile.TemporaryDirectory() as model_dir:
        subprocess.run([writer, model_dir, labels], check=True)
        yield model_dir


def torch_logits(class_name, model_dir, inputs):
    """Logits of each of `inputs`, the keyword arguments of a call with lists of numbers in them."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the directory
    import torch
    import transformers
    model, about = getattr(transformers, class_name).from_pretrained(
        model_dir, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if about["missing_keys"] or about["mismatched_keys"] or about["unexpected_keys"]:
        sys.exit(f"transformers and the model do not have the same weights: {about}")
    model.eval()
    with torch.no_grad():
        return [model(**{key: torch.tensor([ids]) for key, ids in given.items()}).logits[0].numpy() for given in inputs]


def agreed_difference(logits, expected):
    """The largest; ends the program if it is no rounding."""
    difference = max(np.abs(a - b).max() for a, b in zip(logits, expected))
    if not difference < MAX_DIFFERENCE:
        sys.exit(f"the two implementations differ by {difference:.3g}, more than {MAX_DIFFERENCE:.3g}")
    return difference


def write_goldens(path, about, difference, items):
    """`about`: {"made_by", "model", "model_safetensors_sha256"}; the rest is added. An item a line."""
    import tokenizers
    import torch
    import transformers
    about = about | {
        "reference": {"torch": torch.__version__, "transformers": transformers.__version__,
                      "tokenizers": tokenizers.__version__, "numpy": np.__version__,
                      "python": platform.python_version()},
        "largest_difference_to_numpy_float64": float(f"{difference:.3g}"),
    }
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps(about, indent=1)[:-2] + ',\n "items": [\n  ' + ",\n  ".join(map(json.dumps, items)) + "\n ]\n}\n")
    print(f"{path}: {len(items)} items, within {difference:.3g} of float64")
