from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoTokenizer

from evomerge.conformance.tiny_models import Edited, Reference, encode
from evomerge.engines.base import Engine
from evomerge.errors import CandidateError, ConfigError, DeadlineExceeded
from evomerge.evaluators.base import Report, Selection
from evomerge.evaluators.live_model import Generation, LogProb, Sampling
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator
from evomerge.evaluators.registry import read_evaluator
from evomerge.evaluators.selection import join
from tests.engines.conftest import Siblings
from tests.evaluators.scripted import ScriptedEngine
from tests.evaluators.task_folder import (
    SPLITS,
    choice_task,
    evaluator,
    rolling_task,
    sum_task,
    write_task,
)

SUMS = {"sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0}}


@pytest.fixture(scope="module")
def tokenizer(siblings: Siblings) -> Any:
    return AutoTokenizer.from_pretrained(siblings.one)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    return tmp_path


def build(folder: Path, data: dict[str, Any]) -> LmEvalEvaluator:
    config = read_evaluator(data, folder=folder, origin="evaluator.yaml")
    assert isinstance(config, LmEvalConfig)
    return LmEvalEvaluator(config)


def add(prompt: str) -> str:
    """Right, except about sums from 21 on, and cut off in the middle of one."""
    a, b = (int(number) for number in re.findall(r"\d+", prompt)[-2:])
    if a == 12:
        return ""
    return f"{a} + {b} = {a + b + (a > 21)}.0"


def test_scores_example_by_example(folder: Path, tokenizer: Any) -> None:
    engine = ScriptedEngine(tokenizer, add)
    suite = build(folder, evaluator(SUMS))
    report = suite.evaluate(engine, "holdout")
    assert list(report.tasks["sums"].examples) == [1, 1, 0, 0, 0, 0]
    assert report.tasks["sums"].value == pytest.approx(1 / 3)
    assert report.tasks["sums"].higher_is_better
    assert report.truncated == 0
    assert report.seconds["evaluate"] > 0
    assert engine.prompts[0] == "What is 20 + 1?"
    assert engine.samplings[0].max_new_tokens == 6
    assert engine.samplings[0].stop == ("\n\n",)

    report = suite.evaluate(engine, "validation")
    assert list(report.tasks["sums"].examples) == [1, 1, 0, 1, 1, 1]
    assert report.truncated == pytest.approx(1 / 6)


def test_asks_the_same_again(folder: Path, tokenizer: Any) -> None:
    engine = ScriptedEngine(tokenizer, add)
    suite = build(folder, evaluator(SUMS))
    first, second = (suite.evaluate(engine, "search") for _ in range(2))
    assert first.tasks == second.tasks
    assert engine.prompts[:6] == engine.prompts[6:]


def test_search_asks_only_what_counts(folder: Path, tokenizer: Any) -> None:
    sum_task(folder / "tasks", "more")
    suite = build(folder, evaluator(SUMS | {"more": {**SUMS["sums"], "weight": 0.0}}))
    engine = ScriptedEngine(tokenizer, add)
    assert suite.evaluate(engine, "search").tasks.keys() == {"sums"}
    assert suite.evaluate(engine, "holdout").tasks.keys() == {"sums", "more"}


def test_ranges_and_limits_choose_documents(folder: Path, tokenizer: Any) -> None:
    splits = {
        "search": {"split": "holdout", "first": 1, "end": 5},
        "holdout": {"split": "holdout", "first": 5},
    }

    def asked(split: Any, **keys: Any) -> list[str]:
        engine = ScriptedEngine(tokenizer, add)
        build(folder, evaluator(SUMS, splits=splits, **keys)).evaluate(engine, split)
        return [prompt.split()[2] for prompt in engine.prompts]

    assert asked("search") == ["21", "22", "23", "24"]
    assert asked("holdout") == ["25"]
    assert asked("search", limits={"search": 9}) == ["21", "22", "23", "24"]
    samples = {tuple(asked("search", limits={"search": 2}, seed=seed)) for seed in range(8)}
    assert len(samples) > 1
    assert all(sample == tuple(sorted(sample)) for sample in samples)
    assert all(len({*sample} & {"21", "22", "23", "24"}) == 2 for sample in samples)
    assert asked("search", limits={"search": 2}) == asked("search", limits={"search": 2})

    splits["search"]["end"], splits["holdout"]["first"] = 5, 9
    with pytest.raises(ConfigError, match="but there are 6"):
        asked("holdout")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"doc_to_text": "{{question.nothing.at_all}}"}, "task 'sums': its documents cannot be a"),
        ({"doc_to_choice": "{{ answer"}, "task 'sums': its documents cannot be asked (Template"),
    ],
)
def test_a_task_that_does_not_fit_its_documents_is_the_users_error(
    folder: Path, tokenizer: Any, keys: dict[str, Any], said: str
) -> None:
    path = folder / "tasks" / "sums.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | keys))
    suite = build(folder, evaluator(SUMS))
    with pytest.raises(ConfigError) as caught:
        suite.evaluate(ScriptedEngine(tokenizer, add), "search")
    assert said in str(caught.value)


def test_chat_template_system_and_examples(folder: Path, tokenizer: Any) -> None:
    sum_task(folder / "tasks", fewshot_split="validation")
    engine = ScriptedEngine(tokenizer, add)
    suite = build(
        folder,
        evaluator(SUMS, chat_template=True, system_instruction="Be brief.", num_fewshot=1),
    )
    suite.evaluate(engine, "search")
    expected = (
        r"<\|im_start\|>system\nBe brief\.<\|im_end\|>\n"
        r"<\|im_start\|>user\nWhat is 1\d \+ \d\?<\|im_end\|>\n"
        r"<\|im_start\|>assistant\n1\d<\|im_end\|>\n"
        r"<\|im_start\|>user\nWhat is 0 \+ 1\?<\|im_end\|>\n<\|im_start\|>assistant\n"
    )
    assert re.fullmatch(expected, engine.prompts[0])


def test_long_prompts_lose_their_beginning(folder: Path, tokenizer: Any) -> None:
    engine = ScriptedEngine(tokenizer, lambda _: "1")
    engine.max_length = 6 + 9
    build(folder, evaluator(SUMS)).evaluate(engine, "search")
    assert engine.prompts[0] == "is 0 + 1?"
    engine.max_length = 6
    with pytest.raises(ConfigError, match="generates 6 tokens, but the engine takes 6"):
        build(folder, evaluator(SUMS)).evaluate(engine, "search")


def test_repeats_differ_by_seed(folder: Path, tokenizer: Any) -> None:
    sum_task(
        folder / "tasks",
        repeats=3,
        generation={"do_sample": True, "temperature": 0.7, "max_new_tokens": 5},
    )
    engine = ScriptedEngine(tokenizer, add)
    build(folder, evaluator(SUMS)).evaluate(engine, "search")
    assert [sampling.seed for sampling in engine.samplings[:6]] == [0, 1, 2, 0, 1, 2]
    assert engine.samplings[0].temperature == 0.7
    assert engine.samplings[0].max_new_tokens == 5


def test_what_engines_lack_is_refused(folder: Path, tokenizer: Any) -> None:
    sum_task(folder / "tasks", generation={"num_beams": 4, "until": []})
    with pytest.raises(ConfigError, match="generation_kwargs has 'num_beams'"):
        build(folder, evaluator(SUMS)).evaluate(ScriptedEngine(tokenizer), "search")


def test_a_score_that_is_not_finite_is_the_candidates_fault(folder: Path, tokenizer: Any) -> None:
    rolling_task(folder / "tasks")
    engine = ScriptedEngine(tokenizer)
    engine.score = LogProb(-math.inf, False)
    tasks = {"prose": {"metric": "bits_per_byte", "weight": 1}}
    with pytest.raises(CandidateError, match="'prose': bits_per_byte is not finite"):
        build(folder, evaluator(tasks)).evaluate(engine, "search")


@pytest.mark.parametrize(
    "entry", ["json_math/evaluator.yaml", "json_math_foreign.yaml", "json_math_varied.yaml"]
)
def test_the_shipped_tasks_are_solved_by_who_knows_the_answers(tokenizer: Any, entry: str) -> None:
    folder = Path(__file__).parents[3] / "evaluators"
    shipped = folder / entry
    rows = [
        (path.parent.name, json.loads(line))
        for path in sorted((folder / "json_math" / "data").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    results = {
        row["question"]: row["answer"] if kind in ("math", "spell") else json.dumps(row)
        for kind, row in rows
    }

    def know(prompt: str) -> str:
        return str(results[prompt.split("<|im_start|>user\n")[1].split("<|im_end|>")[0]])

    data = yaml.safe_load(shipped.read_text())
    data["limits"] = dict.fromkeys(SPLITS, 40)
    suite = build(shipped.parent, data)
    for split in SPLITS:
        report = suite.evaluate(ScriptedEngine(tokenizer, know), split)  # type: ignore[arg-type]
        assert {score.value for score in report.tasks.values()} == {1.0}
        ignorant = suite.evaluate(ScriptedEngine(tokenizer, lambda _: "none"), split)  # type: ignore[arg-type]
        assert {score.value for score in ignorant.tasks.values()} == {0.0}


@pytest.fixture
def real(tmp_path: Path, references: tuple[Reference, Reference]) -> LmEvalEvaluator:
    """One task of each kind; of the generated answers every other is right."""
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    choice_task(tasks)
    rolling_task(tasks)
    rows = {}
    for split in SPLITS:
        prompts = [f"{split} {'word ' * n}{n}" for n in range(6)]
        said = [
            references[0].text(references[0].continuation(tokens, 8))
            for tokens in encode(references[0].tokenizer, *prompts)
        ]
        rows[split] = [
            {"prompt": prompt, "answer": " ".join(text.split()) if n % 2 else "no", "n": n}
            for n, (prompt, text) in enumerate(zip(prompts, said, strict=True))
        ]
    write_task(
        tasks,
        "echo",
        rows,
        output_type="generate_until",
        doc_to_text="{{prompt}}",
        doc_to_target="{{answer}}",
        generation_kwargs={"do_sample": False, "max_gen_toks": 8, "until": ["\n\n"]},
        filter_list=[
            {
                "name": "answer",
                "filter": [{"function": "evomerge_text"}, {"function": "take_first"}],
            }
        ],
        metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    )
    counted = {
        "echo": {"metric": "exact_match", "filter": "answer", "weight": 1.0},
        "colours": {"metric": "acc_norm", "weight": 1.0},
        "prose": {"metric": "bits_per_byte", "weight": 1.0},
    }
    return build(tmp_path, evaluator(counted))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_are_lm_evals_own(
    real: LmEvalEvaluator,
    transformers_engine: Engine,
    siblings: Siblings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.chdir(tmp_path / "tasks")  # lm-eval looks there for relative data files
    transformers_engine.load(Edited(siblings.one))
    ours = real.evaluate(transformers_engine, "holdout")
    theirs = simple_evaluate(
        model=HFLM(pretrained=str(siblings.one), dtype="float32", device="cpu", batch_size=4),
        tasks=["echo", "colours", "prose"],
        task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    for task, filter_, metric in (
        ("echo", "answer", "exact_match"),
        ("colours", "none", "acc_norm"),
        ("prose", "none", "bits_per_byte"),
    ):
        score = ours.tasks[task]
        assert score.value == pytest.approx(
            theirs["results"][task][f"{metric},{filter_}"], abs=1e-5
        )
        if metric != "bits_per_byte":
            samples = sorted(theirs["samples"][task], key=lambda sample: sample["doc_id"])
            assert score.examples == tuple(sample[metric] for sample in samples)
    assert sum(ours.tasks["echo"].examples) == 3
    assert not ours.tasks["prose"].higher_is_better
    assert len(ours.tasks["prose"].examples) == 4


def test_candidates_do_not_see_each_other(
    real: LmEvalEvaluator, transformers_engine: Engine, siblings: Siblings
) -> None:
    reports = []
    for folder in (siblings.one, siblings.other, siblings.one):
        transformers_engine.load(Edited(folder))
        reports.append(real.evaluate(transformers_engine, "holdout"))
    assert reports[0].tasks == reports[2].tasks
    assert reports[0].tasks != reports[1].tasks


def test_a_part_has_the_wholes_scores_at_its_places(
    real: LmEvalEvaluator, transformers_engine: Engine, siblings: Siblings
) -> None:
    transformers_engine.load(Edited(siblings.one))
    whole = real.evaluate(transformers_engine, "holdout")
    assert whole.places is None
    parts: list[Selection] = [
        {"echo": (1, 4), "prose": (0, 3)},
        {"echo": (0, 2, 3, 5), "colours": (0, 1, 2, 3, 4), "prose": (1, 2)},
    ]
    reports = [real.evaluate(transformers_engine, "holdout", part) for part in parts]
    for part, report in zip(parts, reports, strict=True):
        assert report.places == part
        assert report.tasks.keys() == part.keys()
        for task, places in part.items():
            expected = [whole.tasks[task].examples[place] for place in places]
            # Sums of log-probabilities differ in the last digits with the shape of a batch.
            exact = task != "prose"
            examples = list(report.tasks[task].examples)
            assert examples == (expected if exact else pytest.approx(expected, rel=1e-5))
    joined = join(reports, {"echo": 6, "colours": 5, "prose": 4})
    assert joined.places is None
    assert joined.tasks["echo"] == whole.tasks["echo"]
    assert joined.tasks["prose"].value == pytest.approx(whole.tasks["prose"].value, rel=1e-5)
    assert join(reports[:1], {"echo": 6, "colours": 5, "prose": 4}).places == parts[0]


def test_places_that_are_not_there_are_refused(folder: Path, tokenizer: Any) -> None:
    suite = build(folder, evaluator(SUMS))
    engine = ScriptedEngine(tokenizer, add)
    for examples, law in (
        ({"sum": (0,)}, "no task 'sum'; did you mean 'sums'"),
        ({"sums": (5, 6)}, "places from 5 to 6 are wanted, but the split has 6 examples"),
        ({"sums": (2, 1)}, "must ascend"),
    ):
        with pytest.raises(ConfigError, match=law):
            suite.evaluate(engine, "search", examples)
    assert not engine.prompts


def test_a_deadline_that_has_passed_ends_the_evaluation(
    real: LmEvalEvaluator, transformers_engine: Engine, siblings: Siblings
) -> None:
    transformers_engine.load(Edited(siblings.one))
    with pytest.raises(DeadlineExceeded, match="not scored within 0 s"):
        real.evaluate(transformers_engine, "search", deadline_s=0)
    before = real.evaluate(transformers_engine, "search")
    assert real.evaluate(transformers_engine, "search", deadline_s=6000).tasks == before.tasks


def by_text(folder: Path) -> dict[str, Any]:
    """Sums in texts of two questions each."""
    rows = {
        split: [
            {"question": f"What is {a} + 1?", "answer": str(a + 1), "text": ["a", a // 2]}
            for a in range(10 * i, 10 * i + 6)
        ]
        for i, split in enumerate(SPLITS)
    }
    file = yaml.safe_load((folder / "tasks" / "sums.yaml").read_text())
    keys = {key: file[key] for key in ("output_type", "doc_to_text", "doc_to_target")}
    keys |= {"filter_list": file["filter_list"], "metric_list": file["metric_list"]}
    write_task(folder / "tasks", "texts", rows, **keys)
    return {"texts": SUMS["sums"] | {"clusters": "text"}}


def test_reports_keep_which_examples_share_a_source(folder: Path, tokenizer: Any) -> None:
    suite = build(folder, evaluator(by_text(folder)))
    engine = ScriptedEngine(tokenizer, add)
    report = suite.evaluate(engine, "search")
    sources = ('["a", 0]', '["a", 0]', '["a", 1]', '["a", 1]', '["a", 2]', '["a", 2]')
    assert report.tasks["texts"].clusters == sources
    assert Report.model_validate_json(report.model_dump_json()).tasks == report.tasks
    parts = [suite.evaluate(engine, "search", {"texts": at}) for at in ((1, 4), (0, 2, 3, 5))]
    assert parts[0].tasks["texts"].clusters == ('["a", 0]', '["a", 2]')
    assert join(parts, {"texts": 6}).tasks == report.tasks
    read = read_evaluator(evaluator(by_text(folder)), folder=folder, origin="evaluator.yaml")
    assert isinstance(read, LmEvalConfig)
    choice = read.tasks["texts"].model_copy(update={"clusters": "page"})
    changed = LmEvalEvaluator(read.model_copy(update={"tasks": {"texts": choice}}))
    with pytest.raises(ConfigError, match="clusters: its documents have no field 'page'"):
        changed.evaluate(engine, "search")


def test_a_groups_sources_are_those_of_one_task(folder: Path, tokenizer: Any) -> None:
    by_text(folder)
    sum_task(folder / "tasks")
    tasks = {"both": SUMS["sums"] | {"members": ["texts", "sums"], "clusters": "answer"}}
    report = build(folder, evaluator(tasks)).evaluate(ScriptedEngine(tokenizer, add), "search")
    clusters = report.tasks["both"].clusters
    assert clusters is not None
    assert clusters[:2] == ("texts:1", "texts:2")
    assert clusters[6:8] == ("sums:1", "sums:3")


@pytest.mark.parametrize("said", ["}", ["}", "]"]])
def test_what_decides_an_answer_is_told_the_engine(
    folder: Path, tokenizer: Any, said: str | list[str]
) -> None:
    sum_task(folder / "tasks", "decided", generation={"until": ["\n"], "decided": said})
    engine = ScriptedEngine(tokenizer, add)
    build(folder, evaluator({"decided": SUMS["sums"]})).evaluate(engine, "search")
    assert {sampling.decided for sampling in engine.samplings} == {tuple(said)}
    assert {sampling.stop for sampling in engine.samplings} == {("\n",)}


def drawn_sums(folder: Path) -> dict[str, Any]:
    sum_task(
        folder / "tasks",
        "drawn",
        generation={"do_sample": True, "temperature": 0.8, "max_gen_toks": 6, "until": ["\n\n"]},
    )
    return {"drawn": SUMS["sums"]} | SUMS


class _Drawing(ScriptedEngine):
    """Wrong with the second seed."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        answers = super().generate(prompts, samplings, between_steps)
        wrong = Generation("7 ", 2, False)
        return [
            wrong if sampling.seed == 1 else answer
            for answer, sampling in zip(answers, samplings, strict=True)
        ]


def test_drawn_answers_are_averaged_over_seeds(folder: Path, tokenizer: Any) -> None:
    suite = build(folder, evaluator(drawn_sums(folder), decoding_seeds=3))
    engine = _Drawing(tokenizer, add)
    report = suite.evaluate(engine, "holdout")
    drawn, greedy = report.tasks["drawn"], report.tasks["sums"]
    assert list(greedy.examples) == [1, 1, 0, 0, 0, 0]
    assert drawn.examples == pytest.approx([2 / 3, 2 / 3, 0, 0, 0, 0])
    assert drawn.value == pytest.approx(2 / 9)
    assert report.tokens is not None
    seeds = [(one.temperature, one.seed) for one in engine.samplings]
    assert seeds.count((0.0, 0)) == 6
    assert [seeds.count((0.8, seed)) for seed in range(4)] == [6, 6, 6, 0]
    assert [answer.score for answer in report.answers["drawn"]] == [1, 1, 0, 0, 0, 0]
    # Asked again, and in parts, it is the same.
    assert suite.evaluate(engine, "holdout").tasks == report.tasks
    parts = [suite.evaluate(engine, "holdout", {"drawn": at}) for at in ((0, 5), (1, 2, 3, 4))]
    assert join(parts, {"drawn": 6}).tasks["drawn"] == drawn


def test_one_seed_is_what_it_was(folder: Path, tokenizer: Any) -> None:
    once = build(folder, evaluator(drawn_sums(folder)))
    report = once.evaluate(_Drawing(tokenizer, add), "holdout")
    assert report.tasks["drawn"].examples == (1, 1, 0, 0, 0, 0)
