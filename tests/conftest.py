"""Shared fixtures: offline encoders, a real audit of the fixture corpus, the command line."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from auditor import Audit
from tests.planted import FIXTURE

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the fixture with labels, measures, locks and observations; do not write to it."""
    root = tmp_path_factory.mktemp("audit") / "fixture"
    audit = Audit.create(root)
    audit.index("fixture")
    audit.label(str(FIXTURE / "labels.jsonl"))
    audit.measure()
    audit.predict(*map(str, sorted((FIXTURE / "claims").glob("*.toml"))))
    audit.observe(str(FIXTURE / "observed" / "transcripts.jsonl"))
    audit.observe(*map(str, sorted((FIXTURE / "observed").glob("rates-*.csv"))))
    return root


@pytest.fixture
def audit(built: Path) -> Audit:
    """The built audit, to be read."""
    return Audit.open(built)


@pytest.fixture
def own_audit(built: Path, tmp_path: Path) -> Audit:
    """A copy of the built audit, to be written to or damaged."""
    shutil.copytree(built, tmp_path / "copy")
    return Audit.open(tmp_path / "copy")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data is not at {SHARED}")
    return SHARED


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run `auditor …` as a user would; returns exit code, stdout and stderr."""

    def run(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "auditor", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
