#!/usr/bin/env python3
"""Makes tests/golden/token_classification.json: for sentences given as words, token ids, the first token of each word and
logits of a tiny token classification model (tiny_model_goldens.py). Ids are those of transformers with
is_split_into_words=True.

    make goldens          (after make_goldens.py, in the same environment)
"""
import os

from make_goldens import Float64Bert, sha256
from tiny_model_goldens import agreed_difference, parse_arguments, tiny_model, torch_logits, write_goldens

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]

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


def float64_logits(model_dir, encodings):
    reference = Float64Bert(model_dir)
    return [reference.linear(reference.hidden(e["input_ids"], [0] * len(e["input_ids"])), "classifier")
            for e in encodings]


def main():
    args = parse_arguments(__doc__.splitlines()[0], "token_classification.json")
    with tiny_model(args.writer, ",".join(LABELS)) as model_dir:
        import transformers
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=os.path.join(model_dir, "tokenizer.json"))
        encodings = [tokenizer(words, is_split_into_words=True) for words in SENTENCES]
        logits = torch_logits("BertForTokenClassification", model_dir,
                              [{"input_ids": e["input_ids"]} for e in encodings])
        difference = agreed_difference(logits, float64_logits(model_dir, encodings))
        digest = sha256(os.path.join(model_dir, "model.safetensors"))
    items = [{"words": words, "ids": e["input_ids"], "first_tokens": first_tokens(e.word_ids(), len(words)),
              "logits": rows.tolist()}
             for words, e, rows in zip(SENTENCES, encodings, logits)]
    write_goldens(args.out, {"made_by": "tools/make_token_classification_goldens.py",
                             "model": f"write_tiny_model, {','.join(LABELS)}",
                             "model_safetensors_sha256": digest}, difference, items)


if __name__ == "__main__":
    main()
