"""The model card: what an exported model is made of, what it scores, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import quote

from evomerge.models.parent_cards import ParentCard
from evomerge.models.portable import is_local
from evomerge.recipe.digest import digest
from evomerge.recipe.path_text import path_text
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Scaling, Stack, sources_of
from evomerge.recipe.yaml import dump_recipe
from evomerge.reports.card.licenses import merged_license
from evomerge.reports.card.loading import how_to_use
from evomerge.reports.card.markdown import code, escaped, fenced, table
from evomerge.reports.card.metadata import metadata, task_of
from evomerge.study.comparison import Comparison
from evomerge.study.remarks import on_test_sets
from evomerge.wording import count

__all__ = ["card"]

PACKAGES = ("evomerge", "torch", "transformers", "lm-eval")
"""What an exported model and its scores depend on."""
SCALED: dict[Scaling, str] = {
    "stream": "the residual stream that enters the layer",
    "mlp_output": "the last MLP's output as it enters the layer",
}


def card(
    *,
    title: str,
    recipe: Recipe,
    job: Mapping[str, Any] | None,
    comparison: Comparison | None,
    parents: Sequence[ParentCard] = (),
    copy_of: str | None = None,
    recorded: str | None = None,
    adapter_on: Source | None = None,
    folded: bool = False,
    chats: bool = False,
    keeps_code: bool = False,
    architecture: str | None = None,
    library: str = "transformers",
    test_sets: Sequence[str] = (),
) -> str:
    """A README.md in the form that the Hugging Face hub reads (front matter, then Markdown).

    Args:
        recipe: as it goes out: its sources by names that mean the same elsewhere.
        job: the resolved job of the search that found the recipe, if one did.
        comparison: the holdout scores, if there are any.
        parents: what the parents' own cards say.
        copy_of: the name of the parent whose weights the recipe makes; None: it is a new model.
        recorded: the recipe's digest in the study, where its sources have other names.
        adapter_on: the base model, where the folder holds an adapter on it.
        folded: whether the folder holds a stack's layers once each, and code that runs the path.
        chats: whether its tokenizer has a chat template.
        keeps_code: whether the folder holds Python files of a parent.
        architecture: the class of a model that is no language model (`BertModel`); None: it is one.
        library: the package that has this class: transformers or diffusers.
        test_sets: what of the search's data was a benchmark's own test set.
    """
    from huggingface_hub import ModelCard, ModelCardData

    sources = list(dict.fromkeys(sources_of(recipe)))
    license = merged_license(parents)
    data = metadata(
        title=title,
        sources=sources,
        parents=parents,
        license=license,
        comparison=comparison,
        adapter_on=adapter_on,
        copy_of=copy_of is not None,
        task="text-generation" if architecture is None else task_of(architecture, library),
        library=library,
    )
    sections = [
        f"# {escaped(title)}",
        _introduction(job, copy_of, adapter_on),
        *([f"**{escaped(_capital(on_test_sets(test_sets)))}.**"] if test_sets else []),
        *([_scores(comparison)] if comparison is not None else []),
        how_to_use(
            adapter_on=adapter_on,
            folded=folded,
            chats=chats,
            keeps_code=keeps_code,
            architecture=architecture,
            library=library,
        ),
        _made_from(sources),
        f"## License\n\n{license.sentence}",
        *([_path(recipe)] if isinstance(recipe, Stack) else []),
        _recipe(recipe, job, recorded),
    ]
    body = "\n\n".join(sections)
    return str(ModelCard(f"---\n{ModelCardData(**data).to_yaml()}\n---\n\n{body}\n"))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _introduction(
    job: Mapping[str, Any] | None, copy_of: str | None, adapter_on: Source | None
) -> str:
    if copy_of is not None:
        searched = " The search that it is from did not choose a merge." if job else ""
        return (
            f"This is the parent {code(copy_of)}: the recipe takes all weights from it, so that"
            f" nothing was merged.{searched}"
        )
    how = "built from a recipe" if job is None else "found by an evolutionary search over recipes"
    what = (
        "A merge of existing models" if adapter_on is None else "A LoRA adapter merged from others"
    )
    return f"{what}, {how} with evomerge."


def _made_from(sources: Sequence[Source]) -> str:
    lines = ["## Made from", ""]
    for source in sources:
        revision = f" at revision {code(source.revision)}" if source.revision else ""
        adapter = f", with the LoRA adapter {_link(source.adapter)}" if source.adapter else ""
        if source.adapter_revision:
            adapter += f" at revision {code(source.adapter_revision)}"
        weights = f"; weights {code(source.fingerprint)}" if source.fingerprint else ""
        lines.append(f"- {_link(source.model)}{revision}{adapter}{weights}")
    if any(source.fingerprint for source in sources):
        lines += ["", f"{FINGERPRINT} `evomerge merge` compares it before it merges."]
    return "\n".join(lines)


FINGERPRINT = (
    "What stands after *weights* is the beginning of a SHA-256 over the names, types and shapes of"
    " the tensors and a sample of their bytes, by which a folder can be told to be the same:"
)


def _path(stack: Stack) -> str:
    path = escaped(path_text(stack))
    lines = ["## Path", "", f"{count(len(stack.hops), 'hop')}, layers from 0: {path}.", ""]
    if any(hop.scale != 1 for hop in stack.hops):
        lines.append(f"After an x stands what multiplies {SCALED[stack.scaling]}.")
    lines.append(
        f"The embedding is that of {escaped(stack.embedding)}, the head (with the last norm) that"
        f" of {escaped(stack.head)}."
    )
    return "\n".join(lines)


def _scores(comparison: Comparison) -> str:
    about = f"On the {comparison.split} split, which the search never saw"
    parts = ["## Scores", f"{about}; this model is {code(comparison.winner)}."]
    for scored in comparison.tables:
        parts.append(f"**{escaped(comparison.title(scored))}**")
        parts.append(table(scored.to_rows()))
    verdict = comparison.verdict
    if verdict is not None:
        parts.insert(1, f"**{escaped(verdict.sentence)}**")
    above = on_test_sets(comparison.test_sets)  # stands at the card's beginning
    said = [remark for remark in comparison.remarks() if remark != above]
    return "\n\n".join([*parts, *map(escaped, said)])


def _recipe(recipe: Recipe, job: Mapping[str, Any] | None, recorded: str | None) -> str:
    lines = ["## Recipe", ""]
    if job is not None:
        name, seed = (escaped(str(job.get(key, "unknown"))) for key in ("name", "seed"))
        lines.append(f"- search: {name}, seed {seed}")
    in_study = f" (in the study: {code(recorded)})" if recorded else ""
    lines += [f"- digest: {code(digest(recipe))}{in_study}", f"- versions: {_versions()}"]
    return "\n".join([*lines, "", fenced(dump_recipe(recipe), "yaml")])


def _versions() -> str:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(versions)


def _link(name: str) -> str:
    shown = escaped(name)
    return code(name) if is_local(name) else f"[{shown}](https://huggingface.co/{quote(name)})"
