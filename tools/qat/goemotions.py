"""GoEmotions (Demszky et al. 2020) as text, multi-hot labels and token ids; batches of texts of like length; micro-F1.
Split files have no header and three columns: text, comma-separated label indices, id.
"""
import os

import numpy as np
import torch
from tokenizers import Tokenizer

# Texts sorted by length at a time: enough that a batch needs almost no padding, few enough that the order stays random.
BATCHES_PER_BUCKET = 50
THRESHOLDS = np.arange(0.05, 0.951, 0.01)


def read_labels(data_dir):
    with open(os.path.join(data_dir, "labels.txt"), encoding="utf-8") as f:
        return f.read().split()


def read_split(data_dir, split, num_labels):
    """(texts, labels): a list, and [num_texts, num_labels] f32 of zeros and ones."""
    texts, rows = [], []
    with open(os.path.join(data_dir, split + ".tsv"), encoding="utf-8", newline="\n") as f:
        for number, line in enumerate(f, 1):
            columns = line.rstrip("\r\n").split("\t")
            parts = columns[1].split(",") if len(columns) == 3 else []
            if not parts or not all(part.isdecimal() and int(part) < num_labels for part in parts):
                raise SystemExit(f"{split}.tsv line {number}: expected text, label indices below {num_labels}, id")
            indices = [int(part) for part in parts]
            texts.append(columns[0])
            rows.append(indices)
    labels = torch.zeros(len(texts), num_labels)
    for row, indices in zip(labels, rows):
        row[indices] = 1.0
    return texts, labels


def tokenize(model_dir, texts, max_tokens):
    """Token ids with special tokens, cut to max_tokens; one list per text."""
    tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def shuffled_batches(lengths, batch_size, seed):
    """Lists of indices: every index once, batches of texts of like length in random order."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(lengths), generator=generator).tolist()
    bucket, batches = batch_size * BATCHES_PER_BUCKET, []
    for begin in range(0, len(order), bucket):
        part = sorted(order[begin:begin + bucket], key=lambda index: lengths[index])
        batches += [part[i:i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def micro_f1(scores, labels, threshold):
    """scores: [num_texts, num_labels] in 0..1; labels: the same shape, bool. F1 of all decisions together."""
    chosen = scores >= threshold
    true_positives = int((chosen & labels).sum())
    return 2 * true_positives / max(1, int(chosen.sum()) + int(labels.sum()))


def best_threshold(scores, labels):
    """(threshold, micro-F1): the best single threshold of THRESHOLDS, the lowest of equals."""
    values = [micro_f1(scores, labels, threshold) for threshold in THRESHOLDS]
    best = int(np.argmax(values))
    return round(float(THRESHOLDS[best]), 2), values[best]
