#!/usr/bin/env python3
"""Makes tests/golden/classification.json: logits of a tiny classification model (tiny_model_goldens.py).

    make goldens          (after make_goldens.py, in the same environment)
"""
import os

from make_goldens import Float64Bert, sha256
from tiny_model_goldens import agreed_difference, parse_arguments, tiny_model, torch_logits, write_goldens

NUM_LABELS = 3

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


def softmax(logits):
    import torch
    return torch.softmax(torch.from_numpy(logits), dim=0).tolist()


def main():
    args = parse_arguments(__doc__.splitlines()[0], "classification.json")
    with tiny_model(args.writer, str(NUM_LABELS)) as model_dir:
        encodings = encode(model_dir)
        logits = torch_logits("BertForSequenceClassification", model_dir,
                              [{"input_ids": e.ids, "token_type_ids": e.type_ids} for e in encodings])
        reference = Float64Bert(model_dir)
        difference = agreed_difference(logits, [reference.logits(e.ids, e.type_ids) for e in encodings])
        digest = sha256(os.path.join(model_dir, "model.safetensors"))
    items = [{"text": item if isinstance(item, str) else item[0],
              "pair": None if isinstance(item, str) else item[1],
              "ids": e.ids, "type_ids": e.type_ids, "logits": row.tolist(), "softmax": softmax(row)}
             for item, e, row in zip(INPUTS, encodings, logits)]
    write_goldens(args.out, {"made_by": "tools/make_classification_goldens.py",
                             "model": f"write_tiny_model, {NUM_LABELS} labels",
                             "model_safetensors_sha256": digest}, difference, items)


if __name__ == "__main__":
    main()
