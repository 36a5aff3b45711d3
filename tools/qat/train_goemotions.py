#!/usr/bin/env python3
"""Fine-tunes a BERT on GoEmotions as a multi-label classifier, in f32 or quantization-aware for octet's int8.

    train_goemotions.py --variant f32 --model DIR --out f32            fine-tuning of an encoder
    train_goemotions.py --variant qat --from f32 --out qat             more epochs with fake quantization
    train_goemotions.py --variant f32-control --from f32 --out control the same epochs without, to compare with

Writes a directory that octet serves, with training_report.json in it. Weights are chosen by the dev split; the test
split is only read when they are final. A run that was stopped goes on after its last whole epoch.
"""
import argparse
import hashlib
import json
import os
import platform
import shutil

import numpy as np
import safetensors
import safetensors.torch
import tokenizers
import torch

import bert
import fake_quant
import goemotions
import training

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_DATA = os.path.join(HERE, os.pardir, os.pardir, os.pardir, "shared", "data", "goemotions")
DATA_FILES = ("train.tsv", "dev.tsv", "test.tsv", "labels.txt")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
# Per variant. Adding fake quantization to trained weights is a small change: a fifth of the rate that trained them.
EPOCHS = {"f32": 2, "qat": 1, "f32-control": 1}
LEARNING_RATE = {"f32": 1.5e-4, "qat": 3e-5, "f32-control": 3e-5}


def positive(text):
    """argparse type: an integer above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not an integer above 0")
    return int(text)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=EPOCHS, required=True)
    parser.add_argument("--model", help="start of f32: a Hugging Face directory of a BERT encoder")
    parser.add_argument("--from", dest="start", help="start of qat and f32-control: an --out of f32")
    parser.add_argument("--out", required=True, help="directory to make; OUT.partial holds an unfinished run")
    parser.add_argument("--data", default=DEFAULT_DATA, help="folder with train.tsv, dev.tsv, test.tsv, labels.txt")
    parser.add_argument("--activations", choices=("dynamic", "static"), default="dynamic",
                        help="qat: ranges per token, or one fixed range per layer input")
    parser.add_argument("--epochs", type=positive)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--batch-size", type=positive, default=32)
    parser.add_argument("--max-tokens", type=positive, default=64, help="longer texts are cut")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="part of what fixes the result's bits")
    parser.add_argument("--max-texts", type=positive, help="only the first of each split: for trying the tools")
    args = parser.parse_args()
    if (args.variant == "f32") != (args.start is None) or (args.variant == "f32") != (args.model is not None):
        parser.error("--variant f32 starts from --model, qat and f32-control from --from")
    if args.activations == "static" and args.variant != "qat":
        parser.error("--activations static is for --variant qat")
    args.start = args.start or args.model
    args.out = os.path.normpath(args.out)
    args.epochs = args.epochs or EPOCHS[args.variant]
    args.learning_rate = args.learning_rate or LEARNING_RATE[args.variant]
    for path in (*(os.path.join(args.start, name) for name in ("config.json", "model.safetensors", *TOKENIZER_FILES)),
                 *(os.path.join(args.data, name) for name in DATA_FILES)):
        if not os.path.exists(path):
            parser.error(f"no file {path}")
    if os.path.exists(args.out):
        parser.error(f"{args.out} exists; remove it or choose another --out")
    return args


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def identity_of(args):
    """What decides the result: settings, digests of data and starting weights, versions."""
    return {
        "variant": args.variant, "activations": args.activations if args.variant == "qat" else "f32",
        "epochs": args.epochs, "batch_size": args.batch_size, "learning_rate": args.learning_rate, "seed": args.seed,
        "max_tokens": args.max_tokens, "max_texts": args.max_texts, "threads": args.threads,
        "starting_weights_sha256": sha256(os.path.join(args.start, "model.safetensors")),
        "data_sha256": {name: sha256(os.path.join(args.data, name)) for name in DATA_FILES},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                     "tokenizers": tokenizers.__version__, "safetensors": safetensors.__version__},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def load_split(args, name, num_labels):
    texts, labels = goemotions.read_split(args.data, name, num_labels)
    token_ids = goemotions.tokenize(args.start, texts[:args.max_texts], args.max_tokens)
    return training.Split(token_ids, labels[:args.max_texts])


def evaluated(model, dev, test):
    """The threshold is the best on dev; test is scored with it."""
    threshold, dev_f1 = goemotions.best_threshold(training.scores(model, dev.token_ids), dev.labels.bool().numpy())
    test_f1 = goemotions.micro_f1(training.scores(model, test.token_ids), test.labels.bool().numpy(), threshold)
    return {"threshold": threshold, "dev_micro_f1": round(dev_f1, 5), "test_micro_f1": round(test_f1, 5)}


def metrics_of(args, config, tensors, model, dev, test):
    """The exported weights in f32 and in octet's dynamic int8; static ranges as trained."""
    metrics = {}
    for arithmetic in ("f32", "int8"):
        exported = bert.SequenceClassifier(config, dev.labels.shape[1])
        bert.load_weights(exported, tensors)
        if arithmetic == "int8":
            fake_quant.quantize_encoder_(exported)
        metrics[arithmetic] = evaluated(exported, dev, test)
    if args.activations == "static":
        metrics["int8_static"] = evaluated(model, dev, test)
    return metrics


def write_json(value, path):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def export(args, config, labels, tensors, extras):
    """Makes args.out in one step, from a folder that was filled before. extras: file name to JSON value."""
    folder = os.path.join(args.out + ".partial", "export")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in TOKENIZER_FILES:
        shutil.copyfile(os.path.join(args.start, name), os.path.join(folder, name))
    classifier = {"architectures": ["BertForSequenceClassification"], "problem_type": "multi_label_classification",
                  "id2label": {str(i): label for i, label in enumerate(labels)},
                  "label2id": {label: i for i, label in enumerate(labels)}}
    write_json({**config, **classifier}, os.path.join(folder, "config.json"))
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:  # save_file would make it private to its owner
        f.write(safetensors.torch.save(tensors, metadata={"format": "pt"}))
    for name, value in extras.items():
        write_json(value, os.path.join(folder, name))
    os.rename(folder, args.out)
    shutil.rmtree(args.out + ".partial")


def static_ranges(model):
    """The range that each linear layer's input was trained with, by the layer's name."""
    ranges = {}
    for name, module in model.named_modules():
        if isinstance(module, fake_quant.FakeQuantLinear):
            scale, zero_point = fake_quant.range_to_u8(module.observer.low, module.observer.high)
            ranges[name] = {"scale": scale.item(), "zero_point": int(zero_point)}
    return ranges


def main():
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    identity = identity_of(args)
    labels = goemotions.read_labels(args.data)
    config = bert.read_config(args.start)
    if args.variant != "f32" and list(config.get("id2label", {}).values()) != labels:
        raise SystemExit("--from: the labels in config.json are not those of labels.txt; start from an --out of f32")
    train, dev = (load_split(args, name, len(labels)) for name in ("train", "dev"))
    model = bert.SequenceClassifier(config, len(labels))
    initialized = bert.load_weights(
        model, safetensors.torch.load_file(os.path.join(args.start, "model.safetensors")))
    if args.variant == "qat":
        fake_quant.quantize_encoder_(model, static=args.activations == "static")
    num_tokens = sum(map(len, train.token_ids))
    print(f"{len(train.token_ids)} texts, {num_tokens / len(train.token_ids):.1f} tokens on average", flush=True)

    os.makedirs(args.out + ".partial", exist_ok=True)
    settings = training.Settings(args.epochs, args.batch_size, args.learning_rate, args.seed)
    history = training.train_epochs(model, train, dev, settings, os.path.join(args.out + ".partial", "checkpoint.pt"),
                                    identity)

    tensors = {name: parameter.detach().contiguous() for name, parameter in model.named_parameters()}
    test = load_split(args, "test", len(labels))
    report = {**identity, "made_by": "tools/qat/train_goemotions.py", "initialized_tensors": initialized,
              "train_texts": len(train.token_ids), "train_tokens_per_epoch": num_tokens, "epochs_run": history,
              "metrics": metrics_of(args, config, tensors, model, dev, test)}
    extras = {"training_report.json": report}
    if args.activations == "static":
        extras["static_ranges.json"] = static_ranges(model)
    export(args, config, labels, tensors, extras)
    print(json.dumps(report["metrics"], indent=2))


if __name__ == "__main__":
    main()
