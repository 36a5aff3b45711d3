#!/usr/bin/env python3
"""A pass of 8 x 128 tokens as the sum of its kernels alone, and what each would take at the rate of its instructions.

    make roofline ARGS="MODEL_DIR ..."    int8 with VNNI, models whose layers have cases in bench/ (kernel_cases.h)

Kernels are timed alone, on one thread, with their data near; a pass has so many of each, shared by the threads. Bounds are of loops of a
kernel's instructions in registers alone (bench/instruction_rates.cc), the products' is the peak's. The passes are timed by `octet
bench`; embedding, waiting and what begins and ends a pass are taken from its profile. Kernels and passes take turns, since the clock
moves; shown are medians or, with --least, the shortest times: on a machine whose neighbours take theirs, what is left.
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
         "Instruction/(vpdpbusd|vpdpwssd|.*_of_.*|round.*)")
LANES = 16  # of a vector


def add_arguments(parser):
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5, help="turns")
    parser.add_argument("--least", action="store_true", help="the shortest times instead of the medians")


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
    """{"pass": ms, "GOP": ms that one takes in the peak loop, "rest": ms that no kernel here has}"""
    case = run(args.binary, "bench", "--model", model, "--threads", args.threads, "--lengths", str(TOKENS), "--batches",
               str(TEXTS), "--seconds", "1", "--profile", "--json")["cases"][0]
    rest = sum(case["phases"][name]["ms"] for name in ("embed", "synchronize", "start and end"))
    return {"pass": case["min_ms" if args.least else "median_ms"], "GOP": 1e3 / case["int8_peak_gops"], "rest": rest}


def summary(args, rounds):
    """{name: its time in all rounds}"""
    return {name: (min if args.least else statistics.median)(times[name] for times in rounds) for name in rounds[0]}


class Shape:
    def __init__(self, model):
        with open(os.path.join(model, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        self.hidden, self.intermediate = config["hidden_size"], config["intermediate_size"]
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.head_dim = self.hidden // self.heads

    def gop(self, each=1):
        """Of the linear layers, in a pass; of columns in vectors of `each`, the last one filled up."""
        h, i = self.hidden, self.intermediate
        cols_of_h, cols_of_i = (math.ceil(cols / each) * each for cols in (h, i))
        return 2e-9 * ROWS * self.layers * (4 * h * cols_of_h + h * cols_of_i + i * cols_of_h)

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
        return {name: self.ms(ns) for name, ns in of_a_row.items()}

    def bounds(self, times, ms_of_gop):
        """{row of the table: ms of a pass on one thread}, each kernel at the rate of its instructions. ms_of_gop: of products alone."""
        h, i, dim = self.hidden, self.intermediate, self.head_dim

        def of(values, name, each):
            return math.ceil(values / each) * times[f"Instruction/{name}"]

        # What is done with sums beside adding to them.
        finish = 5 * of(h, "finish_of_16_sums", LANES) + of(i, "finish_of_16_sums", LANES)
        # Products of queries with keys in quads of 8 bits, of weights with values in pairs of 16.
        scores = math.ceil(dim / 4) * of(TOKENS, "vpdpbusd", LANES)
        values = TOKENS // 2 * of(dim, "vpdpwssd", LANES)
        # A head's queries and keys have 8 bits, its values 16.
        largest = of(dim, "largest_of_32_values", 32) + times["Instruction/fold_of_4_heads"] / 4
        heads = 3 * largest + 2 * of(dim, "round_32_to_8_bits", 32) + of(dim, "round_32_to_16_bits", 32)
        of_a_row = {
            "GELU": of(i, "gelu_of_16_values", LANES),
            "attention": self.heads * (scores + of(TOKENS, "softmax_of_32_scores", 32) + values),
            "quantize": (3 * h + i) / 64 * times["Instruction/quantize_of_64_values"],
            "epilogue": self.heads * heads,
            "norm": 2 * of(h, "layer_norm_of_16_values", LANES),
        }
        return {"products": self.gop(LANES) * ms_of_gop + self.ms(finish), **{name: self.ms(ns) for name, ns in of_a_row.items()}}

    def ms(self, ns_of_a_row):
        """Of a pass on one thread, from those of a layer's row."""
        return 1e-6 * ROWS * self.layers * ns_of_a_row


def main():
    args = parse_arguments(__doc__, add_arguments)
    threads = int(args.threads)
    kernel_rounds, pass_rounds = [], {model: [] for model in args.models}
    for _ in range(args.rounds):
        kernel_rounds.append(time_kernels())
        for model, rounds in pass_rounds.items():
            rounds.append(time_pass(args, model))
    times = summary(args, kernel_rounds)
    columns = []
    for model, rounds in pass_rounds.items():
        shape, measured = Shape(model), summary(args, rounds)
        kernels = {name: ms / threads for name, ms in shape.kernels(times).items()}
        took, at_peak = measured["pass"], shape.gop() * measured["GOP"]
        total = sum(kernels.values()) + measured["rest"]
        bounds = {name: ms / threads for name, ms in shape.bounds(times, measured["GOP"] * threads).items()}
        with_products = total - kernels["products"] + bounds["products"]
        with_attention = with_products - kernels["attention"] + bounds["attention"]
        with_all = sum(bounds.values()) + measured["rest"]
        columns.append({
            "": str(shape.hidden),
            "layers; heads by their size": f"{shape.layers}; {shape.heads} x {shape.head_dim}",
            **{f"{name}, ms": f"{ms:.2f}" for name, ms in kernels.items()},
            "embed, synchronize, start and end (of the pass)": f"{measured['rest']:.2f}",
            "sum": f"{total:.2f}",
            "the pass; sum / pass": f"{took:.2f}; {total / took:.2f}",
            "share of the peak": f"{100 * at_peak / took:.1f} %",
            "products alone, of the peak": f"{100 * at_peak / kernels['products']:.0f} %",
            **{f"{name} at the rate of the instructions, of its time": f"{ms / kernels[name]:.2f}" for name, ms in bounds.items()},
            "share if products took what their instructions take": f"{100 * at_peak / with_products:.0f} %",
            "and attention": f"{100 * at_peak / with_attention:.0f} %",
            "and all other kernels": f"{100 * at_peak / with_all:.0f} %",
        })
    rates = {name: ns for name, ns in times.items() if name.startswith("Instruction/")}
    print("ns: " + ", ".join(f"{name.split('/')[1]} {ns:.3f}" for name, ns in rates.items()))
    for i, name in enumerate(columns[0]):
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")
        if i == 0:
            print("|" + "---|" * (len(columns) + 1))


if __name__ == "__main__":
    main()
