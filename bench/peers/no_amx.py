"""Runs a command as if the processor had no AMX:  no_amx.py COMMAND ARGUMENTS...

Linux hands out AMX tiles only to processes that ask with arch_prctl(ARCH_REQ_XCOMP_PERM). A seccomp
filter refuses that call to the command and all its children; libraries that look for AMX as they should
then use what is left, AVX-512. The instruction itself (CPUID) still says AMX: a peer that goes by it alone
dies with a signal, which the harness reports, rather than being measured with AMX.
"""
import ctypes
import os
import struct
import sys

ARCH_PRCTL, AUDIT_ARCH_X86_64 = 158, 0xC000003E
ARCH_REQ_XCOMP_PERM = 0x1023
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, FAIL_WITH = 0x7FFF0000, 0x00050000
ENOSYS = 38


def refuse_tiles():
    """For this process and what it starts; cannot be taken back. Raises OSError."""
    program = [  # of struct seccomp_data: nr at 0, arch at 4, args[0] at 16
        (LOAD, 0, 0, 4), (JUMP_IF_EQUAL, 0, 5, AUDIT_ARCH_X86_64),
        (LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 3, ARCH_PRCTL),
        (LOAD, 0, 0, 16), (JUMP_IF_EQUAL, 0, 1, ARCH_REQ_XCOMP_PERM),
        (RETURN, 0, 0, FAIL_WITH | ENOSYS), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_tiles()
    os.execvp(sys.argv[1], sys.argv[1:])
