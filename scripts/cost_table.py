"""The table "what will my search cost" of docs/scaling.md, from `evomerge.searching.estimate`.

python -m scripts.cost_table
"""

from __future__ import annotations

from evomerge.searching.estimate import (
    Device,
    Span,
    Work,
    candidate_seconds,
    duration,
    search_seconds,
)

__all__ = ["table"]

H100 = Device(
    reading=Span(200e12, 500e12), generating=Span(30e12, 150e12), bandwidth=Span(4e9, 500e9)
)
"""The upper end of `estimate.GPU`; bandwidth from files to parents in the GPU's memory."""
READ, GENERATED = Span(200, 400), Span(100, 200)
"""Tokens of an example: a word problem and its worked answer."""
MODELS = (("1B", 1e9, 1), ("8B", 8e9, 1), ("32B", 32e9, 2), ("70B", 70e9, 8))
"""Parameters, and the GPUs of a worker."""
EXAMPLES = (200, 1000)
SEARCHES = ((8, 500), (8, 5000), (64, 5000), (1000, 50_000))
"""GPUs and candidates."""
PARENTS = 4
"""A base and three; a merge reads all of them and writes one model, in bfloat16."""


def table() -> str:
    """Rows of Markdown."""
    heads = [f"{count:,} candidates, {gpus:,} GPUs" for gpus, count in SEARCHES]
    lines = [["model", "GPUs a worker", "examples", "a candidate", *heads]]
    lines.append(["---"] * len(lines[0]))
    for name, parameters, gpus in MODELS:
        for examples in EXAMPLES:
            work = Work(examples, READ, GENERATED)
            each = candidate_seconds(parameters, 2 * parameters * (PARENTS + 1), work, H100, gpus)
            searches = [
                duration(search_seconds(candidates, [(held // gpus, each)]))
                for held, candidates in SEARCHES
            ]
            lines.append([name, str(gpus), str(examples), duration(each), *searches])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(table(), end="")
