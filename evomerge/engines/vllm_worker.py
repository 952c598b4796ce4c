"""What runs in vLLM's worker processes: the receiver of new weights and new paths.

vLLM mixes the class into its worker (`worker_extension_cls`), so it has no `__init__`. With tensor
parallelism each rank has one, which merges what its rank holds.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from evomerge.engines.base import DivisibleSource, WeightSource
from evomerge.engines.holding import AS_STARTED, along
from evomerge.engines.vllm_interface import ranks, reloaded
from evomerge.engines.weights import Inspection, checkpoint_shapes
from evomerge.errors import EvomergeError, InfrastructureError
from evomerge.recipe.layer_path import LayerPath

__all__ = ["WeightReceiver"]


class WeightReceiver:
    """Loads a pickled weight source into the live model, in checkpoint names.

    One class for all engines: vLLM's worker class keeps what was mixed into it, and takes no second
    one with the same methods.
    """

    device: Any
    model_runner: Any
    model_config: Any
    weights_held: str | None = AS_STARTED
    """The digest of what this rank holds of; None while that is a mixture."""
    path_held: LayerPath | None = None
    """The path through it, once there was one."""

    def receive(self, payload: bytes) -> tuple[str, str, tuple[str, ...]]:
        """The class of the error that the weights have and what it says, "" where they are loaded;
        and the kinds of layers that vLLM left as they were.

        Strings, since an exception of ours comes back from another process as a plain one. What is
        raised all the same has interrupted vLLM.
        """
        source: WeightSource = pickle.loads(payload)
        about = self.model_config.hf_config
        pool = about.num_hidden_layers if hasattr(about, "max_hops") else None
        shapes = checkpoint_shapes(Path(self.model_config.model), pool)
        inspection = Inspection(
            shapes,
            self.model_config.dtype,
            tied=bool(self.model_config.hf_text_config.tie_word_embeddings),
        )
        device = str(self.device)
        self.weights_held = None
        kept = reloaded(
            self,
            inspection.promised(source.unmade(device))
            if isinstance(source, DivisibleSource) and ranks(self) > 1
            else inspection.passed(source.tensors(device)),
        )
        try:
            inspection.settle()
        except EvomergeError as fault:
            return type(fault).__name__, str(fault), ()
        except Exception as fault:  # noqa: BLE001 (what made the weights is at fault, not vLLM)
            return InfrastructureError.__name__, f"{type(fault).__name__}: {fault}", ()
        self.weights_held = source.digest
        return "", "", kept

    def follow(self, payload: bytes) -> None:
        """Take the path of a pickled route, which the engine has checked."""
        layer_path: LayerPath = pickle.loads(payload)
        weights, self.weights_held = self.weights_held, None
        self.model_runner.get_model().follow(layer_path)
        self.weights_held, self.path_held = weights, layer_path

    def held(self) -> str | None:
        """The digest of what this rank answers with; None where that is a mixture."""
        if self.weights_held is None or self.path_held is None:
            return self.weights_held
        return along(self.weights_held, self.path_held)
