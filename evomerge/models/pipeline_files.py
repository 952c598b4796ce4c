"""The files of a diffusers pipeline that hold no weights: what a merged one takes over."""

from __future__ import annotations

from evomerge.errors import SourceError
from evomerge.models.companions import companions
from evomerge.models.inventory import Inventory
from evomerge.models.pipeline import CONFIG, component_names
from evomerge.reading.files import is_file

__all__ = ["SCHEDULER", "code_files", "pipeline_files"]

SCHEDULER = "scheduler_config.json"


def pipeline_files(pipeline: Inventory) -> list[str]:
    """Paths in the pipeline's folder: tokenizers, schedulers and processors of pictures, file by
    file, by known names as in `companions`.

    Raises:
        SourceError: a component has neither weights nor a file of a known name.
    """
    folder = pipeline.folder
    paths = []
    for component in component_names(folder, pipeline.config):
        own = folder / component
        names = companions(own)
        if component not in pipeline.components:
            names += [name for name in (CONFIG, SCHEDULER) if is_file(own / name)]
            if not names:
                raise SourceError(
                    f"{own}: neither weights nor a file of a tokenizer, a scheduler or a processor"
                    " of pictures; take the component out of model_index.json"
                )
        paths += [f"{component}/{name}" for name in names]
    return paths


def code_files(pipeline: Inventory) -> list[str]:
    """Paths of the Python files in a pipeline's folder and in its components' folders."""
    names = component_names(pipeline.folder, pipeline.config)
    folders = [pipeline.folder, *(pipeline.folder / name for name in names)]
    return sorted(
        str(path.relative_to(pipeline.folder)) for own in folders for path in own.glob("*.py")
    )
