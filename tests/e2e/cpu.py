"""Which of octet's instruction-set levels this machine has, by the kernel's own account."""

LEVELS = {  # name -> flags beyond those of the levels before it
    "scalar": [],
    "avx2": ["avx2", "fma"],
    "avx512": ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
    "avx512_vnni": ["avx512_vnni"],
    "avx512_bf16": ["avx512_bf16"],
    "avx512_amx": ["amx_tile", "amx_int8"],
}


def supported_levels():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        flags = next(line for line in f if line.startswith("flags")).split()
    levels = []
    for name, needed in LEVELS.items():
        if not all(flag in flags for flag in needed):
            break
        levels.append(name)
    return levels


def precisions(level):
    """What a level can run."""
    return ["int8", "f32"] + (["bf16"] if level in ("avx512_bf16", "avx512_amx") else [])
