"""BERT (Devlin et al. 2019) in plain PyTorch over packed rows: a batch is the token ids of its texts laid end to
end, and only attention pads. Module names give the tensor names of `transformers`, so a state dict of
SequenceClassifier is the content of a Hugging Face `model.safetensors`. f32, CPU.
"""
import dataclasses
import json
import os

import torch
from torch import nn
from torch.nn import functional as F

INITIALIZER_STD = 0.02  # BertConfig.initializer_range, for tensors that the starting weights lack


@dataclasses.dataclass(frozen=True)
class PackedBatch:
    """ids, positions: [num_tokens]. slots: [num_tokens], where each token stands in [num_texts * max_tokens] padded
    rows. starts: [num_texts], the row of each text's first token. key_mask: [num_texts, 1, 1, max_tokens] bool, or
    None when all texts are equally long."""
    ids: torch.Tensor
    positions: torch.Tensor
    slots: torch.Tensor
    starts: torch.Tensor
    key_mask: torch.Tensor | None
    num_texts: int
    max_tokens: int

    @staticmethod
    def of(token_ids):
        """token_ids: one non-empty list of ids per text."""
        lengths = torch.tensor([len(ids) for ids in token_ids])
        num_texts, max_tokens = len(token_ids), int(lengths.max())
        positions = torch.cat([torch.arange(len(ids)) for ids in token_ids])
        text_of_token = torch.repeat_interleave(torch.arange(num_texts), lengths)
        mask = torch.arange(max_tokens)[None, :] < lengths[:, None]
        return PackedBatch(
            ids=torch.tensor([i for ids in token_ids for i in ids]),
            positions=positions,
            slots=text_of_token * max_tokens + positions,
            starts=torch.cumsum(lengths, 0) - lengths,
            key_mask=None if bool(mask.all()) else mask[:, None, None, :],
            num_texts=num_texts,
            max_tokens=max_tokens)


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], hidden)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], hidden)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, batch):
        # The order of the additions is octet's.
        x = self.word_embeddings(batch.ids) + self.position_embeddings(batch.positions)
        x = x + self.token_type_embeddings(torch.zeros_like(batch.ids))
        return self.dropout(self.LayerNorm(x))


class SelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.num_heads = config["num_attention_heads"]
        self.dropout_p = config["attention_probs_dropout_prob"]
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.attend = F.scaled_dot_product_attention  # checks put octet's own arithmetic here

    def forward(self, x, batch):
        hidden = x.shape[1]

        def heads(rows):
            """[num_texts, num_heads, max_tokens, head_dim], zeros where a text has no token."""
            padded = rows.new_zeros(batch.num_texts * batch.max_tokens, hidden).index_copy(0, batch.slots, rows)
            return padded.view(batch.num_texts, batch.max_tokens, self.num_heads, -1).transpose(1, 2)

        out = self.attend(
            heads(self.query(x)), heads(self.key(x)), heads(self.value(x)), attn_mask=batch.key_mask,
            dropout_p=self.dropout_p if self.training else 0.0)
        return out.transpose(1, 2).reshape(-1, hidden).index_select(0, batch.slots)


class ResidualOutput(nn.Module):
    """LayerNorm(residual + dropout(dense(x)))"""

    def __init__(self, config, in_dim):
        super().__init__()
        self.dense = nn.Linear(in_dim, config["hidden_size"])
        self.LayerNorm = nn.LayerNorm(config["hidden_size"], eps=config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, x, residual):
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(config),
                                        "output": ResidualOutput(config, config["hidden_size"])})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(config["hidden_size"], config["intermediate_size"])})
        self.output = ResidualOutput(config, config["intermediate_size"])
        self.activate = F.gelu  # as above

    def forward(self, x, batch):
        x = self.attention["output"](self.attention["self"](x, batch), x)
        return self.output(self.activate(self.intermediate["dense"](x)), x)


class Bert(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(
            Layer(config) for _ in range(config["num_hidden_layers"]))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(config["hidden_size"], config["hidden_size"])})

    def forward(self, batch):
        """[num_tokens, hidden_size]: the last hidden states."""
        x = self.embeddings(batch)
        for layer in self.encoder["layer"]:
            x = layer(x, batch)
        return x


class SequenceClassifier(nn.Module):
    """BertForSequenceClassification: tanh pooler over the first token, dropout, linear."""

    def __init__(self, config, num_labels):
        super().__init__()
        self.bert = Bert(config)
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])
        self.classifier = nn.Linear(config["hidden_size"], num_labels)

    def forward(self, batch):
        """[num_texts, num_labels]: logits."""
        first = self.bert(batch).index_select(0, batch.starts)
        return self.classifier(self.dropout(torch.tanh(self.bert.pooler["dense"](first))))


def read_config(model_dir):
    """config.json; exits with one line when it is not a BERT that this file computes."""
    with open(os.path.join(model_dir, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise SystemExit(f"config.json: {key} is {config[key]!r}, these tools train {value!r} only")
    return {"layer_norm_eps": 1e-12, "type_vocab_size": 2, "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1, **config}


def load_weights(model, tensors):
    """Copies `tensors` (names with or without the prefix "bert.") into the model. Only the pooler and the classifier
    may be missing; they get normal(0, INITIALIZER_STD) weights from the global generator. Returns the names of what
    was initialized."""
    wanted = model.state_dict()
    found = {}
    for name, tensor in tensors.items():
        for candidate in (name, "bert." + name):
            if candidate in wanted:
                found[candidate] = tensor.to(torch.float32)
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in missing if not name.startswith(("bert.pooler.", "classifier."))]
    if unexpected:
        raise SystemExit(f"model.safetensors: {len(unexpected)} tensors are missing, the first is {unexpected[0]}")
    for name in missing:
        found[name] = (torch.zeros_like(wanted[name]) if name.endswith(".bias")
                       else torch.empty_like(wanted[name]).normal_(0.0, INITIALIZER_STD))
    model.load_state_dict(found)
    return missing
