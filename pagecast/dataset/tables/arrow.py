"""The split as Arrow files: a directory that `datasets.load_from_disk` opens, memory-mapped.

Written with pyarrow alone. The layout is that of `Dataset.save_to_disk`: streams of record batches
named data-00003-of-00025.arrow, dataset_info.json with the columns' types, and state.json, which
lists the files in order. The rows are those of the JSON lines, field by field.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.ipc
import pyarrow.json

from pagecast import storage
from pagecast.dataset.layout import ARROW_INFO, ARROW_STATE, IMAGES, arrow_directory
from pagecast.dataset.sample import STYLE
from pagecast.render.page import PageMetadata
from pagecast.style.record import PAGES, RATIO, VISION_TOKENS

BATCH_BYTES = 8 << 20  # JSON lines are made into record batches of about that much
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # an encapsulated message of no length
NO_IMAGES = pa.field(IMAGES, pa.struct([]))  # as they are in lines where none are stored
INT, TOKENS = pa.int32(), pa.list_(pa.int32())
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # as `datasets` has its `Image`
FEATURE_TYPES = {
    pa.string(): "string", INT: "int32", pa.bool_(): "bool", pa.float64(): "float64",
}  # fmt: skip
COSTS = {PAGES: INT, VISION_TOKENS: INT, RATIO: pa.float64()}


def sample_schema(
    modes: Sequence[str], stored: bool, is_varied: bool = False, is_paged: bool = False
) -> pa.Schema:
    """Return the columns of samples rendered at `modes`, with images stored or not.

    Where none are stored there is no column `images`: Parquet has no struct without fields. The
    schema carries the description of the columns that `datasets` reads.

    Args:
      is_varied: whether samples are of different styles, which their metadata name.
      is_paged: whether a sample has a list of pages in each mode.
    """
    page = pa.struct(
        [
            (name, pa.bool_() if kind is bool else INT)
            for name, kind in get_type_hints(PageMetadata).items()
        ]
        + list(COSTS.items()) * is_paged
        + [(STYLE, pa.string())] * is_varied
    )
    image = pa.list_(pa.string()) if is_paged else pa.string()
    columns = [
        ("id", pa.string()),
        ("wiki_id", pa.string()),
        ("title", pa.string()),
        ("chunk_index", INT),
        ("total_article_tokens", INT),
        ("context_tokens", TOKENS),
        ("continuation_tokens", TOKENS),
        ("context_text", pa.string()),
        *[(IMAGES, pa.struct([(mode, image) for mode in modes]))] * stored,
        ("font_metadata", pa.struct([(mode, page) for mode in modes])),
    ]
    return described(pa.schema(columns))


def described(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the description of its columns that `datasets` reads."""
    info = json.dumps({"info": {"features": features(schema)}})
    return schema.with_metadata({"huggingface": info})


def features(schema: pa.Schema) -> dict[str, Any]:
    """Return the columns as `datasets` describes them in JSON."""
    return {column.name: _feature(column.type) for column in schema}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {part.name: _feature(part.type) for part in kind}
    if pa.types.is_list(kind):
        # "Sequence" is understood by every version of datasets; newer ones write "List".
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    return {"dtype": FEATURE_TYPES[kind], "_type": "Value"}


def to_batch(lines: Sequence[bytes], schema: pa.Schema) -> pa.RecordBatch:
    """Return JSON lines as one record batch.

    Raises:
      pyarrow.ArrowInvalid: a line is not a sample of this schema.
    """
    if not lines:
        return pa.RecordBatch.from_pylist([], schema)
    content = b"".join(lines)
    of_lines = schema if IMAGES in schema.names else schema.append(NO_IMAGES)
    table = pyarrow.json.read_json(
        io.BytesIO(content),
        # A block must hold a whole line; with all lines in one there is one batch, always the same.
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=of_lines, unexpected_field_behavior="error"
        ),
    )
    (batch,) = table.select(schema.names).combine_chunks().to_batches()
    return batch.cast(schema)


def stream(lines: Iterable[bytes], schema: pa.Schema) -> Iterator[bytes]:
    """Yield JSON lines as the pieces of an Arrow stream: the schema, record batches, the end."""
    yield schema.serialize().to_pybytes()
    taken, size = [], 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size >= BATCH_BYTES:
            yield to_batch(taken, schema).serialize().to_pybytes()
            taken, size = [], 0
    if taken:
        yield to_batch(taken, schema).serialize().to_pybytes()
    yield END_OF_STREAM


def read_rows(path: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of an Arrow stream as dicts whose keys stand in the order of the columns.

    Raises:
      pyarrow.ArrowException, OSError: the file is damaged or cut short.
    """
    with storage.open_read(path) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            batch.validate(full=True)
            yield from batch.to_pylist()


def commit_description(
    output_dir: str, split: str, schema: pa.Schema, files: Mapping[str, str]
) -> None:
    """Write dataset_info.json and state.json of a split whose data files are all there.

    Args:
      files: name to SHA-256 of each data file, in order. The fingerprint, by which `datasets`
        finds what it has cached, is made of them, so other data never gets an older cache.
    """
    fingerprint = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:16]
    info = {
        "citation": "",
        "description": "",
        "features": features(schema),
        "homepage": "",
        "license": "",
    }
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in files],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    base = storage.join(output_dir, arrow_directory(split))
    for name, content in ((ARROW_INFO, info), (ARROW_STATE, state)):
        text = json.dumps(content, indent=2).encode("ascii") + b"\n"
        storage.commit(storage.join(base, name), [text])
