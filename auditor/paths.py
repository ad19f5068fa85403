"""Where things are: the audit's folders, the project's shipped data, the user's cache.

Files are written under a temporary name and renamed, so that a reader never sees half a file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

DEFAULT_AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class AuditPaths:
    """The layout of an audit directory (DESIGN §4)."""

    root: Path

    @property
    def settings(self) -> Path:
        """`audit.toml`, whose presence makes a folder an audit."""
        return self.root / "audit.toml"

    @property
    def catalogue(self) -> Path:
        """The derived, disposable DuckDB file of views."""
        return self.root / "catalogue.duckdb"

    @property
    def tables(self) -> Path:
        """The folder of Parquet tables: the truth."""
        return self.root / "tables"

    @property
    def behaviours(self) -> Path:
        """The folder of behaviours added to this audit, a TOML each."""
        return self.root / "behaviours"

    @property
    def journals(self) -> Path:
        """What readers answered, one append-only file a label set and reader."""
        return self.root / "journals"

    @property
    def report(self) -> Path:
        """The folder the HTML page is written to."""
        return self.root / "report"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it into place if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def shipped(folder: str) -> Path:
    """Find `queries` or `corpora`: inside the wheel, or at the root of an editable checkout."""
    package = Path(__file__).parent
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def cache_folder(name: str) -> Path:
    """Give the user's cache folder for derived, re-creatable files; `AUDITOR_CACHE` moves it."""
    base = os.environ.get("AUDITOR_CACHE")
    folder = (Path(base) if base else user_cache_path("auditor")) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
