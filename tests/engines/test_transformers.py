from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evomerge.conformance.engines import LAWS, PROMPTS, EngineSubject
from evomerge.conformance.tiny_models import Edited, Reference, encode
from evomerge.engines.base import Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.transformers import TransformersEngine
from evomerge.errors import CandidateError, SourceError
from evomerge.evaluators.live_model import Sampling
from tests.engines.conftest import Siblings


@pytest.fixture
def engine(transformers_engine: Engine) -> Engine:
    return transformers_engine


@pytest.fixture(scope="module")
def on_cuda(siblings: Siblings) -> Iterator[Engine]:
    config = EngineConfig(kind="transformers", device="cuda", dtype="float32")
    engine = TransformersEngine(config, siblings.one)
    yield engine
    engine.close()


@pytest.mark.parametrize("law", LAWS)
def test_contract(
    law: str, engine: Engine, siblings: Siblings, references: tuple[Reference, Reference]
) -> None:
    LAWS[law](EngineSubject(engine, (siblings.one, siblings.other), references))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("law", LAWS)
def test_contract_on_cuda(
    law: str, on_cuda: Engine, siblings: Siblings, references: tuple[Reference, Reference]
) -> None:
    LAWS[law](EngineSubject(on_cuda, (siblings.one, siblings.other), references))


@pytest.mark.parametrize(("batch_size", "batch_tokens"), [(2, 10_000), (128, 60)])
def test_batches_do_not_show(
    siblings: Siblings,
    references: tuple[Reference, Reference],
    batch_size: int,
    batch_tokens: int,
) -> None:
    config = EngineConfig(
        device="cpu", dtype="float32", batch_size=batch_size, batch_tokens=batch_tokens
    )
    engine = TransformersEngine(config, siblings.one)
    prompts = encode(engine.tokenizer, *PROMPTS)
    found = engine.generate(prompts, [Sampling(max_new_tokens=10)] * len(prompts))
    expected = [references[0].text(references[0].continuation(p, 10)) for p in prompts]
    assert [generation.text for generation in found] == expected
    scores = engine.logprobs([(prompt, [7, 8]) for prompt in prompts])
    for prompt, score in zip(prompts, scores, strict=True):
        assert score.total == pytest.approx(references[0].logprob(prompt, [7, 8]), abs=1e-4)


def test_steps_are_batches_and_tokens(siblings: Siblings) -> None:
    config = EngineConfig(device="cpu", dtype="float32", batch_size=2)
    engine = TransformersEngine(config, siblings.one)
    prompts = encode(engine.tokenizer, *PROMPTS)
    steps: list[int] = []
    engine.logprobs([(prompt, [7, 8]) for prompt in prompts], lambda: steps.append(1))
    assert len(steps) == 3  # five prompts, two at a time
    steps.clear()
    generations = engine.generate(
        prompts[:1], [Sampling(max_new_tokens=10)], lambda: steps.append(1)
    )
    assert len(steps) == generations[0].tokens == 10

    def until_the_fifth() -> None:
        steps.append(1)
        if len(steps) == 15:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        engine.generate(prompts, [Sampling(max_new_tokens=10)] * 5, until_the_fifth)
    again = engine.generate(prompts[:1], [Sampling(max_new_tokens=10)])
    assert again == generations  # what was cut off leaves no trace


def test_sequences_that_end_early_leave_the_others_alone(
    engine: Engine, siblings: Siblings, references: tuple[Reference, Reference]
) -> None:
    """Limits from 1 to 16, the longest prompt first: the batch shrinks many times."""
    engine.load(Edited(siblings.one))
    prompts = encode(engine.tokenizer, *("Once upon " + "a time " * n for n in range(16, 0, -1)))
    found = engine.generate(prompts, [Sampling(max_new_tokens=n) for n in range(1, 17)])
    expected = [
        references[0].text(references[0].continuation(p, n)) for n, p in enumerate(prompts, 1)
    ]
    assert [generation.text for generation in found] == expected


def test_overflow_on_the_way_is_the_candidates_fault(engine: Engine, siblings: Siblings) -> None:
    large = {
        name: tensor * 1e20 if "norm" in name else tensor
        for name, tensor in Edited(siblings.one).tensors()
    }
    engine.load(Edited(siblings.one, large))
    with pytest.raises(CandidateError, match="output is not finite"):
        engine.generate([[1, 2]], [Sampling(max_new_tokens=2)])
    with pytest.raises(CandidateError, match="output is not finite"):
        engine.logprobs([([1, 2], [3])])


def test_overflow_in_the_engines_own_precision_is_not_finite(siblings: Siblings) -> None:
    config = EngineConfig(kind="transformers", device="cpu", dtype="float16")
    engine = TransformersEngine(config, siblings.one)
    name = "model.norm.weight"
    with pytest.raises(CandidateError, match=f"{name} is not finite as torch.float16"):
        engine.load(Edited(siblings.one, {name: torch.full((64,), 1e5)}))


def test_untied_heads_and_other_shapes_of_attention(tmp_path: Path, siblings: Siblings) -> None:
    """No groups, a head of its own: the paths that the family of the other tests does not take."""
    config = LlamaConfig.from_pretrained(siblings.one)
    config.tie_word_embeddings, config.num_key_value_heads = False, config.num_attention_heads
    torch.manual_seed(3)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    for file in siblings.one.glob("tok*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    engine = TransformersEngine(EngineConfig(dtype="float32", device="cpu"), tmp_path)
    reference = Reference(tmp_path)
    (prompt,) = encode(engine.tokenizer, PROMPTS[3])
    (found,) = engine.generate([prompt], [Sampling(max_new_tokens=6)])
    assert found.text == reference.text(reference.continuation(prompt, 6))
    with pytest.raises(CandidateError, match=r"lack 1 tensors, first lm_head.weight"):
        engine.load(Edited(tmp_path, without=("lm_head.weight",)))


@pytest.mark.parametrize(
    ("lacks", "sentence"),
    [("config.json", r"config\.json: no such file"), ("tokenizer", "no readable tokenizer")],
)
def test_a_folder_that_is_no_model_is_refused(
    tmp_path: Path, siblings: Siblings, lacks: str, sentence: str
) -> None:
    for file in siblings.one.iterdir():
        if not file.name.startswith(lacks):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SourceError, match=sentence):
        TransformersEngine(EngineConfig(kind="transformers"), tmp_path)


def test_pickled_checkpoints_are_refused(tmp_path: Path, siblings: Siblings) -> None:
    for file in siblings.one.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SourceError, match="is a pickle checkpoint"):
        TransformersEngine(EngineConfig(kind="transformers"), tmp_path)
