"""Models that read one text and write another, held to lm-eval's own class for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from evomerge.conformance.tiny_models import Edited
from evomerge.engines.config import EngineConfig
from evomerge.engines.encoder_decoder import EncoderDecoderEngine
from evomerge.engines.factory import start_engine
from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Sampling
from evomerge.evaluators.lm_eval.language_model import EngineLM
from tests.kinds import LENGTH, architecture, write_kind

pytestmark = pytest.mark.filterwarnings("default")

CONFIG = EngineConfig(kind="transformers", device="cpu", dtype="float32", batch_size=3)
TEXTS = ("the sky is", "Once upon a time there was a small fox", "a", "the fox", "of the sky " * 20)
RESTS = (" blue", " and it ran", " b", " or red", " what else is there")


@pytest.fixture(scope="module", params=["T5", "BART"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two siblings, and an engine that was started from the first."""
    root = tmp_path_factory.mktemp(request.param)
    made = architecture(request.param)
    folders = [write_kind(made, root / str(seed), seed=seed) for seed in (1, 2)]
    return folders, start_engine(CONFIG, folders[0])


def asked(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [
        Instance(request_type=kind, doc={}, arguments=own, idx=i, task_name="toy")
        for i, own in enumerate(arguments)
    ]


@pytest.mark.parametrize("sibling", [0, 1])
def test_it_answers_as_lm_evals_own_class_does(pair: Any, sibling: int) -> None:
    folders, engine = pair
    engine.load(Edited(folders[sibling]))
    ours = EngineLM(engine)
    model = AutoModelForSeq2SeqLM.from_pretrained(folders[sibling], dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folders[sibling])
    theirs: Any = HFLM(pretrained=model, tokenizer=tokenizer, backend="seq2seq", batch_size=2)
    scored = asked("loglikelihood", *zip(TEXTS, RESTS, strict=True))
    for own, other in zip(ours.loglikelihood(scored), theirs.loglikelihood(scored), strict=True):
        assert own[0] == pytest.approx(other[0], abs=1e-4)
        assert own[1] == other[1]
    settings = {"until": ["q"], "max_gen_toks": 12, "do_sample": False}
    written = asked("generate_until", *((text, settings) for text in TEXTS[:4]))
    for own, other in zip(
        ours.generate_until(written), theirs.generate_until(written), strict=True
    ):  # its limit counts the prompt's tokens as the answer's
        assert len(own) > 3
        assert other.startswith(own.rstrip("\ufffd"))
    whole = asked("loglikelihood_rolling", *((text,) for text in TEXTS[:4]))
    assert ours.loglikelihood_rolling(whole) == pytest.approx(
        theirs.loglikelihood_rolling(whole), abs=1e-4
    )


def test_prompt_and_answer_have_room_each(pair: Any) -> None:
    _, engine = pair
    assert isinstance(engine, EncoderDecoderEngine)
    assert engine.max_length == LENGTH
    long = [5] * LENGTH
    (answer,) = engine.generate([long], [Sampling(max_new_tokens=20)])
    assert answer.tokens > 0
    engine.logprobs([(long, long)])
    for refused in ([*long, 5], []):
        with pytest.raises(ValueError, match=f"at least one, and {LENGTH} of each"):
            engine.generate([refused], [Sampling(max_new_tokens=2)])


def test_what_stands_beside_a_prompt_does_not_change_its_answer(pair: Any) -> None:
    folders, engine = pair
    engine.load(Edited(folders[0]))
    prompts = [engine.tokenizer.encode(text) for text in TEXTS[:4]]
    samplings = [Sampling(max_new_tokens=n + 1) for n in range(4)]
    together = engine.generate(prompts, samplings)
    alone = [engine.generate([one], [own])[0] for one, own in zip(prompts, samplings, strict=True)]
    assert together == alone
    assert engine.logprobs([]) == engine.generate([], []) == []
    drawn = Sampling(max_new_tokens=9, temperature=2.0, seed=3)
    first, second = (engine.generate([prompts[0]], [drawn]) for _ in range(2))
    assert first == second


def test_a_first_token_that_the_model_forces_is_kept(tmp_path: Path) -> None:
    folder = write_kind(architecture("BART"), tmp_path / "bart", seed=1)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
    model.generation_config.forced_bos_token_id = 65
    model.generation_config.save_pretrained(folder)
    engine = start_engine(CONFIG, folder)
    (answer,) = engine.generate([[5, 6, 7]], [Sampling(max_new_tokens=4)])
    assert answer.text.startswith(engine.tokenizer.decode([65]))


def test_what_is_not_finite_is_the_candidates_fault(pair: Any) -> None:
    folders, engine = pair
    grown = {name: tensor * 1e30 for name, tensor in Edited(folders[0]).tensors() if "norm" in name}
    engine.load(Edited(folders[0], grown))
    with pytest.raises(CandidateError, match="output is not finite"):
        engine.generate([[5, 6]], [Sampling(max_new_tokens=2)])
    with pytest.raises(CandidateError, match="output is not finite"):
        engine.logprobs([([5, 6], [7])])
