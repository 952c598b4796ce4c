"""Studies become a table of candidates on which searches can be replayed."""

from __future__ import annotations

import pandas
import recording

import evomerge
from tests.small_job import SmallJob


def test_a_table_holds_every_candidates_genes_and_scores(small_job: SmallJob) -> None:
    results = evomerge.search(small_job.path, small_job.folder / "study")
    out = small_job.folder / "tables" / "small.parquet"
    assert recording.write([results.path], out) == 6
    table = pandas.read_parquet(out)
    assert list(table.candidate) == list(range(6))
    assert list(table.kind) == ["landmark"] * 3 + ["asked"] * 3
    assert list(table.label[:3]) == ["uniform", "parent:one", "parent:three"]
    genes = [name for name in table.columns if name.startswith("gene.")]
    assert genes == [name for name in results.candidates.columns if name.startswith("gene.")]
    for number, row in table.iterrows():
        assert list(row[genes]) == list(results.candidates.loc[number, genes])
        (search,) = [row[name] for name in table.columns if name.startswith("scores.search.")]
        assert abs(search.mean() - results.candidates.fitness[number]) < 1e-6
    holdout = next(name for name in table.columns if name.startswith("scores.holdout."))
    assert table[holdout].notna().sum() < 6, "the study scores its finalists there alone"

    recording.score(results.path, ["validation", "holdout"])
    recording.write([results.path], out)
    table = pandas.read_parquet(out)
    assert [len(scores) for scores in table[holdout]] == [5] * 6
    assert [len(scores) for scores in table[holdout.replace("holdout", "validation")]] == [3] * 6
