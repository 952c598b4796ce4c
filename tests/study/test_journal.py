from __future__ import annotations

import json
import random
import resource
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from evomerge.errors import InfrastructureError, RecordError
from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.simulation.system_calls import system_calls
from evomerge.study.journal import ChecksummedJournal, is_whole, seal, unseal
from evomerge.study.record import Study

REPORT = Report(split="search", tasks={"a": TaskScore(metric="exact", value=0.5, examples=(0.5,))})
FLIPS = 400


def ask(study: Study, number: int) -> int:
    return study.ask(
        proposed_by="optimizer", proposal=number, genome=(0.25,), recipe=Source(model=str(number))
    )


def make(folder: Path, candidates: int = 4) -> Path:
    genes = (FloatGene(name="w", low=0.0, high=1.0),)
    with Study.create(folder, name="small", job={}, genes=genes) as study:
        for number in range(candidates):
            study.tell(ask(study, number), REPORT, (0.5,), worker="w")
    return folder / "journal.log"


def found(folder: Path) -> bool:
    try:
        with Study.open(folder, write=False) as study:
            study.candidates()
        with Study.open(folder, write=True):
            pass
    except RecordError:
        return True
    return False


def test_a_line_comes_back_as_it_was() -> None:
    entry = {"op_code": 4, "text": 'a,"crc":"00000000"}'}
    line = seal(entry)
    assert is_whole(line)
    assert {**entry, "crc": unseal(line)["crc"]} == unseal(line)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    whole = journal.read_bytes()
    chance = random.Random(0)
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    # The frame of a line and its end are few bytes and the hardest ones.
    hard = [(at, bit) for end in ends[-2:] for at in range(end - 20, end + 1) for bit in range(8)]
    for at, bit in hard + [
        (chance.randrange(len(whole)), chance.randrange(8)) for _ in range(FLIPS - len(hard))
    ]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        journal.write_bytes(flipped)
        assert found(journal.parent), (at, bit)
        assert journal.read_bytes() == bytes(flipped)
    journal.write_bytes(whole)
    assert not found(journal.parent)


def test_the_message_names_file_and_line_and_a_way_out(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b"0.", b"1.", 1).replace(b"w", b"v", 1)
    journal.write_bytes(b"".join(lines))
    with pytest.raises(RecordError, match=r"journal\.log: line 6 is damaged .*`head -n 5 "):
        Study.open(journal.parent, write=False)
    journal.write_bytes(b"".join(lines[:5]))
    assert not found(journal.parent)


def test_optunas_own_backend_reads_and_writes_it(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    storage = JournalStorage(JournalFileBackend(str(journal)))
    (name,) = (study.study_name for study in storage.get_all_studies())
    study_id = storage.get_study_id_from_name(name)
    assert [trial.values for trial in storage.get_all_trials(study_id)] == [[0.5]] * 4
    storage.set_study_system_attr(study_id, "dashboard:note_ver", 2)
    with Study.open(journal.parent, write=True) as again:
        again.tell(ask(again, 4), REPORT, (0.5,), worker="w")
    with Study.open(journal.parent, write=False) as again:
        assert len(again.best(9)) == 5


def test_a_journal_without_checksums_opens_and_goes_on(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    plain = []
    for line in journal.read_bytes().splitlines():
        entry = json.loads(line)
        del entry["crc"]
        plain.append(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
    journal.write_bytes(b"".join(plain))
    with Study.open(journal.parent, write=True) as study:
        study.tell(ask(study, 4), REPORT, (0.5,), worker="w")
    with Study.open(journal.parent, write=False) as study:
        assert len(study.best(9)) == 5


@pytest.mark.parametrize(
    "content", [b"[]\n{}\n", b'{"op_code":4}\n{}\n', b"[" * 100_000 + b"\n{}\n"]
)
def test_lines_that_make_no_study_are_a_record_error(tmp_path: Path, content: bytes) -> None:
    journal = make(tmp_path / "study")
    journal.write_bytes(content)
    with pytest.raises(RecordError, match=r"journal\.log"):
        Study.open(journal.parent, write=False)


def test_a_full_disk_ends_in_a_sentence_at_any_byte_and_loses_nothing(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    whole = journal.read_bytes()
    line = len(seal({"op_code": 4}))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, line - 2, line - 1, line, 2 * line - 1):
        backend = ChecksummedJournal(journal)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + room, limits[1]))
        try:
            with pytest.raises(InfrastructureError, match=r"File too large.*`evomerge resume`"):
                backend.append_logs([{"op_code": 4}, {"op_code": 4}])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert journal.read_bytes() == whole
        assert sorted(path.name for path in journal.parent.glob("journal*")) == ["journal.log"]


def go_on(study: Study, number: int) -> None:
    while True:
        study.tell(ask(study, number), REPORT, (0.5,), worker="w")
        number += 1


def test_a_search_that_met_a_full_disk_goes_on_when_there_is_room(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (100, 400, 1500):
        study = Study.open(journal.parent, write=True)
        before = len(study.candidates())
        resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + room, limits[1]))
        try:
            with pytest.raises(InfrastructureError, match="cannot be written"):
                go_on(study, before)
            with suppress(InfrastructureError):  # the time spent is a short line, and may fit
                study.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with Study.open(journal.parent, write=True) as study:
            for candidate in study.unfinished():
                study.tell(candidate.number, REPORT, (0.5,), worker="w")
            assert len(study.best(99)) == len(study.candidates()) >= before


def test_a_journal_that_went_away_is_not_begun_anew(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    study = Study.open(journal.parent, write=True)
    shutil.move(journal, tmp_path / "elsewhere")
    with pytest.raises(InfrastructureError, match="No such file"):
        ask(study, 4)
    assert not journal.exists()


def test_an_end_is_one_append_and_one_wait_for_the_disk(tmp_path: Path) -> None:
    folder = make(tmp_path / "study").parent
    calls: Counter[str] = Counter()
    with Study.open(folder, write=True) as study:
        number = ask(study, 4)
        with system_calls(lambda _, name: calls.update([name])):
            study.add_stage(number, part="p", split="search", scored=1, fitness=(0.5,), worker="w")
        assert (calls["symlink"], calls["fsync"]) == (1, 1)
        with system_calls(lambda _, name: calls.update([name])):
            study.tell(number, REPORT, (0.5,), worker="w")
        assert (calls["symlink"], calls["fsync"]) == (2, 2)
        calls.clear()
        with system_calls(lambda _, name: calls.update([name])):
            assert study.candidate(number).state == "done"
            assert study.get("nothing") is None
        assert not calls, "what has not grown is not opened again"


def test_an_end_that_was_cut_off_anywhere_is_no_end(tmp_path: Path) -> None:
    journal = make(tmp_path / "study", candidates=0)
    with Study.open(journal.parent, write=True) as study:
        number = ask(study, 0)
        before = journal.stat().st_size
        study.tell(number, REPORT, (0.25,), worker="w")
        after = journal.stat().st_size
    whole = journal.read_bytes()
    for length in (*range(before, after, 13), after - 2, after - 1):
        journal.write_bytes(whole[:length])
        with Study.open(journal.parent, write=False) as reader:
            assert reader.candidate(number).state == "running", length
        with Study.open(journal.parent, write=True) as study:
            study.tell(number, REPORT, (0.5,), worker="v")
        with Study.open(journal.parent, write=False) as reader:
            (told,) = reader.candidates()
        assert (told.state, told.fitness, told.worker, told.told) == ("done", (0.5,), "v", 1)
        assert told.tasks == {"a": 0.5}


def test_what_is_appended_together_is_all_there_or_nothing(tmp_path: Path) -> None:
    journal = make(tmp_path / "study")
    whole, backend = journal.read_bytes(), ChecksummedJournal(journal)
    with backend.together():
        backend.append_logs([{"op_code": 4}])
        assert journal.read_bytes() == whole
        backend.append_logs([{"op_code": 8}])
    both = whole + seal({"op_code": 4}) + seal({"op_code": 8})
    assert journal.read_bytes() == both

    def fails() -> None:
        with backend.together():
            backend.append_logs([{"op_code": 4}])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert journal.read_bytes() == both
    backend.append_logs([{"op_code": 4}])
    assert journal.read_bytes() == both + seal({"op_code": 4})
