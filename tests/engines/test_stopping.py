from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoTokenizer, GenerationConfig

from evomerge.conformance.tiny_models import encode
from evomerge.engines.continuation import Continuation
from evomerge.engines.stopping import end_tokens, stop, text_of
from evomerge.evaluators.live_model import Sampling
from tests.engines.conftest import Siblings


@pytest.fixture(scope="module")
def tokenizer(siblings: Siblings) -> Any:
    return AutoTokenizer.from_pretrained(siblings.one)


@pytest.mark.parametrize("declared", [None, 3, [3, 4]])
def test_ends_by_tokenizer_and_generation_config(tokenizer: Any, declared: Any) -> None:
    ends = end_tokens(tokenizer, GenerationConfig(eos_token_id=declared))
    listed = declared if isinstance(declared, list) else [declared] if declared else []
    assert ends == {tokenizer.eos_token_id, *listed}


def test_special_tokens_stop_as_tokens(tokenizer: Any) -> None:
    ending = stop(("<|endoftext|>", "\n\n", ""), tokenizer, frozenset({5}))
    assert ending.tokens == {5, tokenizer.pad_token_id}
    assert ending.strings == ("\n\n",)


def test_text_ends_at_the_first_stop_string(tokenizer: Any) -> None:
    ending = stop(("stop", "\n\n"), tokenizer, frozenset())
    (tokens,) = encode(tokenizer, "one\n\ntwo stop")
    assert text_of([*tokens, tokenizer.eos_token_id], ending, tokenizer) == "one"
    (tokens,) = encode(tokenizer, "one two")
    assert text_of([*tokens, tokenizer.eos_token_id], ending, tokenizer) == "one two"


def test_window_holds_a_stop_string_of_single_bytes(tokenizer: Any) -> None:
    ending = stop(("ünd",), tokenizer, frozenset())
    (tokens,) = encode(tokenizer, "ünd")
    assert len(tokens) == 4
    assert ending.window >= len(tokens)


def test_a_deciding_string_ends_an_answer_and_is_kept(tokenizer: Any) -> None:
    ending = stop(("stop",), tokenizer, frozenset(), kept=("}", ""))
    (tokens,) = encode(tokenizer, '{"answer": 12}, and so on')
    assert text_of(tokens, ending, tokenizer) == '{"answer": 12}'
    (tokens,) = encode(tokenizer, "one stop }")
    assert text_of(tokens, ending, tokenizer) == "one ", "whichever comes first"


def test_generation_ends_where_the_answer_is_decided(tokenizer: Any) -> None:
    sampling = Sampling(max_new_tokens=100, decided=("}",))
    ending = stop(sampling.stop, tokenizer, frozenset(), sampling.decided)
    (tokens,) = encode(tokenizer, '{"answer": 12} and so on')
    answer = Continuation(0, [1], sampling, ending, tokenizer)
    for token in tokens:
        answer.add(token)
    assert answer.done
    given = answer.result()
    assert given.text == '{"answer": 12}'
    assert not given.truncated
    assert given.tokens < len(tokens)
