"""The list of peers: name -> (module, class, options, environment, python).

environment: variables set before the worker starts; python: name of the environment variable
that holds another interpreter for this peer (None: the one that runs the driver).
"""
import importlib

PEERS = {}


def peer(name, module, cls, env=None, python=None, **options):
    PEERS[name] = (module, cls, options, env or {}, python)


def make(name, command=None, outside=False):
    """The adapter of a peer; with a command, of a program that was given on the command line."""
    if command:
        return importlib.import_module("adapters.exec_adapter").ExecAdapter(command=command, outside=outside)
    module, cls, options, _, _ = PEERS[name]
    return getattr(importlib.import_module("adapters." + module), cls)(**options)


SKIP_SINGLE = ("W1", "W2")

# --- PyTorch ----------------------------------------------------------------------------------
T = "torch_adapters"
peer("torch-fp32", T, "TorchAdapter")
peer("torch-fp32-compile", T, "TorchAdapter", compile=True)
peer("torch-bf16", T, "TorchAdapter", dtype="autocast")
peer("torch-bf16-cast", T, "TorchAdapter", dtype="bf16")
peer("torch-bf16-compile", T, "TorchAdapter", dtype="bf16", compile=True)
peer("torch-int8-x86", T, "TorchAdapter", quant="x86")
peer("torch-int8-x86-pc", T, "TorchAdapter", quant="x86", per_channel=True)
peer("torch-int8-fbgemm", T, "TorchAdapter", quant="fbgemm")
peer("torch-int8-onednn", T, "TorchAdapter", quant="onednn")
peer("torch-pt2e-int8-dyn", T, "Pt2eAdapter", dynamic=True)
peer("torch-pt2e-int8-static", T, "Pt2eAdapter", dynamic=False)
peer("torchao-int8", T, "TorchAdapter", quant="torchao")
peer("torchao-int8-compile", T, "TorchAdapter", quant="torchao", compile=True)
# AMD's plugin wants the torch version that it was built for, hence an interpreter of its own.
peer("zentorch-fp32", T, "TorchAdapter", python="PEERS_ZEN_PYTHON", compile="zentorch")
peer("zentorch-bf16", T, "TorchAdapter", python="PEERS_ZEN_PYTHON", dtype="bf16", compile="zentorch")

# --- ONNX Runtime -------------------------------------------------------------------------------
R = "ort_adapters"
peer("ort-fp32", R, "OrtAdapter", graph="fp32")
peer("ort-fp32-opt", R, "OrtAdapter", graph="fp32-opt")
peer("ort-int8", R, "OrtAdapter", graph="int8")
peer("ort-int8-opt", R, "OrtAdapter", graph="int8-opt")
peer("ort-int8-opt-x2", R, "OrtAdapter", graph="int8-opt", parallel=2, skip_cases=SKIP_SINGLE)
peer("ort-int8-qdq", R, "OrtAdapter", graph="int8-qdq")
peer("ort-nbits8", R, "OrtAdapter", graph="nbits8")

# --- OpenVINO -----------------------------------------------------------------------------------
V = "ov_adapters"
peer("ov-fp32", V, "OvAdapter", graph="fp32", precision="f32")
peer("ov-bf16", V, "OvAdapter", graph="fp32", precision="bf16")
peer("ov-bf16-tput", V, "OvAdapter", graph="fp32", precision="bf16", hint="THROUGHPUT", skip_cases=SKIP_SINGLE)
peer("ov-int8", V, "OvAdapter", graph="int8", precision="f32")
peer("ov-int8-bf16", V, "OvAdapter", graph="int8", precision="bf16")
peer("ov-int8-tput", V, "OvAdapter", graph="int8", precision="f32", hint="THROUGHPUT", skip_cases=SKIP_SINGLE)
peer("ov-int8-static", V, "OvAdapter", graph="int8", precision="f32", static=True, skip_cases=("W4",))
peer("ov-int8-dq", V, "OvAdapter", graph="w8", precision="f32", dq_group=64)
peer("ov-w8-nodq", V, "OvAdapter", graph="w8", precision="f32", dq_group=0)

# --- CTranslate2 --------------------------------------------------------------------------------
C = "ct2_adapters"
MKL = {"CT2_USE_MKL": "1"}
peer("ct2-fp32", C, "Ct2Adapter", compute="float32")
peer("ct2-fp32-mkl", C, "Ct2Adapter", compute="float32", env=MKL)
peer("ct2-bf16", C, "Ct2Adapter", compute="bfloat16")
peer("ct2-int8", C, "Ct2Adapter", compute="int8_float32")
peer("ct2-int8-mkl", C, "Ct2Adapter", compute="int8_float32", env=MKL)
peer("ct2-int8-bf16", C, "Ct2Adapter", compute="int8_bfloat16")
peer("ct2-int8-x2", C, "Ct2Adapter", compute="int8_float32", parallel=2, skip_cases=SKIP_SINGLE)

# --- llama.cpp ----------------------------------------------------------------------------------
L = "llama_adapters"
for q in ("f32", "bf16", "q8_0"):
    peer("llama-" + q, L, "LlamaAdapter", ftype=q)

# --- Sets -----------------------------------------------------------------------------------------
# The fastest variants of every library, by the precision of their linear layers: the peers of published tables.
SETS = {
    "int8": ("ov-int8", "ov-int8-bf16", "ov-int8-static", "ov-int8-tput", "ort-int8", "ort-int8-opt", "ct2-int8", "ct2-int8-x2",
             "torch-pt2e-int8-static", "torchao-int8-compile", "llama-q8_0"),
    "f32": ("ov-fp32", "ort-fp32", "ort-fp32-opt", "ct2-fp32", "torch-fp32-compile"),
    "bf16": ("ov-bf16", "ov-bf16-tput", "torch-bf16-compile"),
}
