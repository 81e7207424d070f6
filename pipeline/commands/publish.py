"""The command `publish`: a dataset onto the Hugging Face hub, with a card that says what it is.

What goes is made a directory of links, and `upload_folder` does the rest: several files at a time,
in several commits where there are many, and after a stop only what the hub has not got. Nothing of
`_pagecast` goes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from huggingface_hub import HfApi, constants, errors, get_token
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from pagecast import PageReader, ReaderError, storage
from pagecast.dataset.layout import (
    CARD,
    DATA,
    FILES,
    IMAGES,
    MANIFEST,
    NONE,
    PARQUET,
    PLAN,
    SHARDS,
    dataset_of,
    merged_path,
    parse_parquet_name,
    part_files,
    tar_name,
)
from pagecast.dataset.shard import Shard, read_plan
from pagecast.reader.errors import DAMAGE
from pagecast.reader.manifest import read_record
from pagecast.storage.errors import StoreError
from pagecast.storage.stores import hub_requests
from pipeline.cli.asked import PublishOptions, VerifyOptions
from pipeline.commands import card
from pipeline.commands.verify import verify
from pipeline.options import UsageError
from pipeline.progress.streams import tell
from pipeline.progress.terminal import be_quiet, note, readable, say

DONE, FAILED = 0, 1
README = "README.md"
SPLITS = ("train", "val")
OURS = [
    *(f"{DATA}/{split}-*-of-*.parquet" for split in SPLITS),
    *(f"{split}*.jsonl" for split in SPLITS),
    f"{IMAGES}/*.tar",
]


class Contents(NamedTuple):
    """What is published: local files by their names on the hub, and how the hub finds the splits.

    form: "parquet", or how images are stored beside the JSON lines.
    """

    form: str
    files: dict[str, str]
    data_files: dict[str, str]


def publish(options: PublishOptions) -> int:
    """Put a dataset onto the hub, and return the exit code.

    Raises:
      UsageError: wrong use; nothing was sent.
    """
    be_quiet(options.quiet)
    out = _output_dir(options)
    try:
        manifest = read_record(out)[1]
    except ReaderError as error:
        raise UsageError(str(error)) from error
    if not manifest["split"]["train"]["samples"]:
        raise UsageError(f"{out} has no train samples, so there is nothing to publish")
    contents = find_contents(out, manifest)
    if not (options.no_verify or options.dry_run):
        checked = VerifyOptions(output_dir=dataset_of(out, manifest), quiet=options.quiet)
        if verify(checked) != DONE:
            say("error: the dataset has faults, so nothing was sent; --no_verify sends it as it is")
            return FAILED
    try:
        example = card.example_of(PageReader(out))
    except ReaderError as error:
        raise UsageError(str(error)) from error
    plan = read_plan(storage.private(dataset_of(out, manifest), PLAN))
    try:
        made = _made(manifest, options, contents, example, [entry.path for entry in plan])
    except DAMAGE as error:
        raise UsageError(
            f"{storage.join(out, MANIFEST)} is damaged ({type(error).__name__}: {error}); the "
            "`run` command that made the dataset writes it again"
        ) from error
    path = storage.private(out, CARD)
    storage.protect(out)
    storage.commit(path, [made[README]])
    sizes = {name: storage.size_of(file) for name, file in contents.files.items()}
    sizes |= {name: len(content) for name, content in made.items()}
    total = f"{len(sizes):,} files, {readable(sum(sizes.values()))}"
    if options.dry_run:
        for name, size in sorted(sizes.items()):
            tell(f"{size:>15,} {name}")
        tell(f"{total}, would go to {options.repo}; the card is {path}")
        return DONE
    try:
        where = send(contents.files, made, options)
    except (OSError, StoreError) as error:
        say(f"error: {error}; what the hub has stays there, the same command goes on from there")
        return FAILED
    tell(f"{total}, are at {where}")
    return DONE


def _made(
    manifest: Mapping[str, Any],
    options: PublishOptions,
    contents: Contents,
    example: card.Example,
    paths: Iterable[str],
) -> dict[str, bytes]:
    """Return what is published beside the dataset's own files; `paths` are those of its input."""
    # A viewer has nothing to show of a split without samples.
    there = {s: p for s, p in contents.data_files.items() if manifest["split"][s]["samples"]}
    codes = card.languages_of(paths, example)
    text = card.make_card(
        manifest, options.repo, contents.form, there, example, codes, options.license
    )
    return {
        README: text.encode(),
        MANIFEST: card.public_manifest(manifest),
        card.PAGE: example.png,
    }


def _output_dir(options: PublishOptions) -> str:
    if not storage.is_local(options.output_dir):
        raise UsageError(
            f"--output_dir {options.output_dir}: a dataset is published from a disk; copy it to one"
        )
    try:
        validate_repo_id(options.repo)
    except errors.HFValidationError as error:
        raise UsageError(f"--repo {options.repo}: {' '.join(str(error).split())}") from error
    return os.path.abspath(options.output_dir)


def find_contents(out: str, manifest: Mapping[str, Any]) -> Contents:
    """Return what of a dataset goes to the hub: Parquet if it has that, else JSON lines and tars.

    Raises:
      UsageError: images are single files, which no repository has room for.
    """
    outputs = manifest["outputs"]
    if outputs.get("parquet"):
        names = [path.rsplit("/", 1)[-1] for path in storage.files_in(storage.join(out, PARQUET))]
        found = sorted(name for name in names if parse_parquet_name(f"{PARQUET}/{name}"))
        files = {f"{DATA}/{name}": storage.join(out, PARQUET, name) for name in found}
        patterns = {split: f"{DATA}/{split}-*.parquet" for split in SPLITS}
        return Contents(PARQUET, files, patterns)
    if outputs["images"] == FILES:
        raise UsageError(
            f"{out} has its images as single files, too many for a repository: give the same `run` "
            "command with --parquet, which draws nothing again"
        )
    paths = {}
    for split in SPLITS:
        names = [] if outputs.get("merged", True) else part_files(out, split)
        for name in names or [merged_path(out, split).rsplit("/", 1)[-1]]:
            paths[name] = storage.join(out, name)
    if outputs["images"] == SHARDS:
        whole = dataset_of(out, manifest)
        plan = read_plan(storage.private(whole, PLAN))
        for shard in (entry for entry in plan if isinstance(entry, Shard)):
            for mode in manifest["vision_modes"]:
                tar = tar_name(mode, shard.number)
                if storage.exists(storage.join(whole, tar)):  # a shard may have no sample
                    paths[tar] = storage.join(whole, tar)
    patterns = {split: f"{split}*.jsonl" for split in SPLITS}
    return Contents(NONE if outputs["images"] == NONE else SHARDS, paths, patterns)


def send(files: Mapping[str, str], made: Mapping[str, bytes], options: PublishOptions) -> str:
    """Upload files and return where they are.

    Raises:
      StoreError, OSError: the hub or the connection failed.
    """
    # Reading from the hub does without; large uploads are what it is good at.
    told = os.environ.get("HF_HUB_DISABLE_XET", "").upper()
    constants.HF_HUB_DISABLE_XET = told in constants.ENV_VARS_TRUE_VALUES
    api = HfApi(endpoint=hub_requests.endpoint())
    with tempfile.TemporaryDirectory(prefix="pagecast-") as stage, _naming(options.repo):
        for name, path in files.items():
            link = os.path.join(stage, name)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(os.path.realpath(path), link)
        for name, content in made.items():
            storage.commit(os.path.join(stage, name), [content])
        url = api.create_repo(
            options.repo, repo_type="dataset", private=options.private, exist_ok=True
        )
        repo = url.repo_id
        if options.revision is not None:
            api.create_branch(repo, branch=options.revision, repo_type="dataset", exist_ok=True)
        _refuse_foreign(api, repo, options)
        note(f"uploading to {url}")
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=stage,
            revision=options.revision,
            commit_message="Publish the dataset with Pagecast",
            delete_patterns=OURS,  # what is there of another form, or of another number of files
        )
    return str(url) + (f"/tree/{options.revision}" if options.revision else "")


def _refuse_foreign(api: HfApi, repo: str, options: PublishOptions) -> None:
    """Refuse a repository that has something else than a dataset of Pagecast's.

    Raises:
      UsageError: it has.
    """
    there = api.list_repo_files(repo, repo_type="dataset", revision=options.revision)
    others = sorted(set(there) - {".gitattributes", README})
    if not others or MANIFEST in others:
        return
    # An upload in several commits that was stopped has a card, which goes first, and no manifest.
    if README in there:
        at = f"hf://datasets/{repo}@{quote(options.revision or 'main', safe='')}/{README}"
        if card.is_ours(storage.read_bytes(at)):
            return
    raise UsageError(f"--repo {repo} holds something else ({others[0]}); choose another")


@contextlib.contextmanager
def _naming(repo: str) -> Iterator[None]:
    """Turn the library's errors into one line."""
    try:
        yield
    except (*hub_requests.FAILURES, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the files here; those of hf_xet have no number
        status = hub_requests.status_of(error)
        if isinstance(error, PermissionError):
            status = 401
        if status in (401, 403):
            refused = "refuses the token" if get_token() else "wants a token"
            what = f"the hub {refused} ({status}): set HF_TOKEN to one that may write to it"
        else:
            causes = [error, *filter(None, [error.__cause__])]  # which file it was, and why
            what = ": ".join(map(hub_requests.one_line, causes))
        raise StoreError(f"{repo}: {what}") from error
