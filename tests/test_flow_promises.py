"""Promises about what happens between stages: nothing stale, doubled, lost or guessed."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from auditor import Audit
from auditor.claims.evidence import Frequency, gather
from auditor.cli import console
from auditor.errors import StageMissing
from auditor.flows.measurer import Measurer
from auditor.ingest.sources import find_sources
from auditor.prevalence.targets import parse_target
from auditor.records import BehaviourKind
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


def test_equally_frequent_behaviours_are_no_evidence_of_a_slope() -> None:
    names = [f"b{i}" for i in range(6)]
    kind = BehaviourKind.BEHAVIOUR
    same = {n: Frequency(n, kind, 10.0, 9.0, 11.0, 0.1, "exact", 0, 1, "c") for n in names}
    row = {"study": "s", "model": "m", "condition": None, "prompt": "p", "k": 1, "n": 2}
    assert gather([{**row, "behaviour": n} for n in names], same, kind) is None


def test_unnamed_prompts_are_not_prompts() -> None:
    kind = BehaviourKind.BEHAVIOUR
    known = {
        n: Frequency(n, kind, float(i + 1), 0.9, 9.0, 0.1, "exact", 0, 1, "c")
        for i, n in enumerate(("a", "b"))
    }
    row = {"study": "s", "model": "m", "condition": None, "k": 1, "n": 2}
    rows = [{**row, "behaviour": n, "prompt": p} for n in ("a", "b") for p in ("one", None, "")]
    evidence = gather(rows, known, kind)
    assert evidence is not None
    assert evidence.prompts == 1
    assert np.ptp(evidence.cells.x) > 0
