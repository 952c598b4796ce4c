from __future__ import annotations

import yaml

from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Stack
from evomerge.reports.card import card
from evomerge.study.comparison import Comparison

BASE = Source(model="org/base", revision="abc123")
RECIPE = Merge(
    method="task_arithmetic",
    base="base",
    inputs={
        "base": BASE,
        "math": Source(model="org/base", revision="abc123", adapter="org/math-lora"),
        "json": Source(model="/models/json"),
    },
)


def front_matter(text: str) -> dict[str, object]:
    opening, front, _ = text.split("---\n", 2)
    assert opening == ""
    data = yaml.safe_load(front)
    assert isinstance(data, dict)
    return data


def test_the_front_matter_names_what_the_hub_can_link() -> None:
    assert front_matter(card(title="t", recipe=RECIPE, job=None, comparison=None)) == {
        "library_name": "transformers",
        "tags": ["merge", "evomerge"],
        "base_model": ["org/base", "org/math-lora"],
        "base_model_relation": "merge",
    }


def test_an_adapter_says_on_what_and_how_it_is_loaded() -> None:
    text = card(title="t", recipe=RECIPE, job=None, comparison=None, adapter_on=BASE)
    assert front_matter(text) == {
        "library_name": "peft",
        "tags": ["merge", "evomerge"],
        "base_model": ["org/base"],
        "base_model_relation": "adapter",
    }
    assert "A LoRA adapter merged from others, built from a recipe" in text
    assert "base = 'org/base'\n" in text
    assert "from_pretrained(base, revision='abc123', dtype=\"auto\")" in text
    assert 'PeftModel.from_pretrained(model, ".")' in text


def test_local_models_are_not_claimed_to_be_on_the_hub() -> None:
    text = card(title="t", recipe=Source(model="./math"), job=None, comparison=None)
    assert "base_model" not in front_matter(text)
    assert "huggingface.co" not in text
    assert "- `./math`\n" in text


def test_the_lineage_gives_revisions_and_adapters() -> None:
    text = card(title="My merge", recipe=RECIPE, job=None, comparison=None)
    assert "\n# My merge\n" in text
    base = "- [org/base](https://huggingface.co/org/base) at revision `abc123`"
    assert f"{base}\n" in text
    adapter = "[org/math-lora](https://huggingface.co/org/math-lora)"
    assert f"{base}, with the LoRA adapter {adapter}\n" in text
    assert "- `/models/json`\n" in text


def test_the_recipe_reads_back_and_is_the_one_named() -> None:
    text = card(title="t", recipe=RECIPE, job=None, comparison=None)
    written = text.split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(written) == plain(RECIPE)
    assert f"- digest: `{digest(RECIPE)}`" in text
    assert "evomerge " in text.split("- versions: ")[1].splitlines()[0]


def test_a_stack_says_which_layers_run() -> None:
    hops = (Hop(of="base", layer=0), Hop(of="base", layer=1), Hop(of="math", layer=1, scale=0.9))
    stack = Stack(inputs=RECIPE.inputs, embedding="base", head="math", hops=hops)
    text = card(title="t", recipe=stack, job=None, comparison=None)
    assert "\n## Path\n\n3 hops, layers from 0: base 0-1, math 1 x0.9.\n" in text
    assert "After an x stands what multiplies the residual stream" in text
    assert "The embedding is that of base, the head (with the last norm) that of math." in text
    plain_path = stack.model_copy(update={"hops": hops[:2]})
    assert "After an x" not in card(title="t", recipe=plain_path, job=None, comparison=None)
    assert "## Path" not in card(title="t", recipe=RECIPE, job=None, comparison=None)


def test_a_search_leaves_its_name_and_seed() -> None:
    text = card(title="t", recipe=RECIPE, job={"name": "json-math", "seed": 7}, comparison=None)
    assert "- search: json-math, seed 7\n" in text
    assert "seed" not in card(title="t", recipe=BASE, job=None, comparison=None)


def test_scores_stand_in_a_table_with_their_intervals() -> None:
    def report(ones: int) -> Report:
        examples = (1.0,) * ones + (0.0,) * (40 - ones)
        score = TaskScore(metric="exact_match", value=ones / 40, examples=examples)
        return Report(split="holdout", tasks={"flagship": score})

    comparison = Comparison.of({"evolved": report(30), "math": report(0)}, winner="evolved")
    text = card(title="t", recipe=RECIPE, job=None, comparison=comparison)
    assert "this model is `evolved`" in text
    lines = text.splitlines()
    header = lines.index(
        "| model | exact_match | 95 % interval | evolved ahead by | 95 % interval | p |"
    )
    assert lines[header + 1] == "| --- | --- | --- | --- | --- | --- |"
    assert lines[header + 2] == "| evolved | 0.750 | 0.598 to 0.858 |  |  |  |"
    assert lines[header + 3].startswith("| math | 0.000 | 0.000 to 0.088 | +0.750 | +0.5")
