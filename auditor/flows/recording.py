"""A stage's run, from its start to the row of `runs` that makes its parts count."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from auditor.errors import StageMissing
from auditor.plan import Run, versions
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, now


@dataclass(frozen=True, slots=True)
class Started:
    """A stage that has begun: when, and by which clock."""

    stage: str
    packages: tuple[str, ...]
    at: datetime = field(default_factory=now)
    _clock: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._clock

    def finish(
        self,
        tables: Tables,
        group: str,
        settings: str,
        inputs: str,
        outputs: Iterable[Path],
        rows: int,
        summary: Mapping[str, Any],
        rejects: int = 0,
        seed: int | None = None,
    ) -> None:
        """Record the run: only now do its outputs belong to the audit and show in its views."""
        run = Run(
            stage=self.stage,
            corpus=group,
            settings_digest=settings,
            input_digest=inputs,
            rows=rows,
            rejects=rejects,
            versions=versions("auditor", *self.packages),
            seed=seed,
            seconds=self.seconds,
            started_at=self.at,
            outputs=tuple(outputs),
            summary=summary,
        )
        tables.record(run)
        Catalogue(tables).write_file()


def need_index(tables: Tables) -> None:
    """Raise StageMissing where no corpus is indexed."""
    if not tables.current("index"):
        raise StageMissing("no corpus is indexed", "auditor index SOURCE… comes first")


def need_text(tables: Tables) -> None:
    """Raise StageMissing where no corpus is indexed, or its words were not stored."""
    need_index(tables)
    stored = Catalogue(tables).rows("SELECT 1 FROM passages WHERE text IS NOT NULL LIMIT 1")
    if not stored:
        raise StageMissing(
            "the audit does not store the words of its passages",
            "index again without --no-store-text",
        )


def has_frame(tables: Tables, label_set: str) -> bool:
    """Whether the whole frame of a label set is known: planned here, or imported with it."""
    if tables.current("plan", label_set):
        return True
    return json.loads(tables.current("label", label_set)[0]["summary"])["frame"] is not None


def is_done(tables: Tables, stage: str, group: str, settings: str, inputs: str) -> bool:
    """Whether the newest run of a stage on a group did exactly this."""
    return any(
        (run["settings_digest"], run["input_digest"]) == (settings, inputs)
        for run in tables.current(stage, group)
    )
