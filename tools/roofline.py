#!/usr/bin/env python3
"""A pass of 8 x 128 tokens as the sum of its kernels alone, and what it would take at the rates of their instructions.

    make roofline ARGS="MODEL_DIR ..."    int8 with VNNI, models whose layers bench/kernels_bench.cc has cases of

Kernels are timed alone, on one thread, with their data near; a pass has so many of each, shared by the threads. The passes are timed by
`octet bench`; embedding, waiting and what begins and ends a pass are taken from its profile. Kernels and passes take turns, since the
clock moves; shown are medians.
"""
import json
import math
import os
import statistics
import subprocess

from octet_tools import bench_program, parse_arguments

TEXTS, TOKENS = 8, 128
ROWS = TEXTS * TOKENS
PRODUCT_ROWS, STORED_ROWS, QUERIES, ROWS_AT_ONCE = 32, 64, 64, 4  # of one call in kernels_bench
CASES = (f"Multiply/Int8/{PRODUCT_ROWS}/|Attention/S8/{TOKENS}/|StoreAttentionInputs/S8/|QuantizeRows/|LayerNormRows/|GeluErfShortRow/|"
         "Instruction/(vpdpbusd|vpdpwssd|softmax_of_32_scores)")
LANES, SCORES = 16, 32  # of a vector, of the softmax's case


def add_arguments(parser):
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5, help="turns")


def run(*command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def time_kernels():
    """{case: ns of a call, or of an instruction}"""
    times = {}
    for case in run(bench_program("kernels_bench"), f"--benchmark_filter={CASES}", "--benchmark_min_time=0.15",
                    "--benchmark_format=json")["benchmarks"]:
        if "error_message" in case:
            raise SystemExit(f"{case['name']}: {case['error_message']}")
        times[case["name"]] = 1e9 / case["items_per_second"] if "items_per_second" in case else case["real_time"]
    return times


def time_pass(args, model):
    """{"pass": ms, "peak": GOP/s of the peak loop, "rest": ms that no kernel here has}"""
    case = run(args.binary, "bench", "--model", model, "--threads", args.threads, "--lengths", str(TOKENS), "--batches",
               str(TEXTS), "--seconds", "1", "--profile", "--json")["cases"][0]
    rest = sum(case["phases"][name]["ms"] for name in ("embed", "synchronize", "start and end"))
    return {"pass": case["median_ms"], "peak": case["int8_peak_gops"], "rest": rest}


def medians(rounds):
    return {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}


class Shape:
    def __init__(self, model):
        with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        self.hidden, self.intermediate = config["hidden_size"], config["intermediate_size"]
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.head_dim = self.hidden // self.heads

    def gop(self):
        """Of the linear layers, in a pass."""
        return 2e-9 * ROWS * self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.intermediate)

    def kernels(self, times):
        """{row of the table: ms of a pass on one thread}"""
        h, i = self.hidden, self.intermediate
        heads = f"{self.heads}/{self.head_dim}"

        def product(depth, cols):
            return times[f"Multiply/Int8/{PRODUCT_ROWS}/{depth}/{cols}"]

        of_a_row = {
            "products": (4 * product(h, h) + product(h, i) + product(i, h)) / PRODUCT_ROWS,
            "GELU": times[f"GeluErfShortRow/{i}"],
            "attention": times[f"Attention/S8/{TOKENS}/{heads}"] / QUERIES,
            "quantize": (3 * times[f"QuantizeRows/{h}"] + times[f"QuantizeRows/{i}"]) / ROWS_AT_ONCE,
            "epilogue": times[f"StoreAttentionInputs/S8/{heads}"] / STORED_ROWS,
            "norm": 2 * times[f"LayerNormRows/{h}"] / ROWS_AT_ONCE,
        }
        return {name: 1e-6 * ROWS * self.layers * ns for name, ns in of_a_row.items()}

    def attention_at_instruction_rate(self, times):
        """ms of a pass on one thread: products of queries with keys in quads of 8 bits, of weights with values in pairs of 16."""
        scores = math.ceil(self.head_dim / 4) * math.ceil(TOKENS / LANES) * times["Instruction/vpdpbusd"]
        softmax = TOKENS / SCORES * times["Instruction/softmax_of_32_scores"]
        values = TOKENS // 2 * math.ceil(self.head_dim / LANES) * times["Instruction/vpdpwssd"]
        return 1e-6 * ROWS * self.layers * self.heads * (scores + softmax + values)


def main():
    args = parse_arguments(__doc__, add_arguments)
    threads = int(args.threads)
    kernel_rounds, pass_rounds = [], {model: [] for model in args.models}
    for _ in range(args.rounds):
        kernel_rounds.append(time_kernels())
        for model, rounds in pass_rounds.items():
            rounds.append(time_pass(args, model))
    times = medians(kernel_rounds)
    columns = []
    for model, rounds in pass_rounds.items():
        shape, measured = Shape(model), medians(rounds)
        kernels = {name: ms / threads for name, ms in shape.kernels(times).items()}
        took, at_peak = measured["pass"], shape.gop() / measured["peak"] * 1e3
        total = sum(kernels.values()) + measured["rest"]
        attention = shape.attention_at_instruction_rate(times) / threads
        with_products = total - kernels["products"] + at_peak
        with_attention = with_products - kernels["attention"] + attention
        columns.append({
            "": str(shape.hidden),
            "layers; heads by their size": f"{shape.layers}; {shape.heads} x {shape.head_dim}",
            **{f"{name}, ms": f"{ms:.2f}" for name, ms in kernels.items()},
            "embed, synchronize, start and end (of the pass)": f"{measured['rest']:.2f}",
            "sum": f"{total:.2f}",
            "the pass; sum / pass": f"{took:.2f}; {total / took:.2f}",
            "share of the peak": f"{100 * at_peak / took:.1f} %",
            "products alone, of the peak": f"{100 * at_peak / kernels['products']:.0f} %",
            "attention at the instructions' rate, of its time": f"{attention / kernels['attention']:.2f}",
            "share if products took what the peak gives": f"{100 * at_peak / with_products:.0f} %",
            "and attention what its instructions take": f"{100 * at_peak / with_attention:.0f} %",
        })
    rates = {name: ns for name, ns in times.items() if name.startswith("Instruction/")}
    print("ns: " + ", ".join(f"{name.split('/')[1]} {ns:.3f}" for name, ns in rates.items()))
    for i, name in enumerate(columns[0]):
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")
        if i == 0:
            print("|" + "---|" * (len(columns) + 1))


if __name__ == "__main__":
    main()
