#!/usr/bin/env python3
"""What one core does in a second, by length of text and precision, and what a server keeps in memory: docs/scaling.md.

    make capacity [ARGS="--lengths 19,32 --rounds 10"]

Texts of one length go through the engine in batches of about --batch-tokens tokens, as they do in a busy server. Counted
is CPU time, not time: it is the same on a machine that others use as well, but for what they take of the caches. Rounds
alternate between the cases; each case keeps its best.
"""
from octet_tools import parse_arguments

PRECISIONS = ["int8", "f32"]
REPETITIONS = 2  # of a batch, in one round


def add_arguments(parser):
    parser.add_argument("--lengths", default="8,16,24,32,64,128,256", help="tokens, [CLS] and [SEP] included")
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.set_defaults(threads="1")


def measure(engines, lengths, batch_tokens, rounds):
    """{(precision, length): texts per CPU second}"""
    best = {}
    for _ in range(rounds):
        for length in lengths:
            num_texts = max(1, batch_tokens // length)
            for precision, engine in engines.items():
                _, cpu = engine.run([[length] * num_texts], REPETITIONS)
                best[precision, length] = max(best.get((precision, length), 0), REPETITIONS * num_texts / cpu)
    return best


def memory_of(args, precision):
    """(MiB after start, MiB at most; scratch memory of full batches is touched at start, so a small one shows it)"""
    from octet_server import OctetServer
    with OctetServer("--threads", args.threads, "--precision", precision) as server:
        started = server.rss_mib()
        server.embed(["word " * 300] * 4, truncate=True)
        return started, server.peak_rss_mib()


def main():
    args = parse_arguments(__doc__, add_arguments)
    from served import Engine
    lengths = [int(length) for length in args.lengths.split(",")]
    engines = {precision: Engine(args, precision) for precision in PRECISIONS}
    best = measure(engines, lengths, args.batch_tokens, args.rounds)
    for engine in engines.values():
        engine.close()
    print("texts/s of one core:  tokens" + "".join(f"{precision:>10}" for precision in PRECISIONS) + "  tokens/s int8")
    for length in lengths:
        rates = [best[precision, length] for precision in PRECISIONS]
        print(f"{length:28}" + "".join(f"{rate:10.0f}" for rate in rates) + f"{rates[0] * length:15.0f}")
    for precision in PRECISIONS:
        print("resident memory of a server, {}: {:.0f} MiB after start, at most {:.0f} MiB".format(
            precision, *memory_of(args, precision)))


if __name__ == "__main__":
    main()
