"""The model card: what an exported model is made of, what it scores, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from evomerge.recipe.digest import digest, plain
from evomerge.recipe.path_text import path_text
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Scaling, Stack, sources_of
from evomerge.study.comparison import Comparison
from evomerge.wording import count

__all__ = ["card"]

PACKAGES = ("evomerge", "torch", "transformers", "lm-eval")
"""What an exported model and its scores depend on."""
SCALED: dict[Scaling, str] = {
    "stream": "the residual stream that enters the layer",
    "mlp_output": "the last MLP's output as it enters the layer",
}


_PATH = """The folder holds each layer once. Which of them runs at each hop, and what multiplies its
input, stands in `config.json` under `route`, and `modeling_evomerge_stack.py` runs that path:
hence `trust_remote_code`. Where evomerge is installed, `vllm serve` takes the folder as it is."""


def card(
    *,
    title: str,
    recipe: Recipe,
    job: Mapping[str, Any] | None,
    comparison: Comparison | None,
    adapter_on: Source | None = None,
    folded: bool = False,
) -> str:
    """A README.md in the form that the Hugging Face hub reads (front matter, then Markdown).

    Args:
        job: the resolved job of the search that found the recipe, if one did.
        comparison: the holdout scores, if there are any.
        adapter_on: the base model, where the folder holds an adapter on it.
        folded: whether the folder holds a stack's layers once each, and code that runs the path.
    """
    sources = list(dict.fromkeys(sources_of(recipe)))
    parts = [
        _front_matter(sources, adapter_on),
        f"# {title}",
        _introduction(job, adapter_on),
        _lineage(sources),
    ]
    if isinstance(recipe, Stack):
        parts.append(_path(recipe))
    if comparison is not None:
        parts.append(_scores(comparison))
    loading = _loading(folded) if adapter_on is None else _loading_adapter(adapter_on)
    parts += [loading, _origin(recipe, job)]
    return "\n\n".join(parts) + "\n"


def _front_matter(sources: list[Source], adapter_on: Source | None) -> str:
    library, relation = ("peft", "adapter") if adapter_on else ("transformers", "merge")
    data: dict[str, Any] = {"library_name": library, "tags": ["merge", "evomerge"]}
    names = [name for source in sources for name in (source.model, source.adapter) if name]
    if adapter_on is not None:
        names = [adapter_on.model]
    # The hub knows only its own models; a path would be a broken link there.
    known = list(dict.fromkeys(name for name in names if not _is_path(name)))
    if known:
        data |= {"base_model": known, "base_model_relation": relation}
    return f"---\n{_yaml(data)}---"


def _introduction(job: Mapping[str, Any] | None, adapter_on: Source | None) -> str:
    how = "built from a recipe" if job is None else "found by an evolutionary search over recipes"
    what = (
        "A merge of existing models" if adapter_on is None else "A LoRA adapter merged from others"
    )
    return f"{what}, {how} and built with evomerge."


def _lineage(sources: list[Source]) -> str:
    lines = ["## Made from", ""]
    for source in sources:
        revision = f" at revision `{source.revision}`" if source.revision else ""
        adapter = f", with the LoRA adapter {_link(source.adapter)}" if source.adapter else ""
        lines.append(f"- {_link(source.model)}{revision}{adapter}")
    return "\n".join(lines)


def _path(stack: Stack) -> str:
    lines = [
        "## Path",
        "",
        f"{count(len(stack.hops), 'hop')}, layers from 0: {path_text(stack)}.",
        "",
    ]
    if any(hop.scale != 1 for hop in stack.hops):
        lines.append(f"After an x stands what multiplies {SCALED[stack.scaling]}.")
    lines.append(
        f"The embedding is that of {stack.embedding}, the head (with the last norm) that of"
        f" {stack.head}."
    )
    return "\n".join(lines)


def _scores(comparison: Comparison) -> str:
    about = f"On the {comparison.split} split, which the search never saw"
    parts = ["## Scores", f"{about}; this model is `{comparison.winner}`."]
    for table in comparison.tables:
        header, *rows = table.to_rows()
        lines = [header, tuple("---" for _ in header), *rows]
        parts.append(f"**{comparison.title(table)}**")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*parts, *(f"*{remark}*" for remark in comparison.remarks())])


def _loading(folded: bool) -> str:
    trust = ", trust_remote_code=True" if folded else ""
    text = f"""## How to load it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # the folder of this file, or its name on the hub
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto"{trust})
tokenizer = AutoTokenizer.from_pretrained(folder{trust})
```"""
    return f"{text}\n\n{_PATH}" if folded else text


def _loading_adapter(base: Source) -> str:
    revision = f", revision={base.revision!r}" if base.revision else ""
    return f"""## How to load it

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {base.model!r}
model = AutoModelForCausalLM.from_pretrained(base{revision}, dtype="auto")
model = PeftModel.from_pretrained(model, ".")  # the folder of this file, or its name on the hub
tokenizer = AutoTokenizer.from_pretrained(base{revision})
```"""


def _origin(recipe: Recipe, job: Mapping[str, Any] | None) -> str:
    lines = ["## Recipe", ""]
    if job is not None:
        lines.append(f"- search: {job.get('name', 'unnamed')}, seed {job.get('seed', 'unknown')}")
    lines += [f"- digest: `{digest(recipe)}`", f"- versions: {_versions()}"]
    return "\n".join([*lines, "", f"```yaml\n{_yaml(plain(recipe))}```"])


def _versions() -> str:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(versions)


def _link(name: str) -> str:
    return f"`{name}`" if _is_path(name) else f"[{name}](https://huggingface.co/{name})"


def _is_path(name: str) -> bool:
    return Path(name).is_absolute() or name.startswith((".", "~")) or Path(name).exists()


def _yaml(data: Any) -> str:
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return text
