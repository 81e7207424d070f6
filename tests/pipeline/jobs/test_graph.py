from pathlib import Path

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from pagecast.dataset.shard import Failure, Shard, plan_line
from pagecast.style.sheet import StyleSheet
from pipeline import graph
from pipeline.options import RunOptions
from tests.conftest import in_beam


def job(out: Path) -> graph.Job:
    return graph.Job(
        RunOptions(("a.parquet",), str(out), max_samples=100, val_size=10),
        output_dir=str(out),
        tokenizer_path=str(out / "_pagecast/assets/t.json"),
        sheet=StyleSheet(),
    )


def write_plan(out: Path, shards: int) -> None:
    (out / "_pagecast").mkdir(parents=True, exist_ok=True)
    with (out / "_pagecast/plan.jsonl").open("wb") as file:
        for n in range(shards):
            file.write(plan_line(Shard(n, f"/data/part-{n}.parquet", 0, 0, 256, n * 256)))


def size_of_graph(out: Path) -> int:
    pipeline = beam.Pipeline()
    graph.build(pipeline, job(out))
    return len(pipeline.to_runner_api().SerializeToString())


def test_the_graph_is_small_and_does_not_grow_with_the_input(tmp_path: Path) -> None:
    write_plan(tmp_path, 1)
    small = size_of_graph(tmp_path)
    write_plan(tmp_path, 5000)
    assert (tmp_path / "_pagecast/plan.jsonl").stat().st_size > 500_000
    assert abs(size_of_graph(tmp_path) - small) < 1000  # pickled code varies by a few bytes
    assert small < 200_000


def test_the_steps_have_the_names_of_the_design() -> None:
    pipeline = beam.Pipeline()
    graph.build(pipeline, job(Path("/out")))
    names = {t.unique_name for t in pipeline.to_runner_api().components.transforms.values()}
    assert {name for name in names if "/" not in name and "AppliedPTransform" not in name} == {
        "FindWork", "KeepArticles", "MakeSamples", "AllFailures", "SplitSamples", "Finish",
    }  # fmt: skip
    assert names >= {
        "FindWork/ReadPlan", "FindWork/Reshuffle", "FindWork/CheckWorker",
        "KeepArticles/ReadArticles", "KeepArticles/Tokenize", "KeepArticles/FilterShort",
        "MakeSamples/ExpandChunks", "MakeSamples/RenderPages", "MakeSamples/WriteSamples",
        "SplitSamples/PlanSplit", "SplitSamples/AssignSplit", "SplitSamples/WritePart",
    }  # fmt: skip


def test_with_failed_input_nothing_is_split_and_no_manifest_written(tmp_path: Path) -> None:
    write_plan(tmp_path, 0)
    failure = Failure("/in/x.parquet", "the whole file", "cut short")
    (tmp_path / "_pagecast/plan.jsonl").write_bytes(plan_line(failure))
    with in_beam() as pipeline:
        done = graph.build(pipeline, job(tmp_path))
        assert_that(done, equal_to([False]))
    assert b"cut short" in (tmp_path / "_pagecast/errors.jsonl").read_bytes()
    assert not (tmp_path / "split_manifest.json").exists()
