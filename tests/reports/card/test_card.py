from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load

from evomerge.evaluators.base import Report, TaskScore
from evomerge.models.parent_cards import ParentCard
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Stack
from evomerge.reports.card import card
from evomerge.reports.card.markdown import escaped
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


def front_matter(text: str) -> dict[str, Any]:
    opening, front, _ = text.split("---\n", 2)
    assert opening == ""
    data = yaml.safe_load(front)
    assert isinstance(data, dict)
    return data


def test_the_front_matter_names_what_the_hub_can_link() -> None:
    assert front_matter(card(title="t", recipe=RECIPE, job=None, comparison=None)) == {
        "library_name": "transformers",
        "license": "unknown",
        "pipeline_tag": "text-generation",
        "tags": ["merge", "evomerge"],
        "base_model": ["org/base", "org/math-lora"],
        "base_model_relation": "merge",
    }


def test_what_is_no_language_model_is_loaded_as_what_it_is() -> None:
    for name, task in (
        ("BertForSequenceClassification", "text-classification"),
        ("BertModel", "feature-extraction"),
        ("T5ForConditionalGeneration", None),
    ):
        text = card(title="t", recipe=RECIPE, job=None, comparison=None, architecture=name)
        assert front_matter(text).get("pipeline_tag") == task
        assert f"model = {name}.from_pretrained(folder" in text
        assert "AutoModelForCausalLM" not in text


def test_license_and_languages_are_the_parents() -> None:
    parents = (
        ParentCard("org/base", ("apache-2.0",), languages=("en", "de")),
        ParentCard("org/math-lora", ("llama3.1",), languages=("en",)),
    )
    text = card(title="t", recipe=RECIPE, job=None, comparison=None, parents=parents)
    data = front_matter(text)
    assert (data["license"], data["language"]) == ("llama3.1", ["en", "de"])
    assert "\n## License\n\nllama3.1, the strictest of the parents' licenses: " in text


def test_a_copy_of_a_parent_is_not_called_a_merge() -> None:
    source = Source(model="org/math", revision="abc")
    job = {"name": "s", "seed": 1}
    text = card(title="t", recipe=source, job=job, comparison=None, copy_of="math")
    data = front_matter(text)
    assert data["base_model"] == ["org/math"]
    assert "base_model_relation" not in data
    assert data["tags"] == ["evomerge"]
    assert "This is the parent `math`: the recipe takes all weights from it" in text
    assert "found by" not in text


def test_an_adapter_says_on_what_and_how_it_is_loaded() -> None:
    text = card(title="t", recipe=RECIPE, job=None, comparison=None, adapter_on=BASE)
    assert front_matter(text) == {
        "library_name": "peft",
        "license": "unknown",
        "pipeline_tag": "text-generation",
        "tags": ["merge", "evomerge", "lora"],
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
    text = card(title="My merge, candidate 3", recipe=RECIPE, job=None, comparison=comparison)
    assert "this model is `evolved`" in text
    lines = text.splitlines()
    header = next(at for at, line in enumerate(lines) if line.startswith("| model | exact"))
    assert lines[header + 1] == "| --- | --- | --- | --- | --- | --- |"
    assert lines[header + 2].startswith("| evolved | 0.750 | 0.598 to 0.858 |")
    assert lines[header + 3].startswith("| math | 0.000 | 0.000 to 0.088 | +0.750 | +0.5")
    for remark in comparison.remarks():
        assert escaped(remark) in text
    (index,) = front_matter(text)["model-index"]
    assert index["name"] == "My-merge-candidate-3"
    (result,) = index["results"]
    assert result["task"]["type"] == "text-generation"
    assert result["dataset"] == {"name": "flagship", "type": "flagship", "split": "holdout"}
    assert result["metrics"] == [
        {
            "type": "exact_match",
            "value": 0.75,
            "name": "exact_match, 40 examples, 95 % interval 0.598 to 0.858",
            "verified": False,
        }
    ]


def test_the_verdict_and_what_was_lost_stand_above_and_below_the_tables() -> None:
    def report(sums: int, names: int) -> Report:
        tasks = {}
        for task, ones in (("sums", sums), ("names", names)):
            examples = (1.0,) * ones + (0.0,) * (100 - ones)
            tasks[task] = TaskScore(metric="exact_match", value=ones / 100, examples=examples)
        return Report(split="holdout", tasks=tasks)

    comparison = Comparison.of(
        {"evolved": report(80, 30), "math": report(50, 90)}, winner="evolved", parents=("math",)
    )
    assert comparison.verdict is not None
    assert comparison.lost
    text = card(title="t", recipe=RECIPE, job=None, comparison=comparison)
    scores = text.split("## Scores")[1]
    assert f"\n\n**{escaped(comparison.verdict.sentence)}**\n\n" in scores.split("| model")[0]
    assert "lost: names 0.900 (math) -\\> 0.300" in scores
    # The mean of the tasks is in a table, and is no data set of the hub.
    assert len(comparison.tables) == 3
    (index,) = front_matter(text)["model-index"]
    assert [result["dataset"]["name"] for result in index["results"]] == ["sums", "names"]


def test_the_hubs_own_library_reads_it_back(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(card(title="t: [x] --- 'y'", recipe=RECIPE, job=None, comparison=None))
    loaded = ModelCard.load(path)
    assert loaded.data.base_model == ["org/base", "org/math-lora"]
    assert metadata_load(path) == loaded.data.to_dict()
    assert loaded.content == path.read_text()


def test_nothing_that_a_user_named_changes_the_markdown() -> None:
    title = "a | b\n---\n# <script>"
    named = "x` ```\n# y"
    recipe = Merge(method="linear", inputs={named: Source(model="./`m`\n# n")})
    text = card(title=title, recipe=recipe, job={"name": "a*b", "seed": 1}, comparison=None)
    _, _, body = text.split("---\n", 2)
    headings = [line for line in body.splitlines() if line.startswith("#")]
    assert headings[0] == r"# a \| b --- \# \<script\>"
    sections = ["How to use it", "Made from", "License", "Recipe"]
    assert [line for line in headings if line.startswith("## ")] == [f"## {s}" for s in sections]
    assert "- search: a\\*b, seed 1" in body
    assert "- ``./`m` # n``\n" in body
    fence = body.split("```yaml")[0].rpartition("\n")[2] + "```"
    written = body.split(f"{fence}yaml\n")[1].rpartition(f"\n{fence}")[0]
    assert yaml.safe_load(written) == plain(recipe)


def test_an_example_fits_the_tokenizer() -> None:
    chat = card(title="t", recipe=RECIPE, job=None, comparison=None, chats=True)
    assert "apply_chat_template" in chat
    other = card(title="t", recipe=RECIPE, job=None, comparison=None)
    assert "apply_chat_template" not in other
    assert "model.generate(**prompt" in other


def test_a_strangers_names_are_no_part_of_the_page() -> None:
    """A folder may be called like a place of the hub's cache, and so bring its own name along."""
    attack = "org/evil)<img src=x onerror=y> [a](javascript:b)\n---\nlicense: mit"
    recipe = Merge(method="linear", inputs={"a": Source(model=attack), "b": BASE})
    parents = (ParentCard(attack, ("other",), attack, attack, (attack,)),)
    job = {"name": attack, "seed": attack}
    text = card(title=attack, recipe=recipe, job=job, comparison=None, parents=parents)
    assert ModelCard(text).content == text
    front, page = text.removeprefix("---\n").split("\n---\n\n", 1)
    data = yaml.safe_load(front)
    assert data["license"] == "other"
    assert data["base_model"] == [attack, "org/base"]
    page = page.partition("```yaml")[0]
    assert "<img" not in page.replace("\\<img", "")
    assert "](javascript" not in page.replace("\\](javascript", "")
    assert "https://huggingface.co/org/evil%29%3Cimg%20src" in page
    assert "\n---\n" not in page


def test_a_search_on_public_test_data_is_told_at_once_and_once() -> None:
    named = ["gsm8k: search on all of 'test'"]
    scores = {
        model: Report(split="holdout", tasks={"t": TaskScore.averaged("acc", [1.0, 0.0, own])})
        for model, own in (("evolved", 1.0), ("base", 0.0))
    }
    comparison = Comparison.of(scores, winner="evolved", test_sets=named)
    said = "ound on public test data (gsm8k: search on all of 'test')"
    for shown in (comparison, None):
        text = card(title="t", recipe=RECIPE, job={}, comparison=shown, test_sets=named)
        assert text.count("public test data") == 1
        assert escaped(said) in text.split("## ")[0]
    assert "public test" not in card(title="t", recipe=RECIPE, job={}, comparison=None)
