"""Train the tiny models of the two examples, and write their data: some seconds on one core.

    python examples/encoders/make.py .cache/encoders

A BERT classifier tells praise from blame, a sentence encoder brings sentences together that mean
the same. Each has a base that knows the weather, and two specialists that went on from it, one with
food and one with films. The tasks are of food and films together.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from sentences import DOMAINS, SPLITS, pairs, reviews, vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

BATCH = 32
BASE, SPECIALIST = (100, 3e-3), (60, 1e-3)
"""Steps of training, and their learning rate; specialists stay near their base."""
HELD_BACK = 300
"""The first examples of a domain, which are for the splits and never trained on."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

Loss = Callable[[Any, Any, list[Any]], Tensor]


def make(out: Path) -> None:
    """Write both families of models and the splits of both tasks into the folder."""
    (out / "data").mkdir(parents=True, exist_ok=True)
    tokenizer = words()
    for name, examples in (("reviews", reviews), ("pairs", pairs)):
        for split, rows in splits(examples).items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (out / "data" / f"{name}-{split}.jsonl").write_text(text)
    for name, kind, examples, loss in FAMILIES:
        torch.manual_seed(0)
        base = kind(config(len(tokenizer)))
        train(base, tokenizer, examples(DOMAINS[0], seed=0), loss, *BASE)
        family = {"base": base}
        for domain in DOMAINS[1:]:
            family[domain] = deepcopy(base)
            unseen = itertools.islice(examples(domain, seed=0), HELD_BACK, None)
            train(family[domain], tokenizer, unseen, loss, *SPECIALIST)
        for member, model in family.items():
            model.save_pretrained(out / name / member)
            tokenizer.save_pretrained(out / name / member)


def splits(examples: Callable[..., Iterator[Any]]) -> dict[str, list[Any]]:
    """Examples that no model was trained on, of both specialists' domains in turn."""
    kept = [itertools.islice(examples(domain, seed=0), HELD_BACK) for domain in DOMAINS[1:]]
    mixed = itertools.chain.from_iterable(zip(*kept, strict=True))
    return {split: list(itertools.islice(mixed, size)) for split, size in SPLITS.items()}


def words() -> Any:
    """A tokenizer of whole words."""
    ids = {word: number for number, word in enumerate((*SPECIAL, *vocabulary()))}
    made = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, ids[name]) for name in SPECIAL[2:4]]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    )


def config(tokens: int) -> BertConfig:
    """A BERT of two layers."""
    return BertConfig(
        vocab_size=tokens,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def train(
    model: Any, tokenizer: Any, rows: Iterator[Any], loss: Loss, steps: int, rate: float
) -> None:
    """So many steps over the rows, round and round."""
    endless = itertools.cycle(rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model, tokenizer, list(itertools.islice(endless, BATCH))).backward()
        optimizer.step()
    model.eval()


def label_loss(model: Any, tokenizer: Any, rows: list[Any]) -> Tensor:
    """Cross-entropy of the labels."""
    texts, labels = zip(*rows, strict=True)
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    loss: Tensor = model(**batch, labels=torch.tensor(labels)).loss
    return loss


def contrast_loss(model: Any, tokenizer: Any, rows: list[Any]) -> Tensor:
    """Each sentence's own other half is the nearest of the batch."""
    left, right = (vectors(model, tokenizer, list(side)) for side in zip(*rows, strict=True))
    return functional.cross_entropy(left @ right.T / 0.1, torch.arange(len(rows)))


def vectors(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """(texts, hidden): the mean over the tokens, of length 1."""
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    mask = batch["attention_mask"][..., None]
    hidden = model(**batch).last_hidden_state * mask
    return functional.normalize(hidden.sum(dim=1) / mask.sum(dim=1), dim=-1)


FAMILIES: tuple[tuple[str, Any, Callable[..., Iterator[Any]], Loss], ...] = (
    ("classifier", BertForSequenceClassification, reviews, label_loss),
    ("sentence_encoder", BertModel, pairs, contrast_loss),
)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
