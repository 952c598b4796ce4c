"""Disks as they fail: every command ends in one sentence, and leaves nothing half-written."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from evomerge.trust import VARIABLE
from tests.measuring.conftest import Trained
from tests.place import Ended, run
from tests.small_job import SmallJob

OUT = "OUT"
SMALL = ("--examples", "1", "--length", "16", "--device", "cpu")
TEXTS = ("--text=math=trained/math.jsonl", "--text=json=trained/json.jsonl")
STEP = ("--device", "cpu", "--set", "steps=1")
WRITING: dict[str, Sequence[str]] = {
    "search": ("search", "job.yaml", "--out", OUT),
    "export": ("export", "study", "--out", OUT),
    "export adapter": ("export", "study", "--format", "adapter", "--out", OUT),
    "export recipe": ("export", "study", "--format", "recipe", "--out", OUT),
    "export mergekit": ("export", "study", "--format", "mergekit", "--out", OUT),
    "merge": ("merge", "recipe.yaml", "--out", OUT),
    "measure": ("measure", "trained/math", "--text", "trained/math.jsonl", *SMALL, "--out", OUT),
    "learn": ("learn", "learn.yaml", *TEXTS, *STEP, "--out", OUT),
    "convert": ("convert", "mergekit.yaml", "--out", OUT),
    "plot": ("plot", "recipe.yaml", "--out", f"{OUT}.svg"),
}
ELSEWHERE = {
    "below a file": "file/below/out",
    "below a device": "/dev/full/out",
    "a read-only disk": "/proc/out",
    "a name too long": "x" * 300,
}
READING: dict[str, Sequence[str]] = {
    "show": ("show", "spoilt"),
    "show --json": ("show", "spoilt", "--json"),
    "show --candidate": ("show", "spoilt", "--candidate", "1"),
    "resume": ("resume", "spoilt"),
    "export": ("export", "spoilt", "--out", "new"),
    "export recipe": ("export", "spoilt", "--out", "new", "--format", "recipe"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Models, a job and its finished study, recipes; code is trusted while the tests run."""
    folder = tmp_path_factory.mktemp("disk") / "place"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "1")
        SmallJob(folder).write(budget={"candidates": 3}, warm_start={"landmarks": False})
        Trained(folder / "trained")
        inputs = {name: {"model": f"trained/{name}"} for name in ("base", "math", "json")}
        recipe = {"kind": "merge", "method": "ties", "base": "base", "inputs": inputs}
        weights = {name: {"weight": 0.5, "density": 0.5} for name in ("math", "json")}
        mergekit = {
            "merge_method": "linear",
            "dtype": "float32",
            "models": [
                {"model": f"trained/{name}", "parameters": {"weight": 0.5}} for name in weights
            ],
        }
        for name, content in {
            "recipe": recipe | {"rules": [{"where": {}, **weights}]},
            "learn": recipe | {"method": "expert_merging"},
            "mergekit": mergekit,
        }.items():
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        (folder / "file").write_text("")
        ended = run(folder, "search", "job.yaml", "--out", "study")
        assert ended.returncode == 0, ended.stderr
        yield folder


def sentence(ended: Ended, codes: Sequence[int] = (2,)) -> str:
    """The one sentence that a command ended with."""
    assert ended.returncode in codes, ended
    said = [line for line in ended.stderr.splitlines() if line.startswith("evomerge: ")]
    assert len(said) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return said[0]


def below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@contextmanager
def nothing_new(folder: Path) -> Iterator[None]:
    before = below(folder)
    yield
    assert below(folder) == before


@contextmanager
def full_disk(most: int = 100) -> Iterator[None]:
    """No file may have more bytes, as where a disk is full; needs no rights."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("command", WRITING)
def test_an_output_that_cannot_be_written_is_named(place: Path, command: str) -> None:
    for name, out in ELSEWHERE.items():
        with nothing_new(place):
            said = sentence(run(place, *(part.replace(OUT, out) for part in WRITING[command])))
        assert (out[:100] if name == "a name too long" else out) in said
        assert "cannot be written" in said or "are free" in said, said
    with nothing_new(place), full_disk():
        said = sentence(run(place, *WRITING[command]))
    assert f"evomerge: {OUT}" in said or f": {OUT}: " in said
    assert "File too large" in said


def test_check_says_it_before_a_search_does(place: Path) -> None:
    for out in ELSEWHERE.values():
        with nothing_new(place):
            assert "cannot be written" in sentence(run(place, "check", "job.yaml", "--out", out))
            command = ("evaluate", "trained/math", "--evaluator", "job.yaml", "--log-samples", out)
            assert "cannot be written" in sentence(run(place, *command))


def _missing(name: str) -> Callable[[Path], None]:
    def spoil(study: Path) -> None:
        path = study / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def _content(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda study: void((study / name).write_bytes(content))


def _half(name: str) -> Callable[[Path], None]:
    def spoil(study: Path) -> None:
        content = (study / name).read_bytes()
        (study / name).write_bytes(content[: len(content) // 2].rstrip(b"\n") + b"\n")

    return spoil


def _half_a_line(study: Path) -> None:
    lines = (study / "journal.log").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:20]
    (study / "journal.log").write_bytes(b"".join(lines))


def _attribute(name: str, value: object) -> Callable[[Path], None]:
    """Another value on record, in lines without checksums."""

    def spoil(study: Path) -> None:
        entries = [json.loads(line) for line in (study / "journal.log").read_text().splitlines()]
        for entry in entries:
            del entry["crc"]
            for attributes in (entry.get("user_attr", {}), entry.get("system_attr", {})):
                for key in attributes:
                    if key.rpartition(":")[2] == name:
                        attributes[key] = value
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (study / "journal.log").write_text(text)

    return spoil


def void(written: object) -> None:
    """A function's result that nobody needs."""


FAULTS: dict[str, tuple[Callable[[Path], None], str, set[str]]] = {
    "no study.json": (_missing("study.json"), "spoilt: is not a study", set(READING)),
    "an empty study.json": (_content("study.json", b""), "spoilt/study.json: ", set(READING)),
    "a list as study.json": (_content("study.json", b"[]"), "spoilt/study.json: ", set(READING)),
    "bytes as study.json": (_content("study.json", b"\xff{"), "spoilt/study.json: ", set(READING)),
    "half a study.json": (_half("study.json"), "spoilt/study.json: ", set(READING)),
    "no job.json": (_missing("job.json"), "spoilt/job.json: ", set(READING)),
    "half a job.json": (_half("job.json"), "spoilt/job.json: ", set(READING)),
    "no journal": (_missing("journal.log"), "spoilt/journal.log: ", set(READING)),
    "an empty journal": (_content("journal.log", b""), "spoilt/journal.log: ", set(READING)),
    "a foreign journal": (_content("journal.log", b"{}\n"), "spoilt/journal.log: ", set(READING)),
    "a journal with half a line": (_half_a_line, "spoilt/journal.log: line 3 ", set(READING)),
    "a text as comparison": (
        _attribute("comparison", "x"),
        "spoilt: what is on record as 'comparison' is damaged",
        set(READING) - {"export recipe"},
    ),
    "a text as winner": (
        _attribute("winner", "x"),
        "spoilt: what is on record as 'winner' is damaged",
        set(READING),
    ),
    "no examples": (_missing("examples"), "", set()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_study_is_named(place: Path, fault: str) -> None:
    spoil, wanted, refused = FAULTS[fault]
    study = place / "spoilt"
    for name, command in READING.items():
        shutil.rmtree(study, ignore_errors=True)
        shutil.copytree(place / "study", study)
        spoil(study)
        if name in refused:
            with nothing_new(place):
                assert wanted in sentence(run(place, *command), (1, 2))
        else:
            ended = run(place, *command)
            assert ended.returncode == 0, (name, ended.stderr)
            new = place / "new"
            shutil.rmtree(new) if new.is_dir() else new.unlink(missing_ok=True)
    shutil.rmtree(study)


@pytest.mark.parametrize("instead", ["nothing", "a file", "a link"])
def test_a_search_whose_examples_cannot_be_kept_stops(place: Path, instead: str) -> None:
    study = place / "unfinished"
    shutil.copytree(place / "study", study)
    lines = (study / "journal.log").read_bytes().splitlines(keepends=True)
    (study / "journal.log").write_bytes(b"".join(lines[:8]))
    shutil.rmtree(study / "examples")
    if instead == "a file":
        (study / "examples").write_bytes(b"")
    elif instead == "a link":
        (study / "examples").symlink_to(place)
    said = sentence(run(place, "resume", "unfinished"), (1, 2))
    shutil.rmtree(study)
    assert "unfinished/examples" in said


MODELS: dict[str, Callable[[Path], None]] = {
    "no folder": lambda model: shutil.rmtree(model),
    "no weights": _missing("model.safetensors"),
    "no config.json": _missing("config.json"),
    "half the weights": _half("model.safetensors"),
    "weights of a few bytes": _content("model.safetensors", b"abc"),
    "a header without end": _content("model.safetensors", b"\xff" * 64),
    "half a config.json": _half("config.json"),
}
OVER_MODELS: dict[str, Sequence[str]] = {
    "check": ("check", "recipe.yaml"),
    **{name: WRITING[name] for name in ("merge", "measure", "learn")},
}


@pytest.mark.parametrize("fault", MODELS)
def test_a_damaged_model_is_named(place: Path, fault: str) -> None:
    model, kept = place / "trained" / "math", place / "kept"
    shutil.copytree(model, kept)
    MODELS[fault](model)
    try:
        for command in OVER_MODELS.values():
            with nothing_new(place):
                said = sentence(run(place, *command))
            assert "trained/math" in said
    finally:
        shutil.rmtree(model, ignore_errors=True)
        kept.rename(model)


RUN = "import sys; from evomerge.commands.main import main; main()"


@pytest.mark.process
@pytest.mark.parametrize("command", [("catalog",), ("show", "study", "--json"), ("--help",)])
def test_a_stdout_on_a_full_disk_is_said_at_the_end(place: Path, command: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", RUN, *command],
            cwd=place,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert re.fullmatch(r"evomerge: .*stdout: cannot be written \(No space .*\n", ended.stderr)


SIGNALLED = """
import os, signal, sys
from evomerge.commands.main import main
pending = [(sys.argv[1], int(sys.argv[2]))]
# It may have been turned off outside, as nohup does.
is_typed = pending[0][1] == signal.SIGINT
signal.signal(pending[0][1], signal.default_int_handler if is_typed else signal.SIG_DFL)
def strike(event, arguments):
    if event == "open" and pending and pending[0][0] in str(arguments[0]):
        os.kill(os.getpid(), pending.pop()[1])
sys.argv[1:3] = []
sys.addaudithook(strike)
main()
"""
"""A signal comes the first time that a file is opened in whose path something stands."""


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "at", "number"),
    [
        (WRITING["merge"], ".partial/config.json", signal.SIGTERM),
        (WRITING["export"], ".partial/README.md", signal.SIGINT),
        (WRITING["export recipe"], ".partial/", signal.SIGHUP),
        (("check", "job.yaml"), "models/one/adapter_config.json", signal.SIGINT),
    ],
    ids=["merge", "export", "export recipe", "check"],
)
def test_a_signal_leaves_nothing_half_written(
    place: Path, command: Sequence[str], at: str, number: signal.Signals
) -> None:
    with nothing_new(place):
        ended = subprocess.run(
            [sys.executable, "-c", SIGNALLED, at, str(int(number)), *command],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
    sentence(Ended(ended.returncode, ended.stdout, ended.stderr), (128 + number,))
    assert ended.stderr.splitlines()[-1].startswith("evomerge: interrupted")
