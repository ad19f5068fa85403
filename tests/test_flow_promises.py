"""Promises about what happens between stages: nothing stale, doubled, lost or guessed."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from auditor import Audit
from auditor.claims.evidence import Frequency, Measured, gather, select_rows
from auditor.cli import console
from auditor.errors import StageMissing
from auditor.flows.measurer import Measurer
from auditor.ingest.sources import find_sources
from auditor.prevalence.targets import parse_target
from auditor.records import BehaviourKind
from tests.claims import claim, observation
from tests.planted import FIXTURE

LABELS = (FIXTURE / "labels.jsonl").read_text().splitlines()


@pytest.fixture
def bare(tmp_path: Path) -> Audit:
    """An audit of one fixture file, without labels."""
    audit = Audit.create(tmp_path / "audit")
    (tmp_path / "news.jsonl").write_text((FIXTURE / "documents" / "news.jsonl").read_text())
    audit.index(str(tmp_path / "news.jsonl"), corpus="news")
    return audit


def news_labels(path: Path, drop: str | None = None, first_only: bool = True) -> Path:
    """The fixture's labels of news; `drop` is taken out of the first record or its labels."""
    rows = [json.loads(line) for line in LABELS if '"genre": "news"' in line]
    for number, row in enumerate(rows):
        if drop == "pi" and number == 0:
            del row["pi"]
        for label in row["labels"]:
            if drop in label and not (first_only and number):
                del label[str(drop)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def rate(audit: Audit) -> float:
    [row] = [r for r in audit.measure("deception") if r.facet is None]
    assert row.per_million_passages.estimate is not None
    return row.per_million_passages.estimate


def test_a_label_without_a_probability_leaves_the_denominator_alone(
    bare: Audit, tmp_path: Path
) -> None:
    bare.label(str(news_labels(tmp_path / "all.jsonl")))
    whole = rate(bare)
    bare.label(str(news_labels(tmp_path / "all.jsonl", drop="pi")))
    assert rate(bare) == pytest.approx(whole, rel=0.1)


def test_labels_of_a_text_that_was_indexed_again_are_refused(bare: Audit, tmp_path: Path) -> None:
    bare.label(str(news_labels(tmp_path / "all.jsonl")))
    with (tmp_path / "news.jsonl").open("a") as stream:
        stream.write('{"id": "late", "text": "The ferry was late, and so was the fog."}\n')
    bare.index(str(tmp_path / "news.jsonl"), corpus="news")
    with pytest.raises(StageMissing, match="indexed again"):
        bare.measure()
    assert {r["stage"]: r["state"] for r in bare.status()}["label"] == "stale"


def test_positives_nobody_framed_are_a_row_and_give_no_framed_target(
    bare: Audit, tmp_path: Path
) -> None:
    bare.label(str(news_labels(tmp_path / "all.jsonl", drop="stance", first_only=False)))
    rows = bare.measure("deception", by=["stance"])
    assert [(r.value, r.positives) for r in rows if r.positives] == [
        ("uncoded", rows[-1].positives)
    ]
    measurer = Measurer(bare.tables)
    assert measurer.target(parse_target("deception[stance=condemn]"), "news") is None
    assert measurer.target(parse_target("deception[actor=human]"), "news") is not None


def test_files_of_one_name_in_two_folders_are_two_documents(tmp_path: Path) -> None:
    for folder in ("p", "q"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.txt").write_text(folder)
    named = [str(tmp_path / folder) for folder in ("p", "q")]
    assert [s.name for s in find_sources(named)] == ["p/one.txt", "q/one.txt"]


def test_counts_are_numbers_and_nan_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    console.write_json({"k": Decimal(82), "share": Decimal("0.5"), "none": float("nan")})
    assert json.loads(capsys.readouterr().out) == {"k": 82, "share": 0.5, "none": None}


def known(**rates: float) -> Measured:
    """A corpus that holds these behaviours so often, per million passages."""
    kind = BehaviourKind.BEHAVIOUR
    frequencies = {
        name: Frequency(name, kind, rate, 0.9 * rate, 1.1 * rate, 0.1, "exact", 0, 1, "c")
        for name, rate in rates.items()
    }
    return Measured(frequencies, {name: (float(np.log(r)), 0.1) for name, r in rates.items()})


def test_equally_frequent_behaviours_are_no_evidence_of_a_slope() -> None:
    same = known(a=10.0, b=10.0, c=10.0)
    rows = [observation(1, 2, behaviour=name) for name in "abc"]
    assert gather(rows, same, BehaviourKind.BEHAVIOUR) is None


def test_unnamed_prompts_are_not_prompts() -> None:
    rows = [observation(1, 2, behaviour=name, prompt=p) for name in "ab" for p in ("one", None, "")]
    evidence = gather(rows, known(a=1.0, b=2.0), BehaviourKind.BEHAVIOUR)
    assert evidence is not None
    assert evidence.prompts == 1


def test_a_behaviour_without_a_predictor_enters_no_slope() -> None:
    rows = [observation(1, 2, behaviour=name) for name in "abz"]
    evidence = gather(rows, known(a=1.0, b=2.0), BehaviourKind.BEHAVIOUR)
    assert evidence is not None
    assert evidence.behaviours == ("a", "b")


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("chat", ["chat"]),
        ("chat|agent", ["chat", "agent"]),
        ("!chat", ["agent", "chat-long"]),
        ("!chat|agent", ["chat-long"]),
        ("chat*", ["chat", "chat-long"]),
        ("!*long", ["chat", "agent"]),
    ],
)
def test_a_pattern_names_one_value_several_or_all_others(pattern: str, kept: list[str]) -> None:
    rows = [observation(1, 2, condition=name) for name in ("chat", "agent", "chat-long")]
    chosen = select_rows(claim(where={"condition": pattern}), rows)
    assert [one["condition"] for one in chosen] == kept


def test_a_pattern_reads_factors_as_it_reads_columns() -> None:
    rows = [
        observation(1, 2, factors=json.dumps({"step": step, "warned": w})) for step, w in FACTORS
    ]
    chosen = select_rows(claim(where={"step": "3|4", "warned": "!true"}), rows)
    assert [one["factors"]["step"] for one in chosen] == [4]


FACTORS = [(1, False), (3, True), (4, False), (5, True)]


def test_a_study_s_own_word_for_a_column_comes_before_the_column() -> None:
    rows = [
        observation(1, 2, model="m", factors=json.dumps({"model": "the larger"})),
        observation(1, 2, model="m"),
    ]
    assert len(select_rows(claim(where={"model": "m"}), rows)) == 1


def test_rows_of_continued_prefixes_are_for_the_test_of_prefixes_alone() -> None:
    rows = [observation(1, 2, unit="continuation"), observation(1, 2)]
    assert [one["unit"] for one in select_rows(claim(), rows)] == ["draw"]
    assert [one["unit"] for one in select_rows(claim(test="prefix"), rows)] == ["continuation"]
