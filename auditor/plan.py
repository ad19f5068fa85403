"""What a stage is asked to do, as digests: equal digests mean the work is already done.

A digest is the hash of canonical JSON, so the same settings give the same digest on any machine.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the audit's files; an audit of another format is refused by name."""

SHARD_BYTES = 8 * 1024 * 1024
"""Source bytes a shard aims for: small enough for 2 GiB a worker, large enough for its start-up."""


def canonical_json(value: object) -> str:
    """Write JSON with sorted keys and no spaces, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """Hash any JSON value to 32 hexadecimal digits (BLAKE2b, 16 bytes)."""
    return hashlib.blake2b(canonical_json(value).encode(), digest_size=16).hexdigest()


def file_digest(path: Path) -> str:
    """Hash a file's bytes to 32 hexadecimal digits (BLAKE2b, 16 bytes)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Give the installed version of each package."""
    return {package: importlib.metadata.version(package) for package in packages}


@dataclass(frozen=True, slots=True)
class Source:
    """One file documents are read from."""

    url: str
    name: str
    format: str
    compression: str | None
    size: int
    state: str
    """Changes whenever the file does; the file system's own mark, not a hash of the content."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Source files that are indexed together, by one worker, into one part of every table."""

    sources: tuple[Source, ...]
    digest: str

    @property
    def part(self) -> str:
        """The name of the shard's file in every table."""
        return f"part-{self.digest[:16]}.parquet"


def cut_shards(sources: Sequence[Source], settings: Mapping[str, Any]) -> list[Shard]:
    """Group files, in order, into shards of about SHARD_BYTES; a large file is its own shard."""
    groups: list[list[Source]] = []
    size = 0
    for source in sources:
        if not groups or size + source.size > SHARD_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(source)
        size += source.size
    return [Shard(tuple(group), _shard_digest(group, settings)) for group in groups]


def _shard_digest(sources: Iterable[Source], settings: Mapping[str, Any]) -> str:
    return digest([settings, [(s.name, s.size, s.state) for s in sources]])


@dataclass(frozen=True, slots=True)
class Run:
    """What a stage did: written last, and only when the stage succeeded."""

    stage: str
    corpus: str
    settings_digest: str
    input_digest: str
    rows: int
    rejects: int
    versions: Mapping[str, str]
    seed: int | None
    seconds: float
    started_at: datetime
    outputs: tuple[Path, ...]
    summary: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Sorts by time, says what it was."""
        return f"{self.started_at:%Y%m%dT%H%M%S%f}-{self.stage}-{self.corpus}"
