#!/usr/bin/env python3
"""Logits of a classifier as octet serves it, for check_arithmetic.py: JSON {"texts": [...]} on standard input, float32
[num_texts, num_labels] to an .npy file. Runs in .venv, where the gRPC client is.

    .venv/bin/python tools/qat/served_logits.py MODEL_DIR OUT.npy     (OCTET_BINARY: build/octet)
"""
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
from octet_server import OctetServer  # noqa: E402
from stubs import octet_pb2  # noqa: E402

TEXTS_PER_CALL = 64


def main():
    model, out = sys.argv[1:]
    texts = json.load(sys.stdin)["texts"]
    rows = []
    with OctetServer(models={"classifier": model}) as server:
        for begin in range(0, len(texts), TEXTS_PER_CALL):
            inputs = [octet_pb2.TextInput(text=text) for text in texts[begin:begin + TEXTS_PER_CALL]]
            answer = server.stub().Classify(
                octet_pb2.ClassifyRequest(inputs=inputs, truncate=True, with_logits=True), timeout=60)
            rows += [np.array(c.logits, "<f4") for c in answer.classifications]
    np.save(out, np.stack(rows))


if __name__ == "__main__":
    main()
