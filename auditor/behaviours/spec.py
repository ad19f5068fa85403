"""Behaviours as data: one TOML each, read into a frozen `Behaviour`.

Nothing in Python names a behaviour; a user's file is read by the same function as a shipped one.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import BadInput, UsageError
from auditor.plan import digest
from auditor.records import BehaviourKind
from auditor.schema import FACETS

LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True, slots=True)
class Example:
    """A text that portrays the behaviour, with its framing, or one that only looks like it."""

    text: str
    framing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One entry of the library; `rule` is set where it is counted exactly, without labels."""

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
    behaviours = [read_behaviour(path) for path in (*sorted(LIBRARY.glob("*.toml")), *extra)]
    return {behaviour.id: behaviour for behaviour in behaviours}


def read_behaviour(path: Path) -> Behaviour:
    """Read one behaviour; raises BadInput naming the file, the field and what it needs."""
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}", "a behaviour is a TOML file") from error
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "auditor behaviours list") from error
    problems = list(_problems(content))
    if problems:
        raise BadInput(f"{path}: {problems[0]}", "auditor behaviours show deception is a model")
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
        digest=digest(str(content)),
    )


def choose(library: Mapping[str, Behaviour], ids: Sequence[str]) -> list[Behaviour]:
    """Pick behaviours by id, all of them for none; raises UsageError for an unknown id."""
    unknown = [name for name in ids if name not in library]
    if unknown:
        raise UsageError(f"no behaviour {unknown[0]!r}", "there are: " + ", ".join(library))
    return [library[name] for name in ids] if ids else list(library.values())


def _problems(content: Mapping[str, Any]) -> Iterable[str]:
    for field in ("id", "title", "kind", "definition", "opportunity"):
        if not isinstance(content.get(field), str) or not content[field]:
            yield f"field {field!r} is missing or not a text"
    kinds = [kind.value for kind in BehaviourKind]
    if content.get("kind") not in kinds:
        yield f"kind is {content.get('kind')!r}, expected one of {', '.join(kinds)}"
    if content.get("kind") == BehaviourKind.BEHAVIOUR:
        if not content.get("cues"):
            yield "a behaviour needs cues"
        if not content.get("examples") or not content.get("near_misses"):
            yield "a behaviour needs [[examples]] and [[near_misses]]"
    elif "rule" not in content:
        yield "a placebo or positive control needs [rule] with a pattern"
    yield from _list_problems(content)
    rule = content.get("rule", {"pattern": ""})
    if not isinstance(rule, dict) or not isinstance(rule.get("pattern"), str):
        yield "rule needs a text 'pattern': [rule] pattern = '…'"
        return
    try:
        re.compile(rule["pattern"])
    except re.error as error:
        yield f"rule.pattern: {error}"


def _list_problems(content: Mapping[str, Any]) -> Iterable[str]:
    cues = content.get("cues", [])
    if not isinstance(cues, list) or not all(isinstance(cue, str) for cue in cues):
        yield "cues is not a list of texts"
    for field, one in (("examples", "example"), ("near_misses", "near miss")):
        items = content.get(field, [])
        if not isinstance(items, list):
            yield f"{field} is {type(items).__name__}, expected [[{field}]] tables"
            return
        for number, item in enumerate(items, 1):
            yield from (f"{one} {number}: {problem}" for problem in _example_problems(item))


def _example_problems(example: object) -> Iterable[str]:
    if not isinstance(example, dict) or not isinstance(example.get("text"), str):
        yield "no text"
        return
    for facet, values in FACETS.items():
        if facet in example and example[facet] not in values:
            yield f"{facet} is {example[facet]!r}, expected one of {', '.join(values)}"


def _example(content: Mapping[str, Any]) -> Example:
    return Example(content["text"], {f: content[f] for f in FACETS if f in content})
