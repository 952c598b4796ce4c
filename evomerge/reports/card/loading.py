"""How an exported model is loaded and asked, as code that runs."""

from __future__ import annotations

from evomerge.models.portable import is_local
from evomerge.recipe.source import Source
from evomerge.reports.card.markdown import fenced

__all__ = ["how_to_use"]

_PATH = """The folder holds each layer once. Which of them runs at each hop, and what multiplies its
input, stands in `config.json` under `route`, and `modeling_evomerge_stack.py` runs that path:
hence `trust_remote_code`. Where evomerge is installed, `vllm serve` takes the folder as it is."""

_CHAT = """
messages = [{"role": "user", "content": "What is the capital of France?"}]
prompt = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
answer = model.generate(**prompt, max_new_tokens=100)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1]:], skip_special_tokens=True))
"""

_PLAIN = """
prompt = tokenizer("The capital of France is", return_tensors="pt")
answer = model.generate(**prompt, max_new_tokens=20)
print(tokenizer.decode(answer[0], skip_special_tokens=True))
"""

_OTHER = """from {library} import {architecture}

folder = "."  # the folder of this file, or its name on the hub
model = {architecture}.from_pretrained(folder{options})
"""


def how_to_use(
    *,
    adapter_on: Source | None,
    folded: bool,
    chats: bool,
    keeps_code: bool = False,
    architecture: str | None = None,
    library: str = "transformers",
) -> str:
    """The section's text.

    Args:
        adapter_on: the base model, where the folder holds an adapter on it.
        folded: whether the folder holds a stack's layers once each, and code that runs the path.
        chats: whether its tokenizer has a chat template.
        keeps_code: whether the folder holds Python files of a parent.
        architecture: the class of a model that is no language model; None: it is one.
        library: the package that has this class: transformers or diffusers.
    """
    if architecture is not None and adapter_on is None:
        options = ', dtype="auto"' if library == "transformers" else ""
        options += ", trust_remote_code=True" if keeps_code else ""
        text = _OTHER.format(library=library, architecture=architecture, options=options)
        return f"## How to use it\n\n{fenced(text, 'python')}"
    loaded = _model(folded or keeps_code) if adapter_on is None else _adapter(adapter_on)
    asked = _CHAT if chats else _PLAIN
    text = f"## How to use it\n\n{fenced(loaded + asked, 'python')}"
    return f"{text}\n\n{_PATH}" if folded else text


def _model(needs_code: bool) -> str:
    trust = ", trust_remote_code=True" if needs_code else ""
    return f"""from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # the folder of this file, or its name on the hub
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto"{trust})
tokenizer = AutoTokenizer.from_pretrained(folder)
"""


def _adapter(base: Source) -> str:
    revision = f", revision={base.revision!r}" if base.revision else ""
    where = "  # the folder of the base model, see below" if is_local(base.model) else ""
    return f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = {base.model!r}{where}
model = AutoModelForCausalLM.from_pretrained(base{revision}, dtype="auto")
model = PeftModel.from_pretrained(model, ".")  # the folder of this file, or its name on the hub
tokenizer = AutoTokenizer.from_pretrained(base{revision})
"""
