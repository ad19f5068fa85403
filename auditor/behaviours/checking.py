"""What is wrong with a behaviour's TOML, and what is thin in it; each finding with its line.

A problem makes the file unusable. A warning does not: it says which evidence the detector will
lack, and what it would learn instead.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from auditor.behaviours.lines import Place, find_lines, line_of
from auditor.errors import BadInput
from auditor.records import BehaviourKind
from auditor.schema import FACETS

ENOUGH = 40
"""Examples, and near misses, that a behaviour should have (DESIGN §6)."""

SHARED_RUN = 8
"""Words in a row that two texts may not share: shorter runs are common by chance."""

TEXTS = {"examples": "example", "near_misses": "near miss", "spike_ins": "spike-in"}
"""The tables of texts, and what one of them is called."""

FIELDS = ("id", "title", "kind", "definition", "excludes", "opportunity", "cues", "rule", *TEXTS)
NEEDED = ("id", "title", "definition", "opportunity")
TEXT_FIELDS = ("text", *FACETS, "also", "why")

Found = Iterator[tuple[Place, str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about one line of a file."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A behaviour's TOML as parsed, with its problems; no content where it is no TOML."""

    file: str
    toml: str
    content: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Finding, ...] = ()

    def refusal(self, hint: str) -> BadInput:
        """The error that lists every problem, the first in the file first."""
        lines = (f"{self.file} line {found.line}: {found.problem}" for found in self.problems)
        return BadInput("\n".join(lines), hint)


def check(path: Path) -> Checked:
    """Read a behaviour's TOML and find every problem in it; raises BadInput for no file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "auditor behaviours list") from error
    try:
        toml = raw.decode()
        content = tomllib.loads(toml)
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        return Checked(str(path), "", problems=(Finding(line, "not UTF-8 text"),))
    except tomllib.TOMLDecodeError as error:
        return Checked(str(path), toml, problems=(_not_toml(error, toml),))
    return Checked(str(path), toml, content, _placed(_problems(content), toml))


def warnings(checked: Checked, known: Collection[str]) -> tuple[Finding, ...]:
    """What is thin in a behaviour without problems; known: the ids that texts may name."""
    return _placed(_warnings(checked.content, known), checked.toml)


def _placed(found: Found, toml: str) -> tuple[Finding, ...]:
    """Put findings on their lines, in the order of the file."""
    listed = list(found)
    lines = find_lines(toml) if listed else {}
    return tuple(sorted((Finding(line_of(lines, p), s) for p, s in listed), key=lambda f: f.line))


def _not_toml(error: tomllib.TOMLDecodeError, toml: str) -> Finding:
    """tomllib tells the line only in its words, and none for the end of the file."""
    problem, _, where = str(error).partition(" (at ")
    number = re.match(r"line (\d+)", where)
    return Finding(int(number[1]) if number else max(1, len(toml.splitlines())), problem)


def _problems(content: Mapping[str, Any]) -> Found:
    for name in (name for name in content if name not in FIELDS):
        yield (name,), f"{name!r} is no field of a behaviour, expected {', '.join(FIELDS)}"
    for name in NEEDED:
        if not isinstance(content.get(name), str) or not content[name].strip():
            yield (name,), f"field {name!r} is missing or not a text"
    if isinstance(content.get("id"), str) and not re.fullmatch(r"\w*", content["id"]):
        yield ("id",), f"id is {content['id']!r}, expected letters, digits and _"
    if not isinstance(content.get("excludes", ""), str):
        yield ("excludes",), "excludes is not a text"
    yield from _kind_problems(content)
    yield from _cue_problems(content.get("cues", []))
    yield from _rule_problems(content.get("rule", {"pattern": ""}))
    for table, one in TEXTS.items():
        yield from _table_problems(content, table, one)


def _kind_problems(content: Mapping[str, Any]) -> Found:
    """A behaviour learns from cues and texts; placebos and positive controls are exact rules."""
    kind, kinds = content.get("kind"), [kind.value for kind in BehaviourKind]
    if kind not in kinds:
        yield ("kind",), f"kind is {kind!r}, expected one of {', '.join(kinds)}"
    elif kind != BehaviourKind.BEHAVIOUR:
        if "rule" not in content:
            yield ("kind",), f"a {kind.replace('_', ' ')} needs [rule] with a pattern"
    else:
        if not content.get("cues"):
            yield ("cues",), "a behaviour needs cues"
        if not content.get("examples") or not content.get("near_misses"):
            yield ("kind",), "a behaviour needs [[examples]] and [[near_misses]]"


def _cue_problems(cues: object) -> Found:
    if not isinstance(cues, list) or not all(isinstance(cue, str) for cue in cues):
        yield ("cues",), "cues is not a list of texts"
        return
    for number, cue in enumerate(cues):
        if not cue.strip(" *"):
            yield ("cues", number), f"cue {number + 1} is empty and would match everything"


def _rule_problems(rule: object) -> Found:
    """A rule must compile for Python, which shows matches, and for RE2, which counts them."""
    if not isinstance(rule, dict) or not isinstance(rule.get("pattern"), str):
        yield ("rule",), "rule needs a text 'pattern': [rule] pattern = '…'"
        return
    try:
        re.compile(rule["pattern"])
        pc.count_substring_regex(pa.array([""]), rule["pattern"])
    except (re.error, pa.ArrowInvalid) as error:
        yield ("rule", "pattern"), f"rule.pattern: {error}"


def _table_problems(content: Mapping[str, Any], table: str, one: str) -> Found:
    texts = content.get(table, [])
    if not isinstance(texts, list):
        yield (table,), f"{table} is {type(texts).__name__}, expected [[{table}]] tables"
        return
    for number, text in enumerate(texts):
        for place, problem in _text_problems(text, content.get("id")):
            yield (table, number, *place), f"{one} {number + 1}: {problem}"


def _text_problems(text: object, own: object) -> Found:
    if not isinstance(text, dict) or not isinstance(text.get("text"), str) or not text["text"]:
        yield (), "no text"
        return
    for name in (name for name in text if name not in TEXT_FIELDS):
        yield (name,), f"{name!r} is not one of {', '.join(TEXT_FIELDS)}"
    yield from _facet_problems(text)
    also = text.get("also", [])
    if not isinstance(also, list):
        yield ("also",), f"also is {type(also).__name__}, expected a list of {{id, facets}}"
        return
    for number, other in enumerate(also):
        earlier = [o.get("id") for o in also[:number] if isinstance(o, dict)]
        for place, problem in _also_problems(other, own, earlier):
            yield ("also", number, *place), problem


def _also_problems(other: object, own: object, earlier: list[object]) -> Found:
    name = other.get("id") if isinstance(other, dict) else None
    if not isinstance(other, dict) or not isinstance(name, str) or not re.fullmatch(r"\w+", name):
        yield (), f"also names {name!r}, expected an id of letters, digits and _"
        return
    if name == own:
        yield ("id",), f"also names {name!r} itself, expected other behaviours"
    if name in earlier:
        yield ("id",), f"also names {name!r} twice"
    for key in (key for key in other if key not in ("id", *FACETS)):
        yield (key,), f"{key!r} is not one of id, {', '.join(FACETS)}"
    yield from _facet_problems(other)


def _facet_problems(coded: Mapping[str, Any]) -> Found:
    for facet, values in FACETS.items():
        if facet in coded and coded[facet] not in values:
            yield (facet,), f"{facet} is {coded[facet]!r}, expected one of {', '.join(values)}"


def _warnings(content: Mapping[str, Any], known: Collection[str]) -> Found:
    if content["kind"] == BehaviourKind.BEHAVIOUR:
        yield from _few(content)
        yield from _one_sided(content["examples"])
        yield from _unframed(content["examples"])
    yield from _shared_runs(content)
    for place, name in _others(content):
        if name not in known:
            yield place, f"also names {name!r}, which is not in the library: nothing learns from it"


def _few(content: Mapping[str, Any]) -> Found:
    examples, near_misses = content["examples"], content["near_misses"]
    if len(examples) == 1:
        yield (
            ("examples",),
            "one example only: the detector would learn this text, not the behaviour",
        )
    elif len(examples) < ENOUGH:
        yield (
            ("examples",),
            f"{len(examples)} examples, fewer than {ENOUGH}: the detector would lean on their "
            "topics and miss the behaviour elsewhere",
        )
    if len(near_misses) < ENOUGH:
        yield (
            ("near_misses",),
            f"{_count(len(near_misses), 'near miss', 'near misses')}, fewer than {ENOUGH}: the "
            "detector would take the behaviour's vocabulary for the behaviour",
        )


def _one_sided(examples: list[Mapping[str, Any]]) -> Found:
    if len(examples) < 2:
        return
    for facet in FACETS:
        values = {example[facet] for example in examples if facet in example}
        if len(values) == 1:
            value = values.pop()
            yield (
                ("examples",),
                f"{facet} is {value} in every example that has one: the detector would learn "
                f"{facet} {value} along with the behaviour, and miss it elsewhere",
            )


def _unframed(examples: list[Mapping[str, Any]]) -> Found:
    for number, example in enumerate(examples):
        missing = [facet for facet in FACETS if facet not in example]
        if missing:
            yield (
                ("examples", number),
                f"example {number + 1} has no {', '.join(missing)}: it teaches the framing nothing",
            )


def _shared_runs(content: Mapping[str, Any]) -> Found:
    """Each text is named once, with the first text that it repeats."""
    first: dict[tuple[str, ...], str] = {}
    for place, name, text in _texts(content):
        runs = _runs(text)
        repeated = next((run for run in runs if run in first), None)
        if repeated:
            yield (
                place,
                f"{name} shares “{' '.join(repeated)}” with {first[repeated]}: the detector would "
                "learn the phrase, and a test on one would be answered by the other",
            )
        for run in runs:
            first.setdefault(run, name)


def _texts(content: Mapping[str, Any]) -> Iterator[tuple[Place, str, str]]:
    for table, one in TEXTS.items():
        for number, text in enumerate(content.get(table, [])):
            yield (table, number), f"{one} {number + 1}", text["text"]


def _others(content: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """The first place of every behaviour that some text also portrays."""
    places: dict[str, list[Place]] = defaultdict(list)
    for table in TEXTS:
        for number, text in enumerate(content.get(table, [])):
            for at, other in enumerate(text.get("also", [])):
                places[other["id"]].append((table, number, "also", at))
    return ((found[0], name) for name, found in places.items())


def _runs(text: str) -> list[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return [tuple(words[i : i + SHARED_RUN]) for i in range(len(words) - SHARED_RUN + 1)]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
