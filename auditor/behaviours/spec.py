"""Behaviours as data: one TOML each, read into a frozen `Behaviour`.

Nothing in Python names a behaviour; a user's file is read by the same function as a shipped one.
What a file must hold is `auditor.behaviours.checking`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from auditor.behaviours.checking import check
from auditor.errors import UsageError
from auditor.paths import AuditPaths
from auditor.plan import digest
from auditor.records import BehaviourKind
from auditor.schema import FACETS

LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True)
class Example:
    """A text that portrays the behaviour, with its framing, or one that only looks like it.

    also: other behaviours that the text portrays, each {id, facets}.
    """

    text: str
    framing: Mapping[str, str]
    also: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One entry of the library; `rule` is set where it is counted exactly, without labels.

    spike_ins: texts that portray it and that no detector learns from.
    """

    id: str
    title: str
    kind: BehaviourKind
    definition: str
    excludes: str
    opportunity: str
    cues: tuple[str, ...]
    rule: str | None
    examples: tuple[Example, ...]
    near_misses: tuple[Example, ...]
    spike_ins: tuple[Example, ...]
    digest: str

    @property
    def pattern(self) -> str | None:
        """One regular expression for the cues or the rule; None where there is neither."""
        return self.rule or cue_pattern(self.cues)


def cue_pattern(cues: Sequence[str]) -> str | None:
    """Join cues into one case-blind regular expression; a final * matches any ending."""
    if not cues:
        return None
    parts = (re.escape(cue.rstrip("*")) + (r"\w*" if cue.endswith("*") else "") for cue in cues)
    return r"(?i)\b(?:" + "|".join(part.replace("\\ ", r"\s+") for part in parts) + r")\b"


def read_library(extra: Iterable[Path] = ()) -> dict[str, Behaviour]:
    """Read the shipped behaviours and the user's own, by id; a user's replaces its namesake."""
    behaviours = (*_shipped(), *map(read_behaviour, extra))
    return {behaviour.id: behaviour for behaviour in behaviours}


def own_behaviours(paths: AuditPaths) -> dict[str, Behaviour]:
    """Read the behaviours that were added to an audit, by id; none where there is no audit."""
    behaviours = [read_behaviour(path) for path in sorted(paths.behaviours.glob("*.toml"))]
    return {behaviour.id: behaviour for behaviour in behaviours}


def library_of(paths: AuditPaths) -> dict[str, Behaviour]:
    """Read the library of an audit: the shipped behaviours and its own, which replace namesakes."""
    return read_library() | own_behaviours(paths)


@cache
def _shipped() -> tuple[Behaviour, ...]:
    return tuple(read_behaviour(path) for path in sorted(LIBRARY.glob("*.toml")))


def read_behaviour(path: Path) -> Behaviour:
    """Read one behaviour; raises BadInput naming the file, the line and what it needs."""
    checked = check(path)
    if checked.problems:
        raise checked.refusal("auditor behaviours show deception is a model")
    content = checked.content
    return Behaviour(
        id=content["id"],
        title=content["title"],
        kind=BehaviourKind(content["kind"]),
        definition=content["definition"],
        excludes=content.get("excludes", ""),
        opportunity=content["opportunity"],
        cues=tuple(content.get("cues", ())),
        rule=content.get("rule", {}).get("pattern"),
        examples=tuple(map(_example, content.get("examples", ()))),
        near_misses=tuple(map(_example, content.get("near_misses", ()))),
        spike_ins=tuple(map(_example, content.get("spike_ins", ()))),
        digest=digest(str(content)),
    )


def choose(library: Mapping[str, Behaviour], ids: Sequence[str]) -> list[Behaviour]:
    """Pick behaviours by id, all of them for none; raises UsageError for an unknown id."""
    unknown = [name for name in ids if name not in library]
    if unknown:
        raise UsageError(f"no behaviour {unknown[0]!r}", "there are: " + ", ".join(library))
    return [library[name] for name in ids] if ids else list(library.values())


def _example(content: Mapping[str, Any]) -> Example:
    framing = {facet: content[facet] for facet in FACETS if facet in content}
    return Example(content["text"], framing, tuple(content.get("also", ())))
