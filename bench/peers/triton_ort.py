#!/usr/bin/env python3
"""Triton with ONNX Runtime behind it, as a peer of octet's server: texts in, normalized mean-pooled vectors out.

    python triton_ort.py GRAPH.onnx MODEL_DIR PORT     (an environment with nvidia-pytriton, onnxruntime, tokenizers)

Triton's own gRPC server and dynamic batcher, with a Python function that tokenizes, pads to the batch's longest text and
runs the graph on two threads. Model "encoder", input `text` BYTES [n, 1], output `embedding` FP32 [n, dim]. Says "ready"
on standard output and serves until it is ended.
"""
import os
import sys
import time

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from tokenizers import Tokenizer

MAX_BATCH = 32
MAX_TOKENS = 256


def main():
    graph, model_dir, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    tokenizer = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()

    @batch
    def encode(text):
        encodings = tokenizer.encode_batch([t[0].decode() for t in text])
        ids = np.array([e.ids for e in encodings], np.int64)
        mask = np.array([e.attention_mask for e in encodings], np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = session.run(None, {n: inputs[n] for n in names})[0]
        pooled = (states * mask[:, :, None]).sum(1)
        return {"embedding": (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)}

    config = TritonConfig(grpc_port=port, http_port=port + 1, metrics_port=port + 2, log_verbose=0)
    with Triton(config=config) as triton:
        triton.bind(model_name="encoder", infer_func=encode, inputs=[Tensor(name="text", dtype=bytes, shape=(1,))],
                    outputs=[Tensor(name="embedding", dtype=np.float32, shape=(-1,))],
                    config=ModelConfig(max_batch_size=MAX_BATCH, batcher=DynamicBatcher(max_queue_delay_microseconds=0)))
        triton.run()
        print("ready", flush=True)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
