import io
import json
import multiprocessing
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from pagecast.reader import PageReader, ReaderError
from pagecast.render import PageRenderer
from pagecast.render.fonts import default_font
from pagecast.style import PageStyle
from pipeline.__main__ import main
from tests.conftest import SAMPLE, Outcome, articles, write_parquet
from tests.pagecast.render.test_glyphs import tiny_font
from tests.support.reading import Dataset, check_in_process, digest_of, pixels, wrong_pages

FORMS = {"files": "", "shards": "--image_shards --shard_rows 4", "none": "--no_images"}


@pytest.fixture(scope="module", params=FORMS)
def dataset(
    request: pytest.FixtureRequest, demo: Outcome, tmp_path_factory: pytest.TempPathFactory
) -> Dataset:
    out = tmp_path_factory.mktemp(request.param) / "out"
    argv = ["run", "--input", SAMPLE, "--output_dir", str(out), "--workers", "1"]
    options = f"--num_articles 12 --modes tiny,base {FORMS[request.param]}"
    assert main([*argv, *options.split()]) == 0
    return Dataset(out, demo.path)


def only(name: str) -> Any:
    return pytest.mark.parametrize("dataset", [name], indirect=True)


def test_pages_are_those_that_are_or_would_be_stored(dataset: Dataset) -> None:
    reader = PageReader(dataset.path)
    assert reader.modes == {"tiny": 512, "base": 1024}
    assert wrong_pages(dataset, reader) == []
    assert wrong_pages(dataset, pickle.loads(pickle.dumps(reader))) == []


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes_read_with_one_reader(dataset: Dataset, method: str) -> None:
    """Also after the parent has read: forked processes must not share its place in open files."""
    context = multiprocessing.get_context(method)
    reader = PageReader(str(dataset.path))
    assert digest_of(reader, dataset.samples[0], "tiny")
    answers = context.Queue()
    processes = [
        context.Process(target=check_in_process, args=(dataset, reader, answers)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    assert wrong_pages(dataset, reader) == []
    assert [answers.get(timeout=600) for _ in processes] == [[]] * 3
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_several_threads_read_with_one_reader(dataset: Dataset) -> None:
    reader, wrong = PageReader(dataset.path), []
    threads = [
        threading.Thread(target=lambda: wrong.append(wrong_pages(dataset, reader)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [[]] * 3


@pytest.fixture
def manifest(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """The manifest, written back as the test changed it, and restored afterwards."""
    path = dataset.path / "split_manifest.json"
    content = path.read_bytes()
    yield json.loads(content)
    path.write_bytes(content)


def write(dataset: Dataset, manifest: dict[str, Any]) -> PageReader:
    (dataset.path / "split_manifest.json").write_text(json.dumps(manifest))
    return PageReader(dataset.path)


def test_a_page_is_had_by_the_id_alone_and_by_a_text_of_ones_own(dataset: Dataset) -> None:
    reader = PageReader(dataset.path)
    for sample in dataset.samples[:9]:
        page = reader.image(sample["id"], "tiny").tobytes()
        assert page == dataset.expected[sample["id"], "tiny"]
        bare = {"id": sample["id"], "context_text": sample["context_text"]}
        assert reader.image(bare, "base").tobytes() == dataset.expected[sample["id"], "base"]
    if not (dataset.path / "images").exists():
        other = {**dataset.samples[0], "context_text": "Two words"}  # its font size is another
        page = PageRenderer().render("Two words", 512).image.tobytes()
        assert reader.image(other, "tiny").tobytes() == page
    for name in ("sample_000000_chunk_77", "sample_999999_chunk_0"):
        with pytest.raises((ReaderError, FileNotFoundError)):
            reader.image(name, "tiny")


@pytest.mark.parametrize("rgb", [False, True])
def test_a_batch_is_of_arrays(dataset: Dataset, rgb: bool) -> None:
    reader = PageReader(dataset.path)
    batch = reader.collate(dataset.samples[:3], "tiny", rgb)
    assert batch["id"] == [sample["id"] for sample in dataset.samples[:3]]
    assert batch["page"].shape == ((3, 3, 512, 512) if rgb else (3, 512, 512))
    gray = batch["page"][:, 0] if rgb else batch["page"]
    for sample, page in zip(dataset.samples, gray, strict=False):
        assert page.tobytes() == dataset.expected[sample["id"], "tiny"]
    for name in ("context_tokens", "continuation_tokens"):
        assert (batch[name].shape, batch[name].dtype) == ((3, 1000), "int32")
        assert batch[name].tolist() == [sample[name] for sample in dataset.samples[:3]]


@only("files")
def test_a_damaged_image_names_its_sample(dataset: Dataset) -> None:
    name = dataset.samples[0]["id"]
    path = dataset.path / f"images/tiny/{name}.png"
    whole = path.read_bytes()
    try:
        other = (dataset.path / f"images/base/{name}.png").read_bytes()
        for content in (whole[:300], b"", b"GIF89a" + whole[6:], other):
            path.write_bytes(content)
            with pytest.raises(ReaderError, match=f"image of {name} in mode tiny is damaged") as e:
                PageReader(dataset.path).image(name, "tiny")
            assert "\n" not in str(e.value)
    finally:
        path.write_bytes(whole)


@only("none")
def test_another_pillow_that_draws_the_same_is_taken(
    dataset: Dataset, manifest: dict[str, Any]
) -> None:
    reader = write(dataset, {**manifest, "versions": {**manifest["versions"], "pillow": "1.2.3"}})
    assert wrong_pages(dataset, reader) == []


@only("none")
@pytest.mark.parametrize(
    ("version", "why"),
    [("1.2.3", r"pillow 1\.2\.3, here .*"), (None, "by the same versions, built otherwise")],
)
def test_one_that_draws_another_probe_page_is_refused(
    dataset: Dataset, manifest: dict[str, Any], version: str | None, why: str
) -> None:
    versions = {**manifest["versions"], **({"pillow": version} if version else {})}
    probe = {**manifest["probe"], "tiny": "0f"}
    reader = write(dataset, {**manifest, "versions": versions, "probe": probe})
    with pytest.raises(
        ReaderError,
        match=rf"page of mode tiny has the SHA-256 {manifest['probe']['tiny']} here, 0f where they "
        rf"were made; {why}; install Pillow {versions['pillow']} from PyPI",
    ):
        reader.image(dataset.samples[0], "tiny")
    assert reader.image(dataset.samples[0], "base").size == (1024, 1024)


@only("none")
def test_without_a_probe_page_the_versions_decide(
    dataset: Dataset, manifest: dict[str, Any]
) -> None:
    del manifest["probe"]
    assert write(dataset, manifest).image(dataset.samples[0], "tiny")
    for name in ("pillow", "freetype"):
        versions = {**manifest["versions"], name: "1.2.3"}
        reader = write(dataset, {**manifest, "versions": versions})
        with pytest.raises(ReaderError, match=rf"{name} 1\.2\.3, here .*; install Pillow"):
            reader.image(dataset.samples[0], "tiny")


@only("none")
def test_a_damaged_font_is_refused(dataset: Dataset) -> None:
    (font,) = (dataset.path / "_pagecast/assets").glob("*.ttf")
    content = font.read_bytes()
    try:
        font.write_bytes(content[:-1])
        with pytest.raises(ReaderError, match="is damaged: its SHA-256 is not its name"):
            PageReader(dataset.path).image(dataset.samples[0], "tiny")
    finally:
        font.write_bytes(content)


def test_the_font_and_layout_of_the_job_are_used(tmp_path: Path) -> None:
    """Not those of this process: a job with another font is drawn with that."""
    other = tmp_path / "wide.ttf"
    font = TTFont(io.BytesIO(default_font()))
    advances = font["hmtx"].metrics
    for name, (advance, bearing) in advances.items():
        advances[name] = (advance + 300, bearing)
    font.save(other)
    path = write_parquet(tmp_path / "a.parquet", articles("Some words to draw. " * 30))
    options = "--min_tokens 50 --context_tokens 30 --continuation_tokens 0 --modes tiny --workers 1"
    shared = [*options.split(), "--font", str(other), "--input", str(path), "--output_dir"]
    for name, form in (("stored", []), ("drawn", ["--no_images"])):
        assert main(["run", *shared, str(tmp_path / name), *form]) == 0
    reader = PageReader(tmp_path / "drawn")
    for line in (tmp_path / "drawn/samples.jsonl").open():
        sample = json.loads(line)
        stored = tmp_path / f"stored/images/tiny/{sample['id']}.png"
        page = reader.image(sample, "tiny").tobytes()
        assert page == pixels(stored)
        assert page != PageRenderer().render(sample["context_text"], 512).image.tobytes()


def test_a_job_with_several_fonts_and_line_breaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stored pages and drawn ones are those of the fonts in their order, and all is verified."""
    (tmp_path / "some.ttf").write_bytes(some := tiny_font())
    path = write_parquet(
        tmp_path / "a.parquet", articles("AV fix 日本語です。 well-known words " * 9)
    )
    options = "--min_tokens 50 --context_tokens 30 --continuation_tokens 0 --modes tiny --workers 1"
    shared = [*options.split(), "--line_break", "unicode", "--input", str(path)]
    fonts = ["--font", str(tmp_path / "some.ttf"), "builtin"]
    for name, form in (("stored", []), ("drawn", ["--no_images"])):
        assert main(["run", *shared, *fonts, "--output_dir", str(tmp_path / name), *form]) == 0
        assert main(["verify", "--output_dir", str(tmp_path / name), "--workers", "1"]) == 0
    renderer = PageRenderer(PageStyle((some, default_font()), line_break="unicode"))
    reader = PageReader(tmp_path / "drawn")
    for line in (tmp_path / "drawn/samples.jsonl").open():
        sample = json.loads(line)
        page = renderer.render(sample["context_text"], 512).image.tobytes()
        assert reader.image(sample, "tiny").tobytes() == page
        assert pixels(tmp_path / f"stored/images/tiny/{sample['id']}.png") == page
        assert page != PageRenderer().render(sample["context_text"], 512).image.tobytes()
    manifest = json.loads((tmp_path / "stored/split_manifest.json").read_bytes())
    assert [font["name"] for font in manifest["fonts"]] == ["some.ttf", "DejaVuSans.ttf"]
    assert "font" not in manifest and manifest["options"]["line_break"] == "unicode"
    assert manifest["versions"]["icu"] == metadata.version("PyICU-wheels")

    manifest["versions"]["uniseg"] = "0.9"
    del manifest["probe"]
    (tmp_path / "drawn/split_manifest.json").write_text(
        json.dumps(manifest | {"outputs": {"images": "none"}})
    )
    with pytest.raises(ReaderError, match=r"uniseg 0\.9, here none; .* that made them, 0\.1\.0"):
        PageReader(tmp_path / "drawn").image(sample, "tiny")
    capsys.readouterr()
    other = [*shared, "--font", "builtin", "--output_dir", str(tmp_path / "stored")]
    assert main(["run", *other]) == 2
    assert "--font 2 (SHA-256) was" in capsys.readouterr().err


def test_what_is_not_there_is_named(dataset: Dataset, tmp_path: Path) -> None:
    reader = PageReader(dataset.path)
    with pytest.raises(ReaderError, match="mode 'small' is not in the dataset, only tiny, base"):
        reader.image(dataset.samples[0], "small")
    with pytest.raises(ReaderError, match="the job is not finished, or this is not a dataset"):
        PageReader(tmp_path).image(dataset.samples[0], "tiny")
    if (dataset.path / "images").exists():
        for name in ("../../etc/passwd", "sample_1_chunk_0"):
            with pytest.raises(ReaderError, match="is not the id of a sample"):
                reader.png(name, "tiny")
        with pytest.raises((ReaderError, FileNotFoundError)):
            reader.png("sample_000000_chunk_77", "tiny")
        with pytest.raises((ReaderError, FileNotFoundError)):
            reader.png("sample_999999_chunk_0", "tiny")
        assert reader.png(dataset.samples[0]["id"], "tiny").startswith(b"\x89PNG")
    else:
        with pytest.raises(ReaderError, match="stores no images"):
            reader.png(dataset.samples[0]["id"], "tiny")


@only("shards")
def test_a_training_loader_needs_neither_beam_nor_a_tokenizer(dataset: Dataset) -> None:
    script = (
        "import json, sys; from pagecast.reader import PageReader\n"
        f"sample = json.loads(open({str(dataset.path / 'train.jsonl')!r}).readline())\n"
        f"print(PageReader({str(dataset.path)!r}).image(sample, 'tiny').size)\n"
        "print(sorted({'apache_beam', 'tokenizers', 'transformers', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(512, 512)\n[]\n"


@only("none")
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"outputs": {}}', b'{"outputs": 1', b"\0", b'{"train": 57}']
)
def test_a_manifest_of_another_tool_is_said_to_be_none(dataset: Dataset, content: bytes) -> None:
    path = dataset.path / "split_manifest.json"
    whole = path.read_bytes()
    try:
        path.write_bytes(content)
        with pytest.raises(ReaderError, match="is not a manifest of Pagecast's") as error:
            _ = PageReader(dataset.path).modes
        assert "\n" not in str(error.value)
    finally:
        path.write_bytes(whole)


def test_batches_of_pages_in_colour(demo: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = PageReader(demo.path)
    samples = reader["train"][:2]
    coloured = Image.new("RGB", (6, 8), "#ff0000")
    monkeypatch.setattr(PageReader, "image", lambda *_: coloured)
    batch = reader.collate(samples, "tiny", rgb=True)
    assert batch["page"].shape == (2, 3, 8, 6) and batch["page"].flags.c_contiguous
    assert (batch["page"][0, 0] == 255).all() and (batch["page"][0, 1:] == 0).all()
    assert reader.collate(samples, "tiny")["page"].shape == (2, 8, 6)
    images = iter([coloured, Image.new("L", (8, 8))])
    monkeypatch.setattr(PageReader, "image", lambda *_: next(images))
    with pytest.raises(ReaderError, match="pages of 6 by 8 and 8 by 8 pixels cannot be one batch"):
        reader.collate(samples, "tiny")
