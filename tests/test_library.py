"""Promises about the behaviour library: enough of it, its own words, and nothing in Python."""

import ast
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Audit
from auditor.behaviours.checking import check, warnings
from auditor.behaviours.lines import Place, find_lines, line_of
from auditor.behaviours.spec import Behaviour, Example, library_of, read_behaviour, read_library
from auditor.behaviours.spike_ins import SPIKE_INS as SPIKE_INS_FOLDER
from auditor.behaviours.spike_ins import SpikeIn, read_spike_ins
from auditor.errors import BadInput, UsageError
from auditor.index.tokens import word_hashes
from auditor.paths import AuditPaths
from auditor.records import BehaviourKind
from auditor.schema import FACETS
from tests.conftest import Command
from tests.planted import documents

LIBRARY = read_library()
OF_KIND = {kind: [b for b in LIBRARY.values() if b.kind is kind] for kind in BehaviourKind}
BEHAVIOURS = OF_KIND[BehaviourKind.BEHAVIOUR]
RULES = [b for b in LIBRARY.values() if b.rule]
SPIKE_INS = read_spike_ins(LIBRARY)
PACKAGE = Path(auditor.__file__).parent
FOLDER = PACKAGE / "behaviours" / "library"

NAMED = {
    **{facet: set(FACETS[facet]) for facet in ("stance", "mode", "actor")},
    "beneficiary": set(FACETS["beneficiary"]) - {"unclear"},
}
"""What the texts of a behaviour must spread over; "unclear" is nobody's interest to write about."""

VALID = """
id = "boasting"
title = "Boasting"
kind = "behaviour"
definition = "Someone praises himself."
opportunity = "Any talk."
cues = ["boast*", "proud of"]
examples = [{ text = "I am the best.", stance = "neutral" }]
near_misses = [{ text = "He was the best." }]
"""


@cache
def runs_of_eight(text: str) -> set[tuple[int, ...]]:
    words = word_hashes(text).tolist()
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


def library_texts() -> list[str]:
    return [e.text for b in LIBRARY.values() for e in (*b.examples, *b.near_misses)]


def shipped_texts() -> list[str]:
    return [*library_texts(), *(spike_in.text for spike_in in SPIKE_INS)]


def framings(behaviour: Behaviour) -> list[dict[str, str]]:
    """Labels of the spike-ins that portray a behaviour, whatever they were written for."""
    return [dict(x) for s in SPIKE_INS for x in s.labels if x["id"] == behaviour.id]


def named(behaviours: list[Behaviour]) -> list[object]:
    return [pytest.param(b, id=b.id) for b in behaviours]


def test_there_are_fifteen_behaviours_six_placebos_and_three_controls() -> None:
    assert len(BEHAVIOURS) == 15
    assert len(OF_KIND[BehaviourKind.PLACEBO]) >= 6
    assert len(OF_KIND[BehaviourKind.POSITIVE_CONTROL]) >= 3


@pytest.mark.parametrize("behaviour", named(BEHAVIOURS))
def test_a_behaviour_has_forty_examples_and_forty_near_misses(behaviour: Behaviour) -> None:
    assert len({e.text for e in behaviour.examples}) >= 40
    assert len({e.text for e in behaviour.near_misses}) >= 40


@pytest.mark.parametrize("behaviour", named(BEHAVIOURS))
@pytest.mark.parametrize("facet", NAMED)
def test_examples_spread_over_every_value_of_a_facet(behaviour: Behaviour, facet: str) -> None:
    assert {e.framing[facet] for e in behaviour.examples} >= NAMED[facet]


@pytest.mark.parametrize("behaviour", named(BEHAVIOURS))
def test_every_example_is_framed_in_every_facet(behaviour: Behaviour) -> None:
    assert [e.text for e in behaviour.examples if set(e.framing) != set(FACETS)] == []


@pytest.mark.parametrize("behaviour", named(BEHAVIOURS))
def test_some_near_misses_hold_a_cue_and_some_examples_none(behaviour: Behaviour) -> None:
    cue = re.compile(behaviour.pattern or "$^")
    assert any(cue.search(e.text) for e in behaviour.near_misses)
    assert not all(cue.search(e.text) for e in behaviour.examples)


@pytest.mark.parametrize("behaviour", named(RULES))
def test_an_exact_rule_matches_its_examples_and_not_its_near_misses(behaviour: Behaviour) -> None:
    rule = re.compile(behaviour.rule or "")
    assert behaviour.examples
    assert behaviour.near_misses
    assert [e.text for e in behaviour.examples if not rule.search(e.text)] == []
    assert [e.text for e in behaviour.near_misses if rule.search(e.text)] == []


def test_placebos_and_controls_are_rules_and_behaviours_are_not() -> None:
    assert {b.id for b in RULES} == set(LIBRARY) - {b.id for b in BEHAVIOURS}


def test_what_an_example_also_portrays_is_another_behaviour_framed_in_every_facet() -> None:
    known = {behaviour.id for behaviour in BEHAVIOURS}
    coded = [
        (behaviour.id, other)
        for behaviour in BEHAVIOURS
        for example in (*behaviour.examples, *behaviour.near_misses)
        for other in example.also
    ]
    assert len(coded) > 300
    assert [(own, o) for own, o in coded if o["id"] == own or o["id"] not in known] == []
    assert [o for _, o in coded if set(o) != {"id", *FACETS}] == []


COMMON = (
    "deception", "oversight_evasion", "illicit_gain", "power_seeking", "coercion",
    "loyal_wrongdoing", "self_preservation",
)  # fmt: skip


@pytest.mark.parametrize("behaviour", named(BEHAVIOURS))
def test_spike_ins_are_enough_to_measure_recall(behaviour: Behaviour) -> None:
    own = Counter(behaviour.id in s.portrays for s in SPIKE_INS if s.own == behaviour.id)
    assert own[True] >= 55
    assert own[False] >= 45
    assert len(framings(behaviour)) >= (100 if behaviour.id in COMMON else 70)


@pytest.mark.parametrize("behaviour", named(BEHAVIOURS))
@pytest.mark.parametrize("facet", NAMED)
def test_spike_ins_spread_over_the_values_of_a_facet(behaviour: Behaviour, facet: str) -> None:
    assert {label[facet] for label in framings(behaviour)} >= NAMED[facet] - {"other"}


def test_a_spike_in_is_a_passage_long_and_framed_in_every_facet() -> None:
    assert [s.text for s in SPIKE_INS if not 45 <= len(s.text.split()) <= 140] == []
    labels = [label for s in SPIKE_INS for label in s.labels]
    assert [x for x in labels if set(x) != {"id", *FACETS} or x["id"] not in LIBRARY] == []
    assert [x for x in labels if any(x[facet] not in FACETS[facet] for facet in FACETS)] == []
    assert [s.text for s in SPIKE_INS if len(s.portrays) != len(s.labels)] == []


def test_a_spike_in_says_of_which_kind_it_is_as_its_labels_do() -> None:
    rows = [
        (path.stem, json.loads(line))
        for path in sorted(SPIKE_INS_FOLDER.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len(rows) == len(SPIKE_INS)
    kinds = {True: "example", False: "near_miss"}
    wrong = [r for own, r in rows if r["kind"] != kinds[own in {x["id"] for x in r["labels"]}]]
    assert wrong == []


def test_no_detector_learns_from_a_spike_in() -> None:
    assert {spike_in.text for spike_in in SPIKE_INS} & set(library_texts()) == set()


def test_no_run_of_eight_words_is_in_two_shipped_texts() -> None:
    seen: dict[tuple[int, ...], str] = {}
    repeated = [
        (seen[run], text)
        for text in shipped_texts()
        for run in runs_of_eight(text)
        if seen.setdefault(run, text) is not text
    ]
    assert repeated == []


def test_no_shipped_text_shares_a_run_of_eight_words_with_the_fixture_corpus() -> None:
    corpus = set().union(*(runs_of_eight(d["text"]) for d in documents().values()))
    assert [text for text in shipped_texts() if runs_of_eight(text) & corpus] == []


def test_no_shipped_text_shares_a_run_of_eight_words_with_the_gold_labels(shared: Path) -> None:
    lines = (shared / "gold" / "labels.jsonl").read_text().splitlines()
    gold = set().union(*(runs_of_eight(json.loads(line)["text"]) for line in lines))
    assert len(gold) > 10_000
    assert [text for text in shipped_texts() if runs_of_eight(text) & gold] == []


BROKEN = {
    "a missing title": ("title", "", "field 'title' is missing or not a text"),
    "a number for the definition": ("definition", "definition = 3", "field 'definition'"),
    "an unknown kind": ("kind", 'kind = "vice"', "kind is 'vice', expected one of behaviour"),
    "no cues": ("cues", "", "a behaviour needs cues"),
    "cues that are one text": ("cues", 'cues = "boast"', "cues is not a list of texts"),
    "no examples": ("examples", "", r"needs \[\[examples\]\] and \[\[near_misses\]\]"),
    "no near misses": ("near_misses", "", r"needs \[\[examples\]\] and \[\[near_misses\]\]"),
    "examples that are one": ("examples", 'examples = "x"', "examples is str, expected"),
    "an example of another shape": ("examples", 'examples = ["x"]', "example 1: no text"),
    "an example without text": ("examples", "examples = [{}]", "example 1: no text"),
    "a near miss without text": ("near_misses", "near_misses = [{}]", "near miss 1: no text"),
    "a stance of no codebook": (
        "examples",
        'examples = [{ text = "x", stance = "loves" }]',
        "example 1: stance is 'loves', expected one of endorse, neutral, condemn",
    ),
    "a rule that is a text": ("opportunity", 'opportunity = "o"\nrule = "x"', "rule needs a text"),
    "a placebo without a rule": ("kind", 'kind = "placebo"', r"needs \[rule\] with a pattern"),
    "an id that is no word": ("id", 'id = "../boasting"', "expected letters, digits and _"),
    "a misspelt field": ("title", 'title = "T"\ntitel = "T"', "'titel' is no field"),
    "a misspelt facet": (
        "examples",
        'examples = [{ text = "x", stanse = "neutral" }]',
        "example 1: 'stanse' is not one of text, stance",
    ),
    "a cue that matches everything": ("cues", 'cues = ["a", "*"]', "cue 2 is empty"),
    "a text that also portrays its own behaviour": (
        "near_misses",
        'near_misses = [{ text = "x", also = [{ id = "boasting" }] }]',
        "near miss 1: also names 'boasting' itself",
    ),
    "a text that also portrays no word": (
        "near_misses",
        'near_misses = [{ text = "x", also = ["lies", { id = "a-b" }] }]',
        "near miss 1: also names None.*\n.*also names 'a-b'",
    ),
    "another behaviour with a stance of no codebook": (
        "examples",
        'examples = [{ text = "x", also = [{ id = "lies", stance = "loves" }] }]',
        "example 1: stance is 'loves'",
    ),
    "a rule for Python alone": (
        "opportunity",
        "opportunity = 'o'\nrule = { pattern = '(?=a)b' }",
        r"rule\.pattern: .*\(\?=",
    ),
    "a rule that is no expression": (
        "opportunity",
        'opportunity = "o"\nrule = { pattern = "(" }',
        r"rule\.pattern: missing \)",
    ),
}


@pytest.mark.parametrize(("field", "line", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_behaviour_is_refused_by_file_and_field(
    tmp_path: Path, field: str, line: str, problem: str
) -> None:
    content, replaced = re.subn(rf"(?m)^{field} = .*$", lambda _: line, VALID)
    assert replaced == 1
    path = tmp_path / "boasting.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match=rf"boasting\.toml line \d+: .*{problem}"):
        read_behaviour(path)


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"= broken", 1), (b'id = "a"\n\xff\xfe', 2), (b"[[examples]", 1), (b'a = 1\nb = """\n', 2)],
)
def test_a_file_that_is_not_toml_is_refused_by_name_and_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    path = tmp_path / "boasting.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"boasting\.toml line {line}: "):
        read_behaviour(path)


def test_a_file_that_is_absent_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"boasting\.toml: No such file"):
        read_behaviour(tmp_path / "boasting.toml")


def test_a_users_behaviour_joins_the_library_and_replaces_its_namesake(tmp_path: Path) -> None:
    own, namesake = tmp_path / "own.toml", tmp_path / "namesake.toml"
    own.write_text(VALID)
    namesake.write_text(VALID.replace("boasting", BEHAVIOURS[0].id))
    library = read_library([own, namesake])
    assert set(library) == {*LIBRARY, "boasting"}
    assert library[BEHAVIOURS[0].id].title == "Boasting"


MANY_LINES = """# [[examples]]
id = "a # [b"
text = \'\'\'
[[examples]]
stance = "x"\'\'\'
cues = [ "]", # , ]
  [1, 2,
  3], { x = "y,]", z = [1,
  2] } ]
rule.pattern = 1

  [[examples]]
text = \"\"\"one
\\\"\"\" id = 7 \"\"\"
also = [
  { id = "c" },

  { id = "d", stance = "e" } ]
[[examples]]
text = "two"
"""
LINES: dict[Place, int] = {
    ("id",): 2,
    ("text",): 3,
    ("cues", 0): 6,
    ("cues", 1): 7,
    ("cues", 1, 2): 8,
    ("cues", 2, "z", 1): 9,
    ("rule", "pattern"): 10,
    ("examples",): 12,
    ("examples", 0, "text"): 13,
    ("examples", 0, "also", 1, "stance"): 18,
    ("examples", 1): 19,
    ("examples", 1, "text"): 20,
}


@pytest.mark.parametrize("place", LINES, ids=str)
def test_a_place_in_a_file_has_its_line_whatever_strings_hold(place: Place) -> None:
    assert find_lines(MANY_LINES)[place] == LINES[place]


def places(value: Any, place: Place = ()) -> Iterator[Place]:  # noqa: ANN401
    yield place
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from places(value[key], (*place, key))


def test_the_lines_of_a_file_are_those_of_what_tomllib_reads_and_of_nothing_else() -> None:
    for toml in (MANY_LINES, *(path.read_text() for path in FOLDER.glob("*.toml"))):
        lines = find_lines(toml)
        assert set(lines) == set(places(tomllib.loads(toml)))
        rows = toml.splitlines()
        named = [(place[-1], rows[n - 1]) for place, n in lines.items() if place]
        assert [(key, row) for key, row in named if isinstance(key, str) and key not in row] == []


def test_what_a_file_lacks_is_told_on_the_line_of_what_should_hold_it() -> None:
    lines = find_lines(MANY_LINES)
    assert line_of(lines, ("examples", 1, "stance")) == 19
    assert line_of(lines, ("title",)) == 1


THREE_PROBLEMS = VALID.replace("boasting", "boast ing").replace("neutral", "loves") + "sins = 7\n"


def test_check_lists_every_problem_with_its_line(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "own.toml"
    path.write_text(THREE_PROBLEMS)
    result = command("behaviours", "check", path, "--json")
    assert result.returncode == 4
    document = json.loads(result.stdout)
    assert document["file"] == str(path)
    assert [found["line"] for found in document["problems"]] == [2, 8, 10]
    first, *others, hint = result.stderr.splitlines()
    assert first.startswith(f"error: {path} line 2: id is 'boast ing'")
    assert [line.split(": ")[0] for line in others] == [f"{path} line 8", f"{path} line 10"]
    assert hint.startswith("hint: ")


def test_check_of_a_thin_behaviour_warns_and_succeeds(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "own.toml"
    path.write_text(VALID)
    result = command("behaviours", "check", path)
    assert result.returncode == 0
    assert result.stdout == f"{path}: no problems\n"
    assert f"warning: {path} line 8: one example only" in result.stderr


NINE = "he praised himself at length before all the guests"

THIN = {
    "one example": ("", "one example only"),
    "few near misses": ("", "1 near miss, fewer than 40"),
    "an example without a facet": ("", "example 1 has no mode, actor, beneficiary, outcome"),
    "few examples": (
        '{ text = "Nobody rides like me." }',
        "2 examples, fewer than 40",
    ),
    "one stance": (
        '{ text = "Nobody rides like me.", stance = "neutral" }',
        "stance is neutral in every example that has one",
    ),
    "a repeated phrase": (
        f'{{ text = "So {NINE}." }}, {{ text = "And {NINE}!" }}',
        "example 3 shares “he praised himself at length before all the” with example 2",
    ),
    "an unknown behaviour": (
        '{ text = "I ride best.", also = [{ id = "vanity" }, { id = "deception" }] }',
        "also names 'vanity', which is not in the library",
    ),
}


@pytest.mark.parametrize(("more", "said"), THIN.values(), ids=THIN)
def test_what_is_thin_in_a_users_behaviour_is_said(tmp_path: Path, more: str, said: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(VALID.replace('"neutral" }]', f'"neutral" }}, {more}]'))
    found = [finding.problem for finding in warnings(check(path), LIBRARY)]
    assert len([problem for problem in found if said in problem]) == 1
    assert not any("'deception'" in problem for problem in found)


@pytest.mark.parametrize("behaviour", named(list(LIBRARY.values())))
def test_nothing_is_thin_in_a_shipped_behaviour(behaviour: Behaviour) -> None:
    assert warnings(check(FOLDER / f"{behaviour.id}.toml"), LIBRARY) == ()


def test_a_users_texts_tell_what_else_they_portray_and_which_are_spike_ins(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    spiked = '[[spike_ins]]\ntext = "I win."\nmode = "fiction"\nalso = [{ id = "flattery" }]\n'
    path.write_text(VALID + spiked)
    own = read_behaviour(path)
    assert own.spike_ins == (Example("I win.", {"mode": "fiction"}, ({"id": "flattery"},)),)
    [spike_in] = read_spike_ins({own.id: own})
    labels = ({"id": "boasting", "mode": "fiction"}, {"id": "flattery"})
    assert spike_in == SpikeIn("I win.", "boasting", labels)
    assert spike_in.portrays == {"boasting", "flattery"}


def test_a_behaviour_that_is_added_belongs_to_that_audit_alone(
    tmp_path: Path, command: Command
) -> None:
    path, root = tmp_path / "own.toml", tmp_path / "audit"
    path.write_text(VALID)
    result = command("-a", root, "behaviours", "add", path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{root / 'behaviours' / 'boasting.toml'}\n"
    assert f"next: auditor -a {root} detect" in result.stderr
    assert set(library_of(AuditPaths(root))) == {*LIBRARY, "boasting"}
    origins = {b["id"]: b["origin"] for b in Audit.behaviours(root=root)}
    assert origins == {**dict.fromkeys(LIBRARY, "shipped"), "boasting": "audit"}
    assert "boasting" not in {b["id"] for b in Audit.behaviours()}


def test_an_added_behaviour_replaces_its_namesake(tmp_path: Path) -> None:
    path, name = tmp_path / "own.toml", BEHAVIOURS[0].id
    audit = Audit.create(tmp_path / "audit")
    path.write_text(VALID.replace("boasting", name))
    assert audit.add_behaviour(str(path))["replaces"] == "shipped"
    assert audit.add_behaviour(str(path))["replaces"] == "audit"
    [found] = Audit.behaviours(name, root=audit.root)
    assert (found["title"], found["origin"]) == ("Boasting", "audit")


def test_a_broken_behaviour_is_not_added_and_starts_no_audit(
    tmp_path: Path, command: Command
) -> None:
    path, root = tmp_path / "own.toml", tmp_path / "audit"
    path.write_text(THREE_PROBLEMS)
    assert command("-a", root, "behaviours", "add", path).returncode == 4
    assert not root.exists()


def test_an_unknown_behaviour_is_a_usage_error_that_lists_the_known() -> None:
    from auditor.behaviours.spec import choose

    with pytest.raises(UsageError, match="no behaviour 'sloth'") as error:
        choose(LIBRARY, ["sloth"])
    assert all(name in error.value.hint for name in LIBRARY)


def test_a_cue_with_a_star_matches_any_ending_and_one_without_matches_only_itself(
    tmp_path: Path,
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(VALID)
    pattern = re.compile(read_behaviour(path).pattern or "")
    assert pattern.search("She BOASTED of it")
    assert pattern.search("he was proud\nof it")
    assert not pattern.search("proud offer")


def test_no_branch_of_the_code_can_hinge_on_a_behaviour() -> None:
    tokens = {
        getattr(node, field)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for field in ("id", "attr", "arg", "name", "value")
        if isinstance(getattr(node, field, None), str)
    }
    assert tokens & set(LIBRARY) == set()
