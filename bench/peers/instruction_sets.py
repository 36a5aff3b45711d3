"""Keeps peers to an instruction set below the machine's own, by the variables that their libraries read.

So octet, PyTorch (ATen, inductor, oneDNN, MKL) and CTranslate2 can be compared at one level. OpenVINO, ONNX Runtime, FBGEMM and
llama.cpp read none of these and go on using all that there is.
"""

LIMITS = {
    "avx2": {"OCTET_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2",
             "CT2_FORCE_CPU_ISA": "AVX2"},
    "avx512": {"OCTET_ISA": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512",
               "ATEN_CPU_CAPABILITY": "avx512", "CT2_FORCE_CPU_ISA": "AVX512"},
}
