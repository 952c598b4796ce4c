"""The command line: a thin layer over `evomerge.api`.

Exit codes: 0 done, 2 the input was wrong (one sentence on stderr), 130 interrupted, 1 anything
else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from evomerge import api, build, catalog, console, tables
from evomerge import convert as conversion
from evomerge.config import Job, read_job
from evomerge.errors import ConfigError, EvomergeError, UserError, did_you_mean
from evomerge.evaluators import tasks
from evomerge.evaluators.base import Split
from evomerge.evaluators.engines.config import EngineConfig
from evomerge.evaluators.tasks import LmEvalConfig
from evomerge.merging.measure.settings import AdaMerging, ExpertMerging, Learning, Reading
from evomerge.merging.operators import signatures
from evomerge.optimizers.registry import BUILT_IN as OPTIMIZERS
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe
from evomerge.recipe.value import parse
from evomerge.recipe.yaml import dump_recipe, read_mapping, read_recipe
from evomerge.study.record import Study

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Search for the recipe that merges fine-tuned siblings of one model into a better one.",
)

Catalog = Annotated[
    Path | None, typer.Option("--catalog", help="A folder of catalogs that is looked in first.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder.")]
Engine = Annotated[
    Literal["auto", "transformers", "vllm"], typer.Option(help="What runs the model.")
]
Device = Annotated[
    str, typer.Option(help="torch's name of the device; auto takes the first GPU, or the CPU.")
]
Seed = Annotated[int, typer.Option(help="Of what is drawn at random.")]
Dtype = Annotated[
    Literal["bfloat16", "float16", "float32"] | None,
    typer.Option(help="Of the weights written; the parents' own (an adapter: float32) by default."),
]
Rank = Annotated[
    int | None,
    typer.Option(min=1, help="Truncate an adapter to this rank; exact where left out."),
]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A job or a recipe.")],
    catalog_folder: Catalog = None,
    as_json: AsJson = False,
) -> None:
    """Validate a job or a recipe without reading weights, and say what it would cost."""
    data = read_mapping(file)
    if data.get("kind") in ("merge", "stack", "source"):
        recipe = read_recipe(file)
        for warning in build.check_recipe(recipe, str(file)):
            console.warn(warning)
        console.emit({"recipe": str(file), "ok": True, **build.recipe_cost(recipe)}, as_json)
        return
    job = read_job(file, catalog_folder=catalog_folder)
    for warning in build.check(job, str(file)):
        console.warn(warning)
    console.emit({"job": job.name, "ok": True, **build.cost(job)}, as_json)


@app.command()
def search(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's YAML file.")],
    out: Annotated[
        Path | None, typer.Option(help="The study's folder; runs/NAME where left out.")
    ] = None,
    catalog_folder: Catalog = None,
) -> None:
    """Run a search here or on the cluster that the job names; Ctrl-C stops it cleanly."""
    parsed = read_job(job, catalog_folder=catalog_folder)
    folder = out or Path("runs") / parsed.name
    with console.Terminal(folder) as terminal:
        api.search(parsed, folder, terminal, origin=str(job))


@app.command()
def resume(folder: Folder) -> None:
    """Go on with a study after anything: a finished candidate is not evaluated again."""
    with console.Terminal(folder) as terminal:
        api.resume(folder, terminal)


@app.command()
def show(
    folder: Folder,
    top: Annotated[int, typer.Option(min=1, help="How many candidates.")] = 5,
    as_json: AsJson = False,
) -> None:
    """The best candidates with their genes and scores, and the comparison on the holdout."""
    with Study.open(folder, write=False) as study:
        if as_json:
            typer.echo(json.dumps(tables.study_as_data(study, top), indent=2))
        else:
            tables.show_study(study, top)


@app.command()
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The new model folder, or the recipe's file.")],
    trial: Annotated[
        int | None, typer.Option(help="A candidate's number; the winner where left out.")
    ] = None,
    format: Annotated[
        Literal["hf", "adapter", "recipe", "mergekit"], typer.Option(help="What to write.")
    ] = "hf",
    dtype: Dtype = None,
    rank: Rank = None,
) -> None:
    """The winner (or any candidate) as a model folder with a card, as an adapter or a recipe."""
    _check_rank(rank, format)
    if format == "recipe":
        label = api.export_recipe(folder, out, candidate=trial)
    elif format == "mergekit":
        label = api.export_mergekit(folder, out, candidate=trial, dtype=dtype)
    elif format == "adapter":
        with console.merging(out) as progress:
            label = api.export_adapter(
                folder, out, candidate=trial, dtype=dtype, rank=rank, progress=progress
            )
    else:
        with console.merging(out) as progress:
            label = api.export(folder, out, candidate=trial, dtype=dtype, progress=progress)
    typer.echo(f"{out}: {label}")


@app.command()
def merge(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.")],
    out: Annotated[Path, typer.Option(help="The new model folder, or the adapter's.")],
    format: Annotated[
        Literal["model", "adapter"],
        typer.Option(help="A whole model, or one LoRA adapter where adapters are merged."),
    ] = "model",
    dtype: Dtype = None,
    rank: Rank = None,
) -> None:
    """Build one recipe as a model folder, tensor by tensor, or as one LoRA adapter."""
    _check_rank(rank, format)
    with console.merging(out) as progress:
        if format == "adapter":
            warnings = api.merge_adapter(recipe, out, dtype=dtype, rank=rank, progress=progress)
        else:
            warnings = api.merge(recipe, out, dtype=dtype, progress=progress)
    for warning in warnings:
        console.warn(warning)
    typer.echo(str(out))


@app.command()
def measure(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|SOURCE", help="A folder, a hub name, a source's file.")
    ],
    out: Annotated[Path, typer.Option(help="The new folder of statistics.")],
    text: Annotated[
        Path | None, typer.Option(help="What the model is good at: plain text, or .jsonl.")
    ] = None,
    what: Annotated[str, typer.Option(help="Of fisher and gram, with a comma.")] = "fisher,gram",
    second_moment: Annotated[
        Path | None, typer.Option(help="Adam's exp_avg_sq by checkpoint name, safetensors.")
    ] = None,
    rank1: Annotated[
        bool, typer.Option("--rank1", help="Keep row and column sums of second moments.")
    ] = False,
    adapter: Annotated[str | None, typer.Option(help="A LoRA adapter on the model.")] = None,
    examples: Annotated[int, typer.Option(min=1, help="At most so many windows.")] = 256,
    length: Annotated[int, typer.Option(min=2, help="Most tokens of a window.")] = 512,
    labels: Annotated[
        Literal["sampled", "observed"], typer.Option(help="Of the Fisher information.")
    ] = "sampled",
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Measure what fisher, regmean, ota and ffg need of a model, into a folder of statistics."""
    source = _model(model)
    if not isinstance(source, Source):
        raise ConfigError(f"{model}: is no source; merge it first, and measure the model")
    if adapter is not None:
        local = str(Path(adapter).resolve()) if Path(adapter).exists() else adapter
        source = source.model_copy(update={"adapter": local})
    with console.counting(f"measuring into {out}") as progress:
        warnings = api.measure(
            source,
            out,
            text=text,
            what=[one.strip() for one in what.split(",") if one.strip()],
            reading=Reading(
                examples=examples, length=length, labels=labels, device=device, seed=seed
            ),
            second_moment=second_moment,
            rank1=rank1,
            progress=progress,
        )
    for warning in warnings:
        console.warn(warning)
    typer.echo(str(out))


@app.command()
def learn(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="Of method adamerging or expert_merging.")
    ],
    text: Annotated[
        list[str], typer.Option(metavar="NAME=FILE", help="An expert's text; one for each expert.")
    ],
    out: Annotated[Path, typer.Option(help="The new folder: statistics and recipe.yaml.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="steps, batch, examples, length, rate, start, and for expert_merging gamma,"
            " temperature, layers, budget (++), kappa.",
        ),
    ] = None,
    device: Device = "auto",
    seed: Seed = 0,
) -> None:
    """Learn the coefficients of an adamerging or expert_merging recipe on unlabelled text."""
    parsed = read_recipe(recipe)
    kinds: dict[str, type[AdaMerging] | type[ExpertMerging]] = {
        "adamerging": AdaMerging,
        "expert_merging": ExpertMerging,
    }
    method = parsed.method if isinstance(parsed, Merge) else parsed.kind
    if method not in kinds:
        raise ConfigError(f"{recipe}: nothing to learn for {method!r}, only for {', '.join(kinds)}")
    given = {key: yaml.safe_load(value) for key, value in _pairs(settings or [], "--set").items()}
    learning: Learning = parse(
        kinds[method], {**given, "device": device, "seed": seed}, origin="--set"
    )
    with console.counting(f"learning into {out}") as progress:
        made = api.learn(recipe, _pairs(text, "--text"), out, settings=learning, progress=progress)
    typer.echo(dump_recipe(made), nl=False)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="Of mergekit, of mergekit-evolve, or a recipe.")],
    out: Annotated[Path | None, typer.Option(help="The new file; printed where left out.")] = None,
    dtype: Dtype = None,
) -> None:
    """mergekit's YAML to a recipe, mergekit-evolve's to a job, a recipe to mergekit's YAML."""
    text, warnings = conversion.convert(file, dtype=dtype)
    for warning in warnings:
        console.warn(warning)
    if out is None:
        typer.echo(text, nl=False)
    else:
        api.write_new(out, text)
        typer.echo(str(out))


@app.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL|RECIPE", help="A folder, a hub name or a recipe.")
    ],
    evaluator: Annotated[str, typer.Option(help="A catalog name or a YAML file.")],
    split: Annotated[Split, typer.Option(help="Which examples.")] = "holdout",
    engine: Engine = "auto",
    catalog_folder: Catalog = None,
    as_json: AsJson = False,
) -> None:
    """Score one model or one recipe."""
    report = api.evaluate(
        _model(model),
        _evaluator(evaluator, catalog_folder),
        split=split,
        engine=EngineConfig(kind=engine),
        origin=model,
    )
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        tables.show_report(report, model)


@app.command("catalog")
def list_catalog(
    name: Annotated[
        str | None,
        typer.Argument(help="A catalog (operators, evaluators, ...) or an entry of one."),
    ] = None,
    catalog_folder: Catalog = None,
    as_json: AsJson = False,
) -> None:
    """List search spaces, evaluators, clusters, operators and optimizers, or print one entry."""
    found = _catalogs(catalog_folder)
    if name is None or name in found:
        chosen = found if name is None else {name: found[name]}
        if as_json:
            typer.echo(json.dumps(chosen, indent=2))
        else:
            tables.show_catalog(chosen)
        return
    for kind in catalog.KINDS:
        for entry, path in catalog.entries(kind, catalog=catalog_folder):
            if entry == name:
                typer.echo(f"# {kind}/{entry}\n{path.read_text(encoding='utf-8')}".rstrip())
                return
    if name in signatures():
        tables.show_operator(signatures()[name], as_json)
        return
    if name in OPTIMIZERS:
        typer.echo(json.dumps(OPTIMIZERS[name].model_json_schema(), indent=2))
        return
    everything = [*found, *(entry for entries in found.values() for entry in entries)]
    raise ConfigError(f"the catalog has no {name!r}; {did_you_mean(name, everything)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a job with everything written inline."""
    typer.echo(json.dumps(Job.model_json_schema(), indent=2))


def main() -> None:
    """The console script: errors become one sentence and an exit code."""
    try:
        app()
    except UserError as problem:
        _leave(f"{problem}", 2)
    except EvomergeError as problem:
        _leave(f"{type(problem).__name__}: {problem}", 1)
    except KeyboardInterrupt:
        _leave("interrupted; what a search had finished is on record", 130)


def _check_rank(rank: int | None, format: str) -> None:
    if rank is not None and format != "adapter":
        raise ConfigError(f"--rank is of an adapter's ranks, which --format {format} has not")


def _leave(message: str, code: int) -> None:
    typer.echo(f"evomerge: {message}", err=True)
    sys.exit(code)


def _model(name: str) -> Recipe:
    """A recipe's file, or the source that a folder or a hub repository is."""
    if name.endswith((".yaml", ".yml", ".json")):
        return read_recipe(Path(name))
    return Source(model=str(Path(name).resolve()) if Path(name).exists() else name)


def _pairs(given: list[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` as a mapping."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{option} {one}: expected NAME=VALUE")
        if name in found:
            raise ConfigError(f"{option}: {name!r} is given twice")
        found[name] = value
    return found


def _evaluator(name: str, catalog_folder: Path | None) -> LmEvalConfig:
    path = catalog.find("evaluators", name, folder=Path.cwd(), catalog=catalog_folder)
    return tasks.read(read_mapping(path), folder=path.parent, origin=str(path))


def _catalogs(folder: Path | None) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for kind in catalog.KINDS:
        found[kind] = {
            name: _description(path) for name, path in catalog.entries(kind, catalog=folder)
        }
    found["operators"] = {name: one.summary for name, one in signatures().items()}
    found["optimizers"] = {
        name: (config.__doc__ or "").strip().splitlines()[0] for name, config in OPTIMIZERS.items()
    }
    return found


def _description(path: Path) -> str:
    data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    return str(data.get("description", "")) if isinstance(data, dict) else ""
