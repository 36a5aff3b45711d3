"""The tables of a run in Markdown."""


def markdown(a, all_rows, fidelity, loaded, failures):
    """`a`: the run's arguments; the rest as run_peers.Run has it."""
    out = ["# Peer benchmark", "", "%d threads on CPUs %s; %s." % (
        a.threads, a.cpus, "quick smoke run, timings are only indicative" if a.quick else "full run"), "",
        "GFLOP/s and tokens/s count real tokens only (no padding). 'other' is CPU time of other "
        "processes, 'steal' of other guests, per second of the measurement: both should be near 0; "
        "'quiet ms' is the median over the slices in which their sum was below 0.1. On a busy machine "
        "only the minimum means anything.", ""]
    for model in a.models:
        out += model_tables(model, a.peers, [r for r in all_rows if r["model"] == model])
        out += fidelity_table(model, [r for r in fidelity if r["model"] == model])
        out += loading_table(model, [r for r in loaded if r[0] == model])
    return "\n".join(out + failure_table(failures))


def model_tables(model, peers, rows):
    """One table over all cases, then one per case."""
    out, cases = [], list(dict.fromkeys(r["case"] for r in rows))
    if cases:
        out += summary(model, peers, rows, cases, "median_ms", "median ms")
        out += summary(model, peers, rows, cases, "min_ms", "smallest ms")
    for case in cases:
        out += case_table(model, case, [r for r in rows if r["case"] == case])
    return out


def summary(model, peers, rows, cases, key, title):
    out = ["## %s: %s" % (model, title), "", "| peer | " + " | ".join(cases) + " |", "|---|" + "---:|" * len(cases)]
    labels = dict.fromkeys(r["peer"] for r in rows)
    for peer in sorted(labels, key=lambda n: (peers.index(n.split("@")[0]), n)):
        values = {r["case"]: r[key] for r in reversed(rows) if r["peer"] == peer}
        out.append("| %s | %s |" % (peer, " | ".join("%.4g" % values[c] if c in values else "" for c in cases)))
    return out + [""]


def case_table(model, case, rows):
    out = ["### %s, %s" % (model, case), "",
           "| peer | median ms | p90 | min | n | quiet ms (slices) | texts/s | tokens/s | GFLOP/s | first ms | cpu/wall | other | steal |",
           "|---|" + "---:|" * 12]
    for r in sorted(rows, key=lambda r: r["median_ms"]):
        quiet = "%.3f (%d/%d)" % (r["quiet_ms"], r["quiet_slices"], r["slices"]) if r["quiet_ms"] else "(0/%d)" % r["slices"]
        out.append("| %s | %.3f | %.3f | %.3f | %d | %s | %.1f | %.0f | %.1f | %.0f | %.2f | %.2f | %.2f |" % (
            r["peer"], r["median_ms"], r["p90_ms"], r["min_ms"], r["n"], quiet, r["texts_s"],
            r["tokens_s"], r["gflops"], r["first_ms"], r["cpu_per_wall"], r["other_cpu"], r["steal"]))
    return out + [""]


def fidelity_table(model, rows):
    if not rows:
        return []
    out = ["### %s, W5: fidelity against PyTorch fp32 (%d texts, batches of 8)" % (model, rows[0]["texts"]), "",
           "cos: cosine with the reference; ccos: the same after taking off the mean reference "
           "embedding; rel: largest error over largest value of the text's embedding; batch: "
           "smallest cosine between a text alone and the same text in a batch.", "",
           "| peer | mean-pooled cos min | avg | ccos min | rel max | CLS cos min | avg | ccos min | rel max | batch |",
           "|---|" + "---:|" * 9]
    for r in rows:
        batch = r.get("mean_batch_cos_min")
        out.append("| %s | %.6f | %.6f | %.6f | %.4f | %.6f | %.6f | %.6f | %.4f | %s |" % (
            r["peer"], r["mean_cos_min"], r["mean_cos_mean"], r["mean_ccos_min"], r["mean_rel_max"],
            r["cls_cos_min"], r["cls_cos_mean"], r["cls_ccos_min"], r["cls_rel_max"],
            "" if batch is None else "%.6f" % batch))
    return out + [""]


def loading_table(model, rows):
    if not rows:
        return []
    out = ["### %s: loading" % model, "", "| peer | load s | peak RSS seen MB | of that not file-backed |", "|---|---:|---:|---:|"]
    return out + ["| %s | %.1f | %.0f | %.0f |" % r[1:] for r in rows] + [""]


def failure_table(failures):
    if not failures:
        return []
    out = ["## Failures", "", "| model | peer | where | why |", "|---|---|---|---|"]
    return out + ["| %s | %s | %s | %s |" % (m, p, w, why[:300].replace("|", "/")) for m, p, w, why in failures] + [""]
