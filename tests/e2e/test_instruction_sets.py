"""The program starts on machines that lack the vector instructions it was also compiled for: only kernels, which are
reached through the table of a level, may use them."""
import re
import subprocess

import octet_server

# SSE2 is part of x86-64; whatever is beyond it names these registers.
VECTOR_REGISTER = re.compile(r"%[yz]mm\d")


def symbols_of_any_file():
    """Names of octet's functions that any source file may call: with external linkage, templates included."""
    listing = subprocess.run(["nm", octet_server.BINARY], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return {row[-1] for row in rows if row[-2] in "TW" and re.match(r"_ZN?K?5octet", row[-1])}


def functions_with_vectors():
    with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", "--section=.text", octet_server.BINARY],
                          stdout=subprocess.PIPE, text=True) as process:
        name = None
        for line in process.stdout:
            if match := re.match(r"[0-9a-f]+ <(.+)>:$", line):
                name = match[1]
            elif VECTOR_REGISTER.search(line):
                yield name
    assert process.returncode == 0


def test_only_kernels_use_vector_instructions():
    everyones = symbols_of_any_file()
    found = set(functions_with_vectors())
    assert len(everyones) > 100 and any("N_AVX2" in name for name in found), "the listings are not understood"
    assert not found & everyones
