"""octet / models: each model's traffic, speed and accuracy."""
import frame
from panels import Query, heat, listing, series, single
from queries import (INFERENCE, MODEL, QUEUE, REQUESTS, TOKENIZE, buckets, divide, largest, mean, quantile, rate,
                     select, server_error_ratio, total)

DISTANCE = "octet_shadow_cosine_distance"
BY_MODEL = ("model",)


def _summary():
    compared = rate("octet_shadow_texts_total", MODEL)
    return [
        single("Models loaded", "none", "Model copies that can be called, over all replicas. Red: none; runbook "
               "OctetModelLoadFailed.", total("octet_model_loaded", MODEL), red_below=1),
        single("Texts", "ops", "Texts answered per second. Compare with what callers believe they send.",
               rate("octet_texts_total", MODEL)),
        single("Tokens", "ops", "Tokens answered per second: the unit of work. Capacity is on octet / capacity.",
               rate("octet_tokens_total", MODEL)),
        single("Texts compared with f32", "ops", "What the accuracy panels rest on. 0: no model has shadow.share, or "
               "no replica has time to spare.", compared),
        single("Mean distance to f32", "none", "Mean of 1 - cosine over the texts compared. Red: over 0.005; runbook "
               "OctetAccuracyDrift.", mean(DISTANCE, MODEL), red=0.005),
        single("Labels that differ", "percentunit", "Share of compared texts whose labels are not f32's. Red: over 2 "
               "%; runbook OctetAccuracyLabelFlips.", divide(rate("octet_shadow_label_flips_total", MODEL), compared),
               red=0.02),
    ]


def _traffic():
    return [
        series("Calls", "reqps", "By model. unknown are calls whose model is not served: tell the caller the name.",
               [Query(rate(REQUESTS + "_count", MODEL, by=BY_MODEL), "{{model}}")], stacked=True),
        series("Calls that failed", "reqps", "By model and code. A code on one model alone points at its callers or "
               "its settings; on all models at the server.",
               [Query(rate(REQUESTS + "_count", MODEL, 'code!="OK"', by=("model", "code")), "{{model}} {{code}}")]),
        series("Server errors", "percentunit", "Share of calls that failed for a reason of the server's. Red: over 1 "
               "%; runbook OctetErrorBudgetBurn.",
               [Query(server_error_ratio(MODEL, by=BY_MODEL), "{{model}}")], red=0.01),
        series("Texts", "ops", "Texts answered per second, by model.",
               [Query(rate("octet_texts_total", MODEL, by=BY_MODEL), "{{model}}")], stacked=True),
        series("Tokens of a text", "none", "Mean length after cutting. A jump means other texts than before: latency "
               "and accuracy may change with it.",
               [Query(divide(rate("octet_tokens_total", MODEL, by=BY_MODEL),
                             rate("octet_texts_total", MODEL, by=BY_MODEL)), "{{model}}")]),
        series("Texts cut", "ops", "Longer than the model takes, cut at the caller's wish. Much of it: a model with "
               "more positions, or callers that split.",
               [Query(rate("octet_truncated_total", MODEL, by=BY_MODEL), "{{model}}")]),
    ]


def _speed():
    return [
        series("p99 of calls", "s",
               "Of calls that succeeded. Red: over the objective of 100 ms; see which phase it is.",
               [Query(quantile(0.99, REQUESTS, MODEL, 'code="OK"', by=BY_MODEL), "{{model}}")], red=0.1),
        series("p50 of calls", "s", "The usual call. If it rises with p99, the model is slower for everyone: longer "
               "texts or fewer cores.",
               [Query(quantile(0.5, REQUESTS, MODEL, 'code="OK"', by=BY_MODEL), "{{model}}")]),
        series("p95 of inference", "s", "The forward pass alone. Grows with the tokens of a batch; lower "
               "limits.max_batch_tokens if short texts must not wait for it.",
               [Query(quantile(0.95, INFERENCE, MODEL, by=BY_MODEL), "{{model}}")]),
        series("p95 of waiting", "s", "Models share one engine: a model that waits may suffer from another's load. "
               "Give the heavy one its own replicas.",
               [Query(quantile(0.95, QUEUE, MODEL, by=BY_MODEL), "{{model}}")]),
        series("p95 of tokenizing", "s", "Grows with the bytes of a call. High at low load: raise "
               "engine.tokenizer_threads.", [Query(quantile(0.95, TOKENIZE, MODEL, by=BY_MODEL), "{{model}}")]),
        heat("Inference", "s", "All forward passes. A second band far above the first: long texts in the same traffic; "
             "send them to a model or a replica of their own.", buckets(INFERENCE, MODEL)),
        series("Tokens of a batch", "none", "Mean by model. Small with a long wait: another model has the engine.",
               [Query(mean("octet_batch_tokens", MODEL, by=BY_MODEL), "{{model}}")], width=12),
        series("Texts of a batch", "none", "Mean by model. 1 at low load is normal; 1 at high load means callers send "
               "single texts and wait for each answer.",
               [Query(mean("octet_batch_size", MODEL, by=BY_MODEL), "{{model}}")], width=12),
    ]


def _accuracy():
    compared = rate("octet_shadow_texts_total", MODEL, by=BY_MODEL)
    return [
        series("Mean distance to f32", "none", "1 - cosine between the answer and f32's. Red: over 0.005; texts have "
               "changed since the model was quantized; runbook OctetAccuracyDrift.",
               [Query(mean(DISTANCE, MODEL, by=BY_MODEL), "{{model}}")], red=0.005),
        series("p99 of the distance", "none", "The worst texts. High with a low mean: few texts are unlike the "
               "calibration texts; find them with octet evaluate.",
               [Query(quantile(0.99, DISTANCE, MODEL, by=BY_MODEL), "{{model}}")]),
        heat("Distance to f32", "none", "All comparisons. A new band is a new kind of text: quantize again with such "
             "texts, or serve bf16 or f32.", buckets(DISTANCE, MODEL)),
        series("Labels that differ", "percentunit", "Of the compared texts of classification models. Red: over 2 %; "
               "runbook OctetAccuracyLabelFlips.",
               [Query(divide(rate("octet_shadow_label_flips_total", MODEL, by=BY_MODEL), compared), "{{model}}")],
               red=0.02),
        series("Inputs outside their range", "percentunit", "Of models with fixed activation ranges. Red: over 0.1 %; "
               "quantize again, or take the method smooth; runbook OctetActivationsClipped.",
               [Query(divide(rate("octet_shadow_clipped_activations_total", MODEL, by=BY_MODEL),
                             rate("octet_shadow_activations_total", MODEL, by=BY_MODEL)), "{{model}}")], red=0.001),
        series("Chosen and not compared", "ops", "By reason. queue_full: no time to spare, the panels here see little; "
               "lower shadow.share or add a replica; runbook OctetShadowStarved.",
               [Query(rate("octet_shadow_dropped_total", MODEL, by=("model", "reason")), "{{model}} {{reason}}")]),
    ]


def _state():
    return [
        series("Load time", "s", "Of the last start, the slowest replica. Far apart between replicas: a slow disk.",
               [Query(largest("octet_model_load_seconds", MODEL, by=BY_MODEL), "{{model}}")], width=12),
        series("Outputs that are not finite, should be 0", "ops", "Texts for which the model gave NaN or infinity; "
               "their calls failed. Anything but 0: the weights are damaged or overflow, take f32 and report it.",
               [Query(rate("octet_non_finite_outputs_total", MODEL, by=BY_MODEL), "{{model}}")], width=12, red=0.001),
        listing("Models and versions", "Precision, quantization and version by replica. Different versions answer with "
                "different bits: finish the roll-out.", select("octet_model_info", MODEL)),
    ]


def dashboard():
    return frame.build(
        "octet-models", "octet / models", "Each model's traffic, speed, and how far its answers are from f32.",
        [("Summary", _summary()), ("Traffic", _traffic()), ("Speed", _speed()), ("Accuracy", _accuracy()),
         ("State", _state())])
