"""Which files go along with a model, and which never do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evomerge.models.companions import companions, holds_old_tokens, is_of_tokens, modules_left_out

GO = [
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "source.spm", "qwen.tiktoken"),
    *("vocab.json", "vocab.txt", "merges.txt", "bpe.codes", "normalizer.json", "tekken.json"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/tool_use.jinja"),
    *("generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("video_preprocessor_config.json", "modules.json", "sentence_bert_config.json"),
    *("config_sentence_transformers.json", "1_Pooling/config.json", "2_Normalize/config.json"),
]
STAY = [
    *("config.json", "model.safetensors.index.json", "consolidated.safetensors", "pytorch.bin"),
    *("modeling_own.py", "tokenization_own.py", "training_args.bin", "trainer_state.json"),
    *("all_results.json", "README.md", "adapter_config.json", "run.sh", ".env", "notes.txt"),
    *("1_Pooling/weights.py", "2_Dense/model.safetensors", "3_Dense/pytorch_model.bin"),
    *("original/tokenizer.model", "checkpoint-10/config.json", "recipe.yaml", "vocab.py"),
]


def filled(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def test_known_files_go_and_no_other(tmp_path: Path) -> None:
    assert companions(filled(tmp_path, GO + STAY)) == sorted(GO)


def test_what_goes_with_the_tokenizer() -> None:
    apart = {name for name in GO if not is_of_tokens(name)}
    assert {"preprocessor_config.json", "modules.json", "1_Pooling/config.json"} < apart
    assert not apart & {"generation_config.json", "spiece.model", "chat_template.jinja"}
    old = {name for name in GO if holds_old_tokens(name)}
    assert {"vocab.txt", "merges.txt", "tokenizer.model", "source.spm"} < old
    assert not old & {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}


def test_no_pipe_no_folder_and_no_way_out(tmp_path: Path) -> None:
    outside = filled(tmp_path / "outside", ["config.json"])
    folder = filled(tmp_path / "model", ["vocab.txt"])
    os.mkfifo(folder / "merges.txt")
    (folder / "tokenizer.model").mkdir()
    (folder / "vocab.json").symlink_to("nowhere")
    (folder / "1_Pooling").symlink_to(outside)
    assert companions(folder) == ["vocab.txt"]


def test_the_links_of_a_hubs_cache_are_followed(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0a1b").write_text("{}")
    folder = tmp_path / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    (folder / "spiece.model").symlink_to("../../blobs/0a1b")
    assert companions(folder) == ["spiece.model"]


def test_a_huge_file_stays(tmp_path: Path) -> None:
    with (filled(tmp_path, ["vocab.txt", "vocab.json"]) / "vocab.json").open("r+b") as file:
        file.truncate((256 << 20) + 1)  # holes take no room
    assert companions(tmp_path) == ["vocab.txt"]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_module_with_weights_of_its_own_is_named(tmp_path: Path, file: str) -> None:
    folder = filled(tmp_path, [f"2_Dense/{file}"])
    said = modules_left_out(folder)
    assert bool(said) == (file == "model.safetensors")
    assert all("2_Dense holds weights of its own" in sentence for sentence in said)
