"""Tiny models of the architectures that people merge, as transformers has them, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, get_args

import torch
import transformers
from torch import nn
from transformers.core_model_loading import revert_weight_conversion

__all__ = [
    "ARCHITECTURES",
    "COLUMNS",
    "Architecture",
    "Column",
    "built",
    "config_of",
    "saved_names",
]

Column = Literal["linear", "TIES", "components", "space", "stack", "engine", "export"]
COLUMNS: tuple[Column, ...] = get_args(Column)
"""What is tried on every architecture; a test for each says `yes`."""

LLAMA: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HEADS: dict[str, Any] = {"head_dim": 8}
VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
BERT = {key: LLAMA[key] for key in LLAMA if key not in ("num_key_value_heads",)}
EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
    "decoder_sparse_step": 1,
}
SEQ2SEQ: dict[str, Any] = {
    "vocab_size": 60,
    "d_model": 16,
    "encoder_layers": 4,
    "decoder_layers": 3,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "pad_token_id": 0,
    "decoder_start_token_id": 1,
}
PLAIN = ("attention", "mlp", "norm", "embedding", "head")
MOE = ("router", "expert", *PLAIN)
CROSS = ("cross_attention", *PLAIN)
DECODER = {"decoder": 4}
BOTH = {"decoder": 3, "encoder": 4}


@dataclass(frozen=True)
class Architecture:
    """One architecture: how to build it, and what holds of it."""

    name: str
    model: str
    """The class in transformers."""
    config: str
    settings: dict[str, Any]
    towers: dict[str, int] = field(default_factory=lambda: dict(DECODER))
    """Tower -> layers, the main one first."""
    components: tuple[str, ...] = PLAIN
    tied: tuple[str, ...] = ()
    """Tensors that are another one, with these settings."""
    buffers: tuple[str, ...] = ()
    """Stored tensors that are no weights; `#` stands for every layer's number."""
    other: tuple[str, ...] = ()
    """The beginnings of tensors that are of no component."""
    main: bool = True
    """Whether a range of layers needs no tower."""
    reasons: Mapping[Column, str] = field(default_factory=dict)
    """Why something does not work; what is not named does, and a test says so."""

    def works(self, column: Column) -> bool:
        """Whether the cell is a `yes`."""
        return column not in self.reasons


def _text(model_type: str) -> dict[str, Any]:
    return {**LLAMA, **HEADS, "model_type": model_type}


def _vision(model_type: str) -> dict[str, Any]:
    return {**VISION, "model_type": model_type}


_LLAMA = {**LLAMA, **HEADS}
_HEAD = ("lm_head.weight",)

ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture("Llama", "LlamaForCausalLM", "LlamaConfig", _LLAMA),
    Architecture("Mistral", "MistralForCausalLM", "MistralConfig", _LLAMA),
    Architecture(
        "Mixtral",
        "MixtralForCausalLM",
        "MixtralConfig",
        {**_LLAMA, "num_local_experts": 4},
        components=MOE,
    ),
    Architecture("Phi", "PhiForCausalLM", "PhiConfig", LLAMA),
    Architecture("Phi3", "Phi3ForCausalLM", "Phi3Config", LLAMA),
    Architecture("Qwen2", "Qwen2ForCausalLM", "Qwen2Config", LLAMA),
    Architecture(
        "Qwen2-MoE",
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        {**LLAMA, **EXPERTS},
        components=MOE,
    ),
    Architecture("Qwen3", "Qwen3ForCausalLM", "Qwen3Config", _LLAMA),
    Architecture(
        "Qwen3-MoE",
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        {**_LLAMA, **EXPERTS},
        components=MOE,
    ),
    Architecture(
        "Qwen3-Next",
        "Qwen3NextForCausalLM",
        "Qwen3NextConfig",
        {
            **_LLAMA,
            **EXPERTS,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 4,
            "linear_value_head_dim": 4,
        },
        components=("router", "expert", "mixer", *PLAIN),
    ),
    Architecture("Gemma2", "Gemma2ForCausalLM", "Gemma2Config", _LLAMA, tied=_HEAD),
    Architecture("Gemma3 (text)", "Gemma3ForCausalLM", "Gemma3TextConfig", _LLAMA, tied=_HEAD),
    Architecture(
        "Gemma3",
        "Gemma3ForConditionalGeneration",
        "Gemma3Config",
        {
            "text_config": _text("gemma3_text"),
            "vision_config": _vision("siglip_vision_model"),
            "mm_tokens_per_image": 4,
        },
        towers={"decoder": 4, "vision": 3},
        tied=("lm_head.weight",),
        other=("multi_modal_projector.", "vision_tower.head.probe"),
    ),
    Architecture("Cohere", "CohereForCausalLM", "CohereConfig", LLAMA, tied=_HEAD),
    Architecture(
        "Falcon",
        "FalconForCausalLM",
        "FalconConfig",
        {k: LLAMA[k] for k in ("vocab_size", "hidden_size", "num_hidden_layers")}
        | {"num_attention_heads": 2},
        tied=_HEAD,
    ),
    Architecture("OLMo2", "Olmo2ForCausalLM", "Olmo2Config", LLAMA),
    Architecture(
        "gpt-oss",
        "GptOssForCausalLM",
        "GptOssConfig",
        {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2},
        components=MOE,
    ),
    Architecture("SmolLM3", "SmolLM3ForCausalLM", "SmolLM3Config", _LLAMA, tied=_HEAD),
    Architecture(
        "DeepSeek-V3",
        "DeepseekV3ForCausalLM",
        "DeepseekV3Config",
        {
            **LLAMA,
            "num_key_value_heads": 2,
            "moe_intermediate_size": 8,
            "n_shared_experts": 1,
            "n_routed_experts": 4,
            "kv_lora_rank": 8,
            "q_lora_rank": 12,
            "qk_rope_head_dim": 4,
            "v_head_dim": 8,
            "qk_nope_head_dim": 4,
            "n_group": 2,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "first_k_dense_replace": 1,
        },
        components=MOE,
        buffers=("model.layers.#.mlp.gate.e_score_correction_bias",),
    ),
    Architecture(
        "GPT-2",
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": 60, "n_embd": 16, "n_layer": 4, "n_head": 2, "n_positions": 32},
        tied=_HEAD,
    ),
    Architecture("GPT-NeoX", "GPTNeoXForCausalLM", "GPTNeoXConfig", BERT),
    Architecture(
        "BLOOM",
        "BloomForCausalLM",
        "BloomConfig",
        {"vocab_size": 60, "hidden_size": 16, "n_layer": 4, "n_head": 2},
        tied=_HEAD,
    ),
    Architecture(
        "OPT",
        "OPTForCausalLM",
        "OPTConfig",
        {**BERT, "ffn_dim": 24, "word_embed_proj_dim": 16},
        tied=_HEAD,
    ),
    Architecture(
        "Mamba",
        "MambaForCausalLM",
        "MambaConfig",
        {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 4, "state_size": 4},
        components=("mixer", "norm", "embedding", "head"),
        tied=_HEAD,
    ),
    Architecture(
        "BERT",
        "BertForMaskedLM",
        "BertConfig",
        BERT,
        towers={"encoder": 4},
        tied=("cls.predictions.decoder.bias", "cls.predictions.decoder.weight"),
    ),
    Architecture(
        "RoBERTa",
        "RobertaForMaskedLM",
        "RobertaConfig",
        BERT,
        towers={"encoder": 4},
        tied=("lm_head.decoder.bias", "lm_head.decoder.weight"),
    ),
    Architecture(
        "ModernBERT",
        "ModernBertForMaskedLM",
        "ModernBertConfig",
        BERT,
        towers={"encoder": 4},
        tied=("decoder.weight",),
    ),
    Architecture(
        "T5",
        "T5ForConditionalGeneration",
        "T5Config",
        {
            "vocab_size": 60,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 24,
            "num_layers": 4,
            "num_decoder_layers": 3,
            "decoder_start_token_id": 0,
            "num_heads": 2,
        },
        towers=BOTH,
        components=CROSS,
        tied=("decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "lm_head.weight"),
    ),
    Architecture(
        "BART",
        "BartForConditionalGeneration",
        "BartConfig",
        {**SEQ2SEQ, "max_position_embeddings": 32},
        towers=BOTH,
        components=CROSS,
        tied=(
            "lm_head.weight",
            "model.decoder.embed_tokens.weight",
            "model.encoder.embed_tokens.weight",
        ),
        buffers=("final_logits_bias",),
        other=("final_logits_bias",),
    ),
    Architecture(
        "Whisper",
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        {**SEQ2SEQ, "num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 20},
        towers=BOTH,
        components=CROSS,
        tied=("proj_out.weight",),
        other=("model.encoder.conv",),
    ),
    Architecture(
        "ViT",
        "ViTForImageClassification",
        "ViTConfig",
        VISION,
        towers={"vision": 3},
    ),
    Architecture(
        "CLIP",
        "CLIPModel",
        "CLIPConfig",
        {
            "text_config": {**BERT, "projection_dim": 8},
            "vision_config": {**VISION, "projection_dim": 8},
            "projection_dim": 8,
        },
        towers={"text": 4, "vision": 3},
        components=("attention", "mlp", "norm", "embedding"),
        other=("logit_scale", "text_projection.", "visual_projection."),
        main=False,
        reasons={"stack": "hops name layers of a decoder, or of the only tower"},
    ),
    Architecture(
        "Qwen2-VL",
        "Qwen2VLForConditionalGeneration",
        "Qwen2VLConfig",
        {
            "text_config": {
                **LLAMA,
                "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
            },
            "vision_config": {
                "depth": 3,
                "embed_dim": 16,
                "hidden_size": 16,
                "num_heads": 2,
                "patch_size": 8,
                "mlp_ratio": 2,
            },
        },
        towers={"decoder": 4, "vision": 3},
    ),
    Architecture(
        "LLaVA",
        "LlavaForConditionalGeneration",
        "LlavaConfig",
        {
            "text_config": _text("llama"),
            "vision_config": _vision("clip_vision_model"),
            "image_token_index": 50,
            "image_seq_length": 4,
        },
        towers={"decoder": 4, "vision": 3},
        other=("multi_modal_projector.",),
    ),
)


def config_of(architecture: Architecture) -> Any:
    """Its configuration."""
    return getattr(transformers, architecture.config)(**architecture.settings)


@cache
def built(name: str) -> Any:
    """The model of this name on the meta device: it has shapes and no weights."""
    architecture = next(own for own in ARCHITECTURES if own.name == name)
    with torch.device("meta"):
        model: nn.Module = getattr(transformers, architecture.model)(config_of(architecture))
    return model


@cache
def saved_names(name: str) -> tuple[str, ...]:
    """Checkpoint names as `save_pretrained` writes them, without what is tied, sorted."""
    model = built(name)
    tied = set(model.all_tied_weights_keys)
    state = {key: torch.empty(value.shape) for key, value in model.state_dict().items()}
    written = revert_weight_conversion(
        model, {key: value for key, value in state.items() if key not in tied}
    )
    return tuple(sorted(written))
