"""Promises about detectors: what a head never saw, what its card admits, what is read and when."""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

from auditor import Audit
from auditor.behaviours.heads import Heads, calibrate, fit_heads
from auditor.behaviours.spec import library_of, read_library
from auditor.behaviours.spike_ins import read_spike_ins
from auditor.behaviours.training import FOLDS, LIBRARY, fold_of, training_set
from auditor.cli import cards as cards_table
from auditor.flows.measurer import Measurer
from auditor.flows.spans import labelled_texts
from auditor.prevalence.targets import Target
from auditor.records import Prevalence
from tests.conftest import Command
from tests.planted import FIXTURE

GENRES = ("news", "forum")
BUDGET = 24
OWN = "money_talk"
OWN_TOML = """\
id = "money_talk"
title = "Talk of money"
kind = "behaviour"
definition = "Somebody names a sum, a price or a payment."
opportunity = "Somebody speaks of a thing that has a price."
cues = ["money", "paid", "pay", "price*", "cost*", "pound*"]

[[examples]]
text = "He paid four pounds for the mare and told the whole inn of it before supper."
[[examples]]
text = "What the survey would cost, and who should find the money, took up the morning."
[[near_misses]]
text = "The mare was lame by Easter, and he walked to market with the rest of us."
[[near_misses]]
text = "Nobody could say who had ordered the survey, or where its maps were kept."

[[spike_ins]]
text = "The price of the boat was nine pounds, and she had paid six of them by Whitsun."
"""
ALL_PRESENT = "flattery"
DISPUTED = "sandbagging"
ONE_POSITIVE = "loyal_wrongdoing"
UNSEEN = "goal_fixation"

Labels = list[dict[str, Any]]


def fixture_labels() -> Labels:
    """The fixture's labels of two genres, with what one reader says of money."""
    lines = map(json.loads, (FIXTURE / "labels.jsonl").read_text().splitlines())
    rows = [row for row in lines if row["genre"] in GENRES]
    for row in rows:
        if re.search(r"\b(money|paid|pay|price|cost|pounds?)\b", row["text"]):
            row["labels"].append({"id": OWN})
    return rows


def without(labels: Labels, name: str) -> Labels:
    return [{**r, "labels": [one for one in r["labels"] if one["id"] != name]} for r in labels]


def disputed(labels: Labels) -> Labels:
    """Twenty spans read by two people, who differ on the first three."""
    return [
        {**row, "reader": reader, "labels": [{"id": DISPUTED}] if yes else []}
        for number, row in enumerate(labels[:20])
        for reader, yes in (("Ada", number < 5), ("Ben", 3 <= number < 5))
    ]


def write_set(folder: Path, rows: Iterable[dict[str, Any]]) -> str:
    """Write labels into a folder of their own; returns the file."""
    folder.mkdir()
    path = folder / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def write_frame(folder: Path) -> None:
    """Write the fixture's frame of the two genres beside their labels."""
    with (FIXTURE / "frame.csv").open() as source, (folder / "frame.csv").open("w") as out:
        rows = csv.DictReader(source)
        writer = csv.DictWriter(out, rows.fieldnames or ())
        writer.writeheader()
        writer.writerows(row for row in rows if row["genre"] in GENRES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of two genres that was labelled, detected and measured; do not write to it."""
    folder = tmp_path_factory.mktemp("detectors")
    (folder / "own.toml").write_text(OWN_TOML)
    (folder / "two").mkdir()
    for genre in GENRES:
        shutil.copy(FIXTURE / "documents" / f"{genre}.jsonl", folder / "two")
    audit = Audit.create(folder / "audit")
    audit.add_behaviour(str(folder / "own.toml"))
    audit.index(str(folder / "two"), corpus="two")
    labels = fixture_labels()
    own = [name for name in learned_names(audit) if name != ALL_PRESENT]
    sample = write_set(folder / "sample", without(labels, ALL_PRESENT))
    write_frame(folder / "sample")
    audit.label(sample, codebook=own)
    praised = [{**row, "labels": [{"id": ALL_PRESENT}]} for row in labels[:12]]
    audit.label(write_set(folder / "praised", praised), codebook=[ALL_PRESENT])
    audit.label(write_set(folder / "argued", disputed(labels)), codebook=[DISPUTED])
    audit.detect(budget=BUDGET)
    audit.measure()
    return folder / "audit"


def learned_names(audit: Audit) -> list[str]:
    return [b.id for b in library_of(audit.tables.paths).values() if not b.rule]


@pytest.fixture
def detected(root: Path) -> Audit:
    return Audit.open(root)


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Audit:
    """The audit, to be written to."""
    shutil.copytree(root, tmp_path / "copy")
    return Audit.open(tmp_path / "copy")


def card(audit: Audit, name: str, metric: str, stage: int = 1) -> dict[str, Any]:
    [found] = [c for c in audit.cards(name) if (c["metric"], c["stage"]) == (metric, stage)]
    return found


def overall(audit: Audit, name: str, label_set: str) -> Prevalence:
    rows = [r for r in audit.measure(name) if r.facet is None and r.label_set == label_set]
    [row] = rows
    return row


# What a head never saw.


def leaky(seed: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Features, answers, folds: column f tells the answers of fold f and of no other."""
    rng = np.random.default_rng(seed)
    fold = np.repeat(np.arange(FOLDS), 40)
    wanted = rng.integers(0, 2, (len(fold), 1)).astype(np.float32)
    features = np.where(fold[:, None] == np.arange(FOLDS), 2 * wanted - 1, 0).astype(np.float32)
    return np.hstack([features, rng.normal(size=features.shape)]).astype(np.float32), wanted, fold


def fit(features: npt.NDArray[Any], wanted: npt.NDArray[Any], fold: npt.NDArray[Any]) -> Heads:
    weight = np.ones(len(fold), np.float32)
    return fit_heads(["b"], features, wanted, weight, fold, regularisation=3.0)


def test_a_leak_within_a_fold_is_worth_nothing_to_the_head_that_scores_the_fold() -> None:
    features, wanted, fold = leaky()
    heads = fit(features, wanted, fold)
    unseen, seen = heads.sums(features, fold), heads.sums(features)
    assert roc_auc_score(wanted, unseen) == pytest.approx(0.5, abs=0.1)
    assert roc_auc_score(wanted, seen) > 0.95


@pytest.mark.parametrize("number", range(FOLDS))
def test_the_labels_of_a_fold_do_not_reach_its_head(number: int) -> None:
    features, wanted, fold = leaky()
    turned = np.where(fold[:, None] == number, 1 - wanted, wanted)
    first, second = fit(features, wanted, fold), fit(features, turned, fold)
    changed = (first.weights != second.weights).any(axis=(1, 2))
    assert np.flatnonzero(~changed).tolist() == [number]


def test_every_span_of_a_document_is_in_the_documents_fold(detected: Audit) -> None:
    texts = labelled_texts(detected.tables)
    folds = training_set(texts, [OWN]).fold
    pairs = {(text.document, int(fold)) for text, fold in zip(texts, folds, strict=True)}
    assert len(pairs) == len({text.document for text in texts}) == 27
    assert {fold for _, fold in pairs} == set(range(FOLDS))
    assert fold_of(0) == LIBRARY


def uncalibrated_heads() -> Heads:
    """Heads of one behaviour over one feature, which they pass on as it is."""
    ones, nil = np.ones((FOLDS + 1, 1), np.float32), np.zeros((FOLDS + 1, 1), np.float32)
    return Heads(("b",), np.ones((FOLDS + 1, 1, 1), np.float32), nil, ones, nil)


def test_calibrated_probabilities_add_up_to_the_weighted_positives() -> None:
    """10 of 100 spans drawn one in ten: 100 of 1,000, with half an event of 10 on either side."""
    rng = np.random.default_rng(1)
    wanted = np.repeat([1.0, 0.0], [10, 90])[:, None].astype(np.float32)
    sums = (rng.normal(size=(100, 1)) + 2 * wanted).astype(np.float32)
    bare = uncalibrated_heads()
    heads = calibrate(bare, sums, wanted, np.full(100, 0.1), np.arange(100) % FOLDS)
    assert heads.probabilities(sums).mean() == pytest.approx(105 / 1010, rel=1e-4)


def test_a_rare_span_weighs_what_it_stands_for_in_the_calibration() -> None:
    """Eight positives drawn for certain and two drawn one in a hundred, of 1,100 in the frame."""
    wanted = np.repeat([1.0, 0.0, 1.0, 0.0], [8, 92, 2, 8])[:, None].astype(np.float32)
    pi = np.repeat([1.0, 0.01], [100, 10])
    sums = np.random.default_rng(2).normal(size=(110, 1)).astype(np.float32)
    bare = uncalibrated_heads()
    fitted = calibrate(bare, sums, wanted, pi, np.arange(110) % FOLDS)
    probability = fitted.probabilities(sums)[:, 0]
    assert (probability / pi).sum() / (1 / pi).sum() == pytest.approx(208.5 / 1101, rel=1e-3)


# What a card admits.


@pytest.mark.parametrize("stage", [1, 2])
def test_every_behaviour_seen_in_several_documents_has_a_card_with_an_interval(
    detected: Audit, stage: int
) -> None:
    seen = detected.sql(
        "SELECT behaviour FROM labels_resolved WHERE present AND label_set = 'sample' "
        "GROUP BY 1 HAVING count(DISTINCT document_id) > 1"
    )["behaviour"].to_pylist()
    assert len(seen) >= 9
    for name in seen:
        auc = card(detected, str(name), "auc", stage)
        assert auc["low"] <= auc["estimate"] <= auc["high"]
        assert auc["labels"] > auc["positives"] > 1
        assert auc["reader_kind"] == "human"


def test_a_card_of_one_positive_has_no_interval_and_is_named_as_no_evidence(
    detected: Audit, capsys: pytest.CaptureFixture[str]
) -> None:
    auc = card(detected, ONE_POSITIVE, "auc")
    assert (auc["positives"], auc["low"], auc["high"]) == (1, None, None)
    cards_table.write(detected.cards())
    [said] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("under 15")]
    assert ONE_POSITIVE in said
    assert "deception" not in said


@pytest.mark.parametrize("name", [UNSEEN, ALL_PRESENT])
def test_answers_that_are_all_alike_rank_nothing(detected: Audit, name: str) -> None:
    assert {c["metric"] for c in detected.cards(name)} == {"spike_in_recall"}


def test_without_labels_there_is_no_card_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    cards_table.write([{"metric": "spike_in_recall"}])
    assert capsys.readouterr().err.startswith("no card: nobody labelled a sample yet")


def test_recall_is_of_every_spike_in_that_portrays_it(detected: Audit) -> None:
    counts = Counter(name for s in read_spike_ins(read_library()) for name in s.portrays)
    cards = [c for c in detected.cards() if c["metric"] == "spike_in_recall"]
    assert {c["name"]: c["labels"] for c in cards} == {**counts, OWN: 1}
    assert all(0 <= c["positives"] <= c["labels"] and c["corpus"] == "two" for c in cards)


# What is read, and when.


def run_of(audit: Audit, stage: str) -> dict[str, Any]:
    [run] = [
        r
        for r in audit.status()
        if (r["stage"], r["corpus"]) in ((stage, "two"), (stage, "stage1"))
    ]
    return run


def test_new_labels_make_what_was_learned_stale_and_cost_no_reading(
    root: Path, copied: Audit, tmp_path: Path
) -> None:
    stages = ("index", "cues", "learn", "score")
    before = {stage: run_of(copied, stage)["run"] for stage in stages}
    labels = write_set(tmp_path / "more", [{**row, "labels": []} for row in fixture_labels()[:9]])
    copied.label(labels, codebook=["coercion"])
    assert [run_of(copied, s)["state"] for s in stages] == ["fresh", "fresh", "stale", "fresh"]
    copied.index(str(root.parent / "two"), corpus="two")
    after = {stage: run_of(copied, stage)["run"] for stage in stages}
    assert [stage for stage in stages if after[stage] != before[stage]] == ["learn", "score"]


def stage2(audit: Audit) -> dict[int, float]:
    rows = audit.sql("SELECT passage_id, score FROM scores2 WHERE behaviour = 'deception'")
    return dict(zip(rows["passage_id"].to_pylist(), rows["score"].to_pylist(), strict=True))


def test_the_transformer_reads_what_the_budget_allows(detected: Audit) -> None:
    assert len(stage2(detected)) == BUDGET


def test_what_was_read_is_not_read_again(copied: Audit) -> None:
    first = stage2(copied)
    [again] = copied.detect(budget=BUDGET)
    assert (again["stage2_read"], stage2(copied)) == (0, first)
    [more] = copied.detect(budget=BUDGET + 5)
    assert (more["stage2_read"], more["stage2_passages"]) == (5, BUDGET + 5)
    assert first.items() <= stage2(copied).items()


# Whose heads, and what they say.

TEXT = "She paid nine pounds to have the ledger altered, and swore to the bench it was genuine."


def test_a_text_is_scored_by_the_audits_heads_inside_it_and_by_the_librarys_outside(
    detected: Audit,
) -> None:
    [inside] = detected.detect_texts([{"text": TEXT}], stage=1)
    [outside] = Audit.score_texts([{"text": TEXT}], stage=1)
    assert set(inside["behaviours"]) - set(outside["behaviours"]) == {OWN}
    assert inside["behaviours"]["deception"] != outside["behaviours"]["deception"]
    [best] = detected.detect_texts([{"text": TEXT}])
    assert (inside["stage"], outside["stage"], best["stage"]) == (1, 1, 2)


def test_the_probabilities_of_a_facets_values_sum_to_one(detected: Audit) -> None:
    sums = detected.sql(
        "SELECT stage, sum(probability) AS total FROM framings "
        "GROUP BY stage, passage_id, behaviour, facet"
    )
    assert set(sums["stage"].to_pylist()) == {1, 2}
    np.testing.assert_allclose(sums["total"].to_numpy(), 1, atol=1e-5)
    [found] = detected.detect_texts([{"text": TEXT, "genre": "news"}])
    for facets in found["framing"].values():
        for values in facets.values():
            assert sum(values.values()) == pytest.approx(1, abs=1e-3)


def test_a_behaviour_of_ones_own_is_scored_carded_and_measured_like_any_other(
    detected: Audit,
) -> None:
    scored = detected.sql(f"SELECT count(*) AS n FROM scores WHERE behaviour = '{OWN}'")
    whole = detected.sql("SELECT count(*) AS n FROM passages")
    assert scored["n"][0] == whole["n"][0]
    read = detected.sql(f"SELECT count(*) AS n FROM scores2 WHERE behaviour = '{OWN}'")
    assert read["n"][0].as_py() == BUDGET
    assert card(detected, OWN, "auc")["estimate"] > 0.7
    row = overall(detected, OWN, "sample")
    assert row.per_million_passages.estimate and row.calibrated
    [best] = detected.passages(OWN, top=1)
    assert re.search(r"(?i)\b(money|paid|pay|price|cost|pound)", best["text"])


# What a rate says beside itself, and when it says nothing.


def test_recall_and_elusion_stand_beside_the_rate_and_do_not_move_it(detected: Audit) -> None:
    row = overall(detected, "deception", "sample")
    alone = Measurer(detected.tables).target(Target("deception"), "two")
    assert row.recall and row.elusion and row.elusion.high
    assert alone and alone.recall is None and alone.elusion is None
    assert row.per_million_passages == alone.per_million_passages


def test_measure_prints_recall_and_elusion_beside_the_rate_and_names_what_it_refused(
    detected: Audit, command: Command
) -> None:
    shown = command("-a", detected.root, "measure", "deception", ALL_PRESENT)
    row = overall(detected, "deception", "sample")
    assert row.recall and row.elusion and row.elusion.high
    assert f"{row.recall.k} of {row.recall.n}" in shown.stdout
    assert f"{row.elusion.high:,.0f}" in shown.stdout
    assert "beside the rate, never added to it" in shown.stderr
    assert f"refused: {ALL_PRESENT}" in shown.stderr


def test_labels_without_a_negative_give_no_rate_but_a_reason(detected: Audit) -> None:
    row = overall(detected, ALL_PRESENT, "praised")
    assert (row.method, row.positives, row.labels) == ("refused", 12, 12)
    assert row.per_million_passages.estimate is None
    assert row.reason and row.reason.startswith("all 12 spans read portray it")


def test_what_two_readers_dispute_is_resolved_to_nothing(detected: Audit) -> None:
    rows = detected.sql(
        "SELECT present, readers FROM labels_resolved WHERE label_set = 'argued' "
        "ORDER BY present NULLS FIRST"
    ).to_pylist()
    assert [row["present"] for row in rows] == [None] * 3 + [False] * 15 + [True] * 2
    assert {row["readers"] for row in rows} == {2}


def test_a_rate_with_more_than_a_tenth_disputed_is_refused(detected: Audit) -> None:
    row = overall(detected, DISPUTED, "argued")
    assert (row.method, row.per_million_passages.estimate) == ("refused", None)
    assert row.reason == "3 of 20 spans read have no usable answer"
