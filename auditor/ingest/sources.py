"""What the user named → the files to read: paths, folders, globs, manifests, fsspec URLs.

Order is by name, so that the same sources give the same shards on any machine.
"""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from auditor.errors import BadInput
from auditor.paths import shipped
from auditor.plan import Source

FORMATS = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".txt": "text",
}
UNKNOWN = "unknown"
"""A file beside readable ones that no reader takes; it becomes one reject."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_READABLE = ", ".join(FORMATS) + "; with " + ", ".join(COMPRESSIONS)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A corpus described in TOML: where it is, and which fields hold the text and the id."""

    corpus: str
    sources: tuple[str, ...]
    text: str | None
    id: str | None


def read_manifest(path: Path) -> Manifest:
    """Read a corpora/*.toml; locations are relative to the manifest. Raises BadInput."""
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}", "a corpus manifest is TOML") from error
    sources = content.get("sources")
    if not isinstance(sources, list) or not sources:
        raise BadInput(f"{path}: no list 'sources'", 'write sources = ["folder/*.jsonl"]')
    fields = content.get("fields", {})
    return Manifest(
        corpus=str(content.get("corpus", path.stem)),
        sources=tuple(_beside(path, str(source)) for source in sources),
        text=fields.get("text"),
        id=fields.get("id"),
    )


def shipped_manifest(name: str) -> Path | None:
    """Find a manifest shipped with the project by the corpus's name."""
    path = shipped("corpora") / f"{name}.toml"
    return path if path.is_file() else None


def find_sources(named: Sequence[str]) -> list[Source]:
    """List every readable file under the named paths, sorted by name; raises as `find_files`."""
    return [source for source in find_files(named) if source.format != UNKNOWN]


def find_files(named: Sequence[str]) -> list[Source]:
    """List every file under the named paths, also one that no reader takes, sorted by name.

    Raises BadInput for a path that does not exist and for a folder or glob with nothing to read.
    """
    found = {source.url: (source, root) for name in named for source, root in _expand(name)}
    names = Counter(source.name for source, _ in found.values())
    sources = [
        source if names[source.name] == 1 else replace(source, name=f"{root}/{source.name}")
        for source, root in found.values()
    ]
    return sorted(sources, key=lambda source: (source.name, source.url))


def content_digest(source: Source) -> str:
    """Hash a file's bytes, wherever it is, to 32 hexadecimal digits (BLAKE2b, 16 bytes)."""
    hasher = hashlib.blake2b(digest_size=16)
    with fsspec.open(source.url, "rb") as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


def _expand(name: str) -> list[tuple[Source, str]]:
    """The files under one named path, each with the last part of the folder it was found from."""
    filesystem, path = fsspec.core.url_to_fs(name)
    if filesystem.isfile(path):
        paths, root = [path], str(PurePosixPath(path).parent)
        nothing = f"cannot read {name}: unknown ending"
    elif any(mark in path for mark in "*?["):
        paths, root = [p for p in filesystem.glob(path) if filesystem.isfile(p)], _glob_root(path)
        nothing = f"nothing matches {name}"
    elif not filesystem.exists(path):
        raise BadInput(f"no such file or folder: {name}", "check the path; globs need quotes")
    else:
        paths, root = filesystem.find(path), path
        nothing = f"nothing to read in {name}"
    if not any(_format(p)[0] in FORMATS.values() for p in paths):
        raise BadInput(nothing, f"readable: {_READABLE}")
    folder = PurePosixPath(root).name
    return [(_source(filesystem, p, root), folder) for p in paths if _format(p)[0]]


def _source(filesystem: Any, path: str, root: str) -> Source:  # noqa: ANN401
    format_, compression = _format(path)
    return Source(
        url=filesystem.unstrip_protocol(path),
        name=PurePosixPath(path).relative_to(root).as_posix(),
        format=format_ or "",
        compression=compression,
        size=int(filesystem.size(path) or 0),
        state=str(filesystem.ukey(path)),
    )


def _format(path: str) -> tuple[str | None, str | None]:
    pure = PurePosixPath(path.lower())
    if pure.name.startswith("."):
        return None, None
    compression = COMPRESSIONS.get(pure.suffix)
    ending = PurePosixPath(pure.stem).suffix if compression else pure.suffix
    return FORMATS.get(ending, UNKNOWN), compression


def _glob_root(path: str) -> str:
    fixed: Iterable[str] = []
    for part in PurePosixPath(path).parts:
        if any(mark in part for mark in "*?["):
            break
        fixed = [*fixed, part]
    return str(PurePosixPath(*fixed))


def _beside(manifest: Path, location: str) -> str:
    return location if "://" in location else str(manifest.parent.resolve() / location)
