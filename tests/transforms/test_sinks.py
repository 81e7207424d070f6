import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagecast.dataset.layout import END_OF_TAR
from pagecast.dataset.sample import ModeImages, Sample, StoredImage, digest_of, page_names
from transforms.render.sinks import ImageFiles, ImageTars, NoImages, tar_member


def sample(row: int) -> Sample:
    tokens = np.zeros(1, np.int32)
    return Sample(row, f"w{row}", "é", 0, 9, tokens, tokens, "x")


PNGS = {"tiny": b"tiny image", "small": b"small image" * 100}


def images(row: int, *modes: str) -> dict[str, dict[str, bytes]]:
    return {mode: {sample(row).id: PNGS[mode]} for mode in modes or PNGS}


def files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_a_image_is_told_by_the_start_of_its_sha256() -> None:
    assert digest_of(b"abc") == "ba7816bf8f01cfea"  # of the standard's example


def test_files_are_written_at_once_and_listed(tmp_path: Path) -> None:
    sink = ImageFiles(str(tmp_path), {})
    sink.add(sample(1), images(1))
    assert files(tmp_path) == {
        "images/small/sample_000001_chunk_0.png": PNGS["small"],
        "images/tiny/sample_000001_chunk_0.png": PNGS["tiny"],
    }
    places = {"sample_000001_chunk_0": StoredImage(0, 10, digest_of(PNGS["tiny"]))}
    assert sink.commit()["tiny"] == ModeImages(None, 10, places)
    sink.discard()
    assert files(tmp_path) == {}


def test_earlier_files_stay_with_the_samples_that_are_still_there(tmp_path: Path) -> None:
    first = ImageFiles(str(tmp_path), {})
    for row in (1, 2):
        first.add(sample(row), images(row, "tiny"))
    earlier = first.commit()
    second = ImageFiles(str(tmp_path), earlier)
    second.add(sample(1), images(1, "small"))
    stored = second.commit()
    assert list(stored["tiny"].places) == list(stored["small"].places) == ["sample_000001_chunk_0"]
    assert stored["tiny"].size == 10
    assert list(files(tmp_path)) == [
        "images/small/sample_000001_chunk_0.png", "images/tiny/sample_000001_chunk_0.png",
    ]  # fmt: skip


def test_tars_have_images_and_the_records_beside_the_first(tmp_path: Path) -> None:
    sink = ImageTars(str(tmp_path), 7, ["tiny", "small"])
    for row in (1, 2):
        sink.add(sample(row), images(row))
    assert not list(tmp_path.rglob("*.tar"))
    stored = sink.commit()
    for mode, png in PNGS.items():
        path = tmp_path / f"images/{mode}/00007.tar"
        assert stored[mode].tar == f"images/{mode}/00007.tar"
        assert stored[mode].size == path.stat().st_size
        content = path.read_bytes()
        for offset, length, digest in stored[mode].places.values():
            assert content[offset : offset + length] == png
            assert digest == digest_of(png)
        with tarfile.open(path, "r:") as tar:
            members = [(m.name, m.mtime, m.uid, m.mode) for m in tar]
            names = [f"sample_00000{row}_chunk_0" for row in (1, 2)]
            kinds = ["png", "json"] if mode == "tiny" else ["png"]
            assert members == [(f"{n}.{k}", 0, 0, 0o644) for n in names for k in kinds]
            if mode == "tiny":
                record = tar.extractfile(f"{names[1]}.json")
                assert record is not None
                assert record.read() + b"\n" == sample(2).json_line()


def test_pages_are_files_of_their_own_and_members_of_one_sample(tmp_path: Path) -> None:
    names = page_names(sample(1).id, 2)
    pages = {"tiny": {name: name.encode() for name in names}}
    written = ImageFiles(str(tmp_path), {})
    written.add(sample(1), pages)
    stored = written.commit()["tiny"]
    assert list(files(tmp_path)) == [f"images/tiny/{name}.png" for name in names]
    assert stored.names_of(sample(1).id) == names
    with pytest.raises(KeyError):
        stored.names_of(sample(10).id)
    gone = ImageFiles(str(tmp_path), {"tiny": stored})
    assert gone.commit()["tiny"].places == {}
    assert files(tmp_path) == {}
    sink = ImageTars(str(tmp_path), 7, ["tiny"])
    sink.add(sample(1), pages)
    assert sink.commit()["tiny"].names_of(sample(1).id) == names
    with tarfile.open(tmp_path / "images/tiny/00007.tar", "r:") as tar:
        keys = [name.partition(".")[::2] for name in tar.getnames()]  # as WebDataset has them
    assert keys == [(sample(1).id, kind) for kind in ("p0.png", "p1.png", "json")]


def test_discarded_tars_leave_nothing(tmp_path: Path) -> None:
    sink = ImageTars(str(tmp_path), 7, ["tiny", "small"])
    sink.add(sample(1), images(1))
    sink.discard()
    assert files(tmp_path) == {}


def test_tars_that_cannot_all_be_opened_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/small").write_bytes(b"no directory")
    tars = ImageTars(str(tmp_path), 7, ["tiny", "small"])
    with pytest.raises(OSError, match="small"):
        tars.add(sample(1), images(1))
    tars.discard()
    assert list(files(tmp_path)) == ["images/small"]


def test_without_samples_there_are_no_tars(tmp_path: Path) -> None:
    older = tmp_path / "images/tiny/00007.tar"
    older.parent.mkdir(parents=True)
    older.write_bytes(END_OF_TAR)
    assert ImageTars(str(tmp_path), 7, ["tiny", "small"]).commit() == {}
    assert files(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 511, b"x" * 512, b"x" * 513])
def test_members_are_what_tar_reads(content: bytes) -> None:
    archive = tar_member("a.png", content) + tar_member("b.png", b"after") + END_OF_TAR
    assert len(archive) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        read: list[Any] = [(m.name, tar.extractfile(m)) for m in tar]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert [(m.name, tar.extractfile(m).read()) for m in tar] == [  # type: ignore[union-attr]
            ("a.png", content), ("b.png", b"after"),
        ]  # fmt: skip
    assert len(read) == 2


def test_no_images() -> None:
    sink = NoImages()
    sink.add(sample(1), {})
    assert sink.commit() == {}
    sink.discard()
