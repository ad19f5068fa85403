"""Promises about the behaviour library: enough of it, its own words, and nothing in Python."""

import ast
import json
import re
from pathlib import Path

import pytest

import auditor
from auditor.behaviours.spec import Behaviour, read_behaviour, read_library
from auditor.errors import BadInput, UsageError
from auditor.index.tokens import word_hashes
from auditor.records import BehaviourKind
from auditor.schema import FACETS
from tests.planted import documents

LIBRARY = read_library()
OF_KIND = {kind: [b for b in LIBRARY.values() if b.kind is kind] for kind in BehaviourKind}
BEHAVIOURS = OF_KIND[BehaviourKind.BEHAVIOUR]
RULES = [b for b in LIBRARY.values() if b.rule]
PACKAGE = Path(auditor.__file__).parent

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


def runs_of_eight(text: str) -> set[tuple[int, ...]]:
    words = word_hashes(text).tolist()
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


def library_texts() -> list[str]:
    return [e.text for b in LIBRARY.values() for e in (*b.examples, *b.near_misses)]


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
@pytest.mark.parametrize("facet", ["stance", "mode", "actor"])
def test_examples_cover_every_value_of_a_facet(behaviour: Behaviour, facet: str) -> None:
    assert {e.framing[facet] for e in behaviour.examples} == set(FACETS[facet])


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


def test_no_run_of_eight_words_is_in_two_texts_of_the_library() -> None:
    seen: dict[tuple[int, ...], str] = {}
    repeated = [
        (seen[run], text)
        for text in library_texts()
        for run in runs_of_eight(text)
        if seen.setdefault(run, text) is not text
    ]
    assert repeated == []


def test_the_library_shares_no_run_of_eight_words_with_the_fixture_corpus() -> None:
    corpus = set().union(*(runs_of_eight(d["text"]) for d in documents().values()))
    assert [text for text in library_texts() if runs_of_eight(text) & corpus] == []


def test_the_library_shares_no_run_of_eight_words_with_the_gold_labels(shared: Path) -> None:
    lines = (shared / "gold" / "labels.jsonl").read_text().splitlines()
    gold = set().union(*(runs_of_eight(json.loads(line)["text"]) for line in lines))
    assert len(gold) > 10_000
    assert [text for text in library_texts() if runs_of_eight(text) & gold] == []


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
    with pytest.raises(BadInput, match=rf"boasting\.toml: .*{problem}"):
        read_behaviour(path)


@pytest.mark.parametrize("content", [b"= broken", b"\xff\xfe", b"[[examples]"])
def test_a_file_that_is_not_toml_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "boasting.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"boasting\.toml"):
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
