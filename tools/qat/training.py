"""The training loop: epochs of shuffled batches, AdamW with linear warm-up and decay, a checkpoint after every epoch.
The same settings, weights, data, versions and thread count give the same bits, resumed or not: every epoch draws its
order and its dropout from its own seed.
"""
import dataclasses
import math
import os
import resource
import time

import torch
from torch.nn import functional as F

from bert import PackedBatch
from goemotions import best_threshold, shuffled_batches

EVALUATION_BATCH = 64
LOG_STEPS = 50


@dataclasses.dataclass(frozen=True)
class Settings:
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    warmup_fraction: float = 0.1  # of all steps
    weight_decay: float = 0.01  # not of biases and LayerNorm
    max_gradient_norm: float = 1.0


@dataclasses.dataclass(frozen=True)
class Split:
    """token_ids: a list per text. labels: [num_texts, num_labels] f32 of zeros and ones."""
    token_ids: list
    labels: torch.Tensor


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def save_atomically(value, path):
    torch.save(value, path + ".new")
    os.replace(path + ".new", path)


@torch.inference_mode()
def scores(model, token_ids):
    """[num_texts, num_labels] numpy, sigmoid of the logits, in eval mode; leaves the model in eval mode."""
    model.eval()
    order = sorted(range(len(token_ids)), key=lambda index: len(token_ids[index]))
    result = None
    for begin in range(0, len(order), EVALUATION_BATCH):
        part = order[begin:begin + EVALUATION_BATCH]
        rows = torch.sigmoid(model(PackedBatch.of([token_ids[index] for index in part])))
        result = torch.empty(len(order), rows.shape[1]) if result is None else result
        result[part] = rows
    return result.numpy()


def make_optimizer(model, settings):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW([{"params": decayed, "weight_decay": settings.weight_decay},
                              {"params": plain, "weight_decay": 0.0}], lr=settings.learning_rate, fused=True)


def learning_rate_at(step, num_steps, settings):
    """Linear from 0 to the peak during warm-up, then linear to 0 at the end."""
    warmup = max(1, int(num_steps * settings.warmup_fraction))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * (num_steps - step) / max(1, num_steps - warmup)


def train_epoch(model, optimizer, train, settings, epoch):
    """One pass over `train`; the mean loss. Ends the program when a loss is not finite."""
    batches = shuffled_batches([len(ids) for ids in train.token_ids], settings.batch_size, settings.seed + epoch)
    num_steps = settings.epochs * len(batches)
    torch.manual_seed(settings.seed + epoch)
    model.train()
    loss_sum, started, done = 0.0, time.monotonic(), 0
    for i, indices in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(epoch * len(batches) + i, num_steps, settings)
        logits = model(PackedBatch.of([train.token_ids[index] for index in indices]))
        loss = F.binary_cross_entropy_with_logits(logits, train.labels[indices])
        if not math.isfinite(loss.item()):
            raise SystemExit(f"epoch {epoch + 1} step {i + 1}: the loss is not finite; lower --learning-rate")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_gradient_norm)
        optimizer.step()
        loss_sum, done = loss_sum + loss.item() * len(indices), done + len(indices)
        if (i + 1) % LOG_STEPS == 0:
            print(f"epoch {epoch + 1}/{settings.epochs} step {i + 1}/{len(batches)} loss {loss_sum / done:.4f} "
                  f"{done / (time.monotonic() - started):.1f} texts/s", flush=True)
    return loss_sum / done


def run_epoch(model, optimizer, train, dev, settings, epoch):
    """Trains one epoch and scores dev; the epoch's line of the report."""
    wall, cpu = time.monotonic(), cpu_seconds()
    loss = train_epoch(model, optimizer, train, settings, epoch)
    wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu
    threshold, f1 = best_threshold(scores(model, dev.token_ids), dev.labels.bool().numpy())
    return {"epoch": epoch + 1, "train_loss": round(loss, 5), "dev_micro_f1": round(f1, 5), "dev_threshold": threshold,
            "train_wall_seconds": round(wall, 1), "train_cpu_seconds": round(cpu, 1),
            "texts_per_second": round(len(train.token_ids) / wall, 1),
            "texts_per_cpu_second": round(len(train.token_ids) / cpu, 1)}


def train_epochs(model, train, dev, settings, checkpoint, identity):
    """Trains from the checkpoint file if there is one, else from the model as it is, and leaves the model with the
    weights of the epoch that was best on dev. `identity` (JSON-like) must be that of the run that made the checkpoint.
    Returns the epochs' lines of the report."""
    optimizer = make_optimizer(model, settings)
    state = {"identity": identity, "history": [], "best": None}
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint, weights_only=True)
        if state["identity"] != identity:
            raise SystemExit("the unfinished run in the output's .partial folder has other settings, data or versions; "
                             "finish it with its own, or remove that folder")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        print(f"resuming after epoch {len(state['history'])}", flush=True)
    for epoch in range(len(state["history"]), settings.epochs):
        line = run_epoch(model, optimizer, train, dev, settings, epoch)
        print(line, flush=True)
        if not state["history"] or line["dev_micro_f1"] > max(old["dev_micro_f1"] for old in state["history"]):
            state["best"] = {name: value.clone() for name, value in model.state_dict().items()}
        state["history"].append(line)
        save_atomically({**state, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, checkpoint)
    model.load_state_dict(state["best"])
    return state["history"]
