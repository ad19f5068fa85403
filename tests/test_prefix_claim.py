"""Promises about paired prefixes: base models against authors, and samples that favour one side."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import beta

from auditor import Audit
from auditor.claims.evidence import AUTHOR, Measured, select_rows
from auditor.claims.question import Material
from auditor.claims.questions import prefix
from auditor.claims.reading import read_claims
from auditor.claims.spec import Claim
from auditor.flows.claim_rows import claim_rows
from auditor.flows.recording import Started
from auditor.records import ClaimResult, Verdict
from auditor.report.verdict_page import page_text, verdict_page
from auditor.statistics.calibration import Boundary
from auditor.statistics.claimed import Within
from auditor.statistics.contrast import ContrastStudy, dispersed
from auditor.statistics.judge import PERFECT
from auditor.statistics.sparse import SparseStudy
from auditor.store.tables import rows_table
from tests.claims import Rows, claim, closed, decided, observation
from tests.planted import FIXTURE

SAME: Claim = replace(read_claims()["same-proportion"], judge=PERFECT)
LN3 = float(np.log(3))
World = Callable[[np.random.Generator], ContrastStudy]


def pair(
    name: str,
    said: int,
    shown: bool,
    pi: float | None = 0.5,
    **given: Any,  # noqa: ANN401
) -> Rows:
    """A prefix that a base model continued five times, and what its text went on to show."""
    row = observation(
        said, 5, prompt=name, model="Alder-base", base_or_tuned="base", unit="continuation"
    )
    row = {**row, **given}
    author = {**row, "model": AUTHOR, "base_or_tuned": None, "k": int(shown), "n": 1}
    return [row, {**author, "factors": {"source": AUTHOR, "pi": pi, "uncoded": 0.0}}]


def pairs(said: Sequence[int], shown: int, number: int, **given: Any) -> Rows:  # noqa: ANN401
    """So many prefixes; `shown` of each ten texts show it, models take turns with these counts.

    Turns are of three at the least, so that they fall on shown and not shown alike.
    """
    return [
        row
        for p in range(number)
        for row in pair(f"p{p:03d}", said[p % len(said)], p % 10 < shown, **given)
    ]


def gate(result: ClaimResult, code: str) -> str:
    """What a gate found."""
    [value] = [gate.value for gate in result.gates if gate.code == code]
    return value


def test_models_that_continue_as_people_do_support_the_claim() -> None:
    result = decided(SAME, pairs((0, 1, 4, 1, 2, 1, 1), 3, 210))
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    assert result.units == {"prefixes": 210, "documents": 210, "models": 1, "trials": 1050}


def test_models_that_show_it_at_ten_times_the_odds_contradict_it() -> None:
    result = decided(SAME, pairs((3, 4, 4), 2, 150))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_models_that_show_it_at_a_tenth_of_the_odds_contradict_it_too() -> None:
    result = decided(SAME, pairs((0, 0, 1), 5, 210))
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_the_reading_gives_both_shares_and_their_odds_ratio() -> None:
    assert decided(SAME, pairs((0, 1, 2), 2, 30)).reading == (
        "Over the same 30 prefixes base models went on to show it in 20.0% of their continuations "
        "and the texts themselves in 20.0%, an odds ratio of 1.00"
    )


def test_several_base_models_are_pooled_over_the_same_prefixes() -> None:
    rows = pairs((0, 1, 2), 2, 30)
    more = [{**row, "model": "Birch-base", "k": 2} for row in rows if row["model"] != AUTHOR]
    result = decided(SAME, rows + more)
    assert result.units == {"prefixes": 30, "documents": 30, "models": 2, "trials": 300}
    assert result.points[0]["rate"] == pytest.approx((0.2 + 0.4) / 2)


def test_tuned_models_are_left_out_and_counted() -> None:
    rows = pairs((0, 1, 2), 2, 30)
    tuned = [
        {**row, "model": "Alder", "k": 5, "base_or_tuned": "tuned"}
        for row in rows
        if row["model"] != AUTHOR
    ]
    result = decided(SAME, rows + tuned)
    assert gate(result, "U6") == "30 rows of base models; 30 rows of others left out"
    assert result.points[0]["rate"] == pytest.approx(0.2)


def test_a_claim_that_names_models_keeps_the_authors() -> None:
    named = replace(SAME, models=("Alder*",))
    assert decided(named, pairs((0, 1, 2), 2, 30)).units["prefixes"] == 30


def test_each_behaviour_has_its_own_rates_and_odds_ratio() -> None:
    rows = pairs((0, 1, 2), 2, 30) + [
        {**row, "prompt": "c" + row["prompt"]} for row in pairs((4, 4, 4), 8, 20, behaviour="c")
    ]
    found = decided(SAME, rows).details["behaviours"]
    assert list(found) == ["b", "c"]
    assert found["b"] == pytest.approx(
        {"prefixes": 30, "model": 0.2, "human": 0.2, "odds_ratio": 1.0}
    )
    assert found["c"]["prefixes"] == 20
    assert found["c"]["model"] == pytest.approx(0.8)


def test_reproductions_that_were_left_out_are_counted() -> None:
    rows = pairs((0, 1, 2), 2, 30, factors={"verbatim": 2})
    assert decided(SAME, rows).details["verbatim_left_out"] == 60


def test_what_a_file_calls_a_prompt_is_not_the_prefix() -> None:
    rows = pairs((0, 1, 2), 2, 30)
    rows = [{**row, "factors": {**(row["factors"] or {}), "prompt": "Go on."}} for row in rows]
    assert decided(SAME, rows).units["prefixes"] == 30


CLOSED = {
    "every text shows it": (pairs((0, 1, 2), 10, 30), {"U4"}),
    "no base model": (pairs((0, 1, 2), 2, 30, base_or_tuned="tuned"), {"U1", "U6"}),
    "unsaid whether base": (pairs((0, 1, 2), 2, 30, base_or_tuned=None), {"U1", "U6"}),
    "nineteen prefixes": (pairs((0, 1, 2), 2, 19), {"U1"}),
    "drawn nobody knows how": (pairs((0, 1, 2), 2, 30, pi=None), {"U4"}),
    "no authors": ([r for r in pairs((0, 1), 2, 30) if r["model"] != AUTHOR], {"U1", "U4"}),
    "no rows": ([], {"U1", "U4", "U6"}),
}


@pytest.mark.parametrize("why", CLOSED)
def test_without_both_sides_of_enough_prefixes_nothing_can_be_said(why: str) -> None:
    rows, codes = CLOSED[why]
    result = decided(SAME, rows)
    assert result.verdict is Verdict.UNTESTABLE
    assert closed(result) & {"U1", "U4", "U5", "U6"} == codes


def test_one_behaviour_without_a_denominator_closes_the_gate_by_name() -> None:
    rows = pairs((0, 1, 2), 2, 30) + pairs((1, 1, 2), 10, 9, behaviour="coercion")
    found = gate(decided(SAME, rows), "U4")
    assert found.endswith("every prefix of coercion is one where the text went on to show it")


def test_opportunities_that_few_readers_coded_are_no_denominator() -> None:
    rows = pairs((0, 1, 2), 2, 30)
    for row in rows:
        if row["model"] == AUTHOR:
            row["factors"] = {**row["factors"], "uncoded": 0.6}
    result = decided(SAME, rows)
    assert "U4" in closed(result)
    assert gate(result, "U4").endswith("not coded in 60% of the passages without b")


def test_a_corpus_that_nobody_knows_closes_the_gate() -> None:
    assert "U5" in closed(decided(replace(SAME, tier="C"), pairs((0, 1, 2), 2, 30)))


def test_rates_of_other_kinds_never_reach_the_claim_nor_continuations_another() -> None:
    paired, rates = pairs((0, 1, 2), 2, 30), [observation(1, 9, base_or_tuned="base")]
    assert select_rows(SAME, paired + rates) == select_rows(SAME, paired)
    assert [row["unit"] for row in select_rows(claim(), paired + rates)] == ["draw"]


def study(kind: type[ContrastStudy], rows: Rows) -> ContrastStudy:
    """The claim's study, or the naive one on the same counts."""
    asked = prefix.ask(SAME, Material(Measured({}), select_rows(SAME, rows)))
    found = asked.study
    assert isinstance(found, SparseStudy)
    if kind is SparseStudy:
        return found
    return ContrastStudy(found.k, found.n, found.group, found.weights, found.judge)


def test_prefixes_drawn_alike_count_alike() -> None:
    rows = pairs((0, 1, 2, 5), 3, 40)
    own, naive = study(SparseStudy, rows), study(ContrastStudy, rows)
    assert own.fit().estimate == pytest.approx(naive.fit().estimate)
    assert own.statistic(own.fit(), 0.5) == pytest.approx(naive.statistic(naive.fit(), 0.5))


def test_a_prefix_drawn_once_in_ten_counts_for_ten() -> None:
    """Twenty texts that show it, all drawn; two of twenty that do not: half of them show it."""
    rows = [row for p in range(20) for row in pair(f"a{p}", 1, True, pi=1.0)]
    rows += [row for p in range(2) for row in pair(f"b{p}", 1, False, pi=0.1)]
    result = decided(SAME, rows)
    assert result.points[1]["rate"] == pytest.approx(0.5)
    assert (result.points[1]["k"], result.points[1]["n"]) == (20, 22)
    assert result.details["effective_prefixes"] == pytest.approx(40**2 / (20 + 2 * 100))


def test_weighted_rates_have_limits_of_as_many_draws_as_their_variance_leaves() -> None:
    """The variance of one half is 22 / 21 (20 / 80^2 + 2 / 8^2): that of 6.94 draws."""
    rows = [row for p in range(20) for row in pair(f"a{p}", 1, True, pi=1.0)]
    rows += [row for p in range(2) for row in pair(f"b{p}", 1, False, pi=0.1)]
    shown = decided(SAME, rows).points[1]
    size = 0.25 / (22 / 21 * (20 / 80**2 + 2 / 8**2))
    assert shown["design_effect"] == pytest.approx(22 / size)
    assert shown["low"] == pytest.approx(beta.ppf(0.025, size / 2, size / 2 + 1))
    assert shown["high"] == pytest.approx(1 - shown["low"])


def test_prefixes_drawn_unalike_come_to_a_page_with_limits() -> None:
    rows = [row for p in range(30) for row in pair(f"p{p}", p % 3, p % 5 < 2, 0.1 + p / 40)]
    text = page_text(verdict_page(decided(SAME, rows)))
    assert "rates weighted, counts as sampled" in " ".join(text.split())
    assert "no interval" not in text


def asked_for_each(behaviours: str, documents: int) -> Rows:
    """One prefix a document, asked about for several behaviours with the same outcomes."""
    return [
        row
        for d in range(documents)
        for name in behaviours
        for row in pair(f"{d:016x}-0-9-{name}", d % 3, d % 5 < 2, behaviour=name)
    ]


def test_a_prefix_asked_about_for_four_behaviours_is_no_more_than_one() -> None:
    once, four = (study(SparseStudy, asked_for_each(names, 40)) for names in ("b", "bcde"))
    assert (len(once.k), len(four.k)) == (40, 160)
    assert four.fit().estimate == pytest.approx(once.fit().estimate)
    assert dispersed(four.fit()).error == pytest.approx(dispersed(once.fit()).error)
    assert len(four.differences()) == 40


def test_prefixes_of_nineteen_documents_are_too_few_however_many() -> None:
    result = decided(SAME, asked_for_each("bcde", 19))
    assert "U1" in closed(result)
    assert gate(result, "U1").startswith("76 prefixes of 19 documents continued")


def of_documents(odds: float, rng: np.random.Generator) -> SparseStudy:
    """Sixty documents, each with four prefixes of one outcome; models at `odds` times people's."""
    shown, said = rng.random(60) < 0.2, rng.binomial(5, expit(np.log(odds / 4)), 60)
    k = np.repeat(np.stack([said, shown], axis=1), 4, axis=0)
    n, group = np.broadcast_to([5, 1], k.shape), np.zeros(240, np.int64)
    trials = ContrastStudy(k, n, group, np.array([[1.0, -1.0]]), PERFECT)
    return SparseStudy.of(trials, None, np.repeat(np.arange(60), 4))


def test_outcomes_that_prefixes_share_make_neither_verdict_likely() -> None:
    """Of a hundred, eleven or more have a chance of one in a hundred where the rate is .05."""
    assert max(shares_decided(lambda rng: of_documents(3.0, rng), 100)) <= 10 / 100


def calibrated_world(kind: type[ContrastStudy], odds: float, rng: np.random.Generator) -> Any:  # noqa: ANN401
    """Prefixes of 3000, more of those drawn whose text shows it; models at `odds` times people's.

    A detector finds four in five of what shows it and one in seven of the rest, and eight times as
    many of those it finds are read.
    """
    people = -2.2 + 0.5 * rng.standard_normal(3000)
    shown = rng.random(3000) < expit(people)
    found = rng.random(3000) < np.where(shown, 0.8, 1 / 7)
    pi = np.where(found, 0.16, 0.02)
    said = rng.binomial(5, expit(people + np.log(odds)))
    drawn = rng.random(3000) < pi
    k = np.stack([said[drawn], shown[drawn].astype(np.int64)], axis=1)
    n = np.broadcast_to([5, 1], k.shape)
    group = np.zeros(len(k), np.int64)
    naive = ContrastStudy(k, n, group, np.array([[1.0, -1.0]]), PERFECT)
    return SparseStudy.of(naive, 1 / pi[drawn]) if kind is SparseStudy else naive


def decided_at(kind: type[ContrastStudy], odds: float, replicates: int) -> tuple[float, float]:
    """Shares of worlds refuted and supported."""
    return shares_decided(lambda rng: calibrated_world(kind, odds, rng), replicates)


def shares_decided(world: World, replicates: int) -> tuple[float, float]:
    """Shares of planted worlds that refute odds within a factor 3, and that support them."""
    rng, claimed, refuted, supported = np.random.default_rng(3), Within(LN3, LN3), 0, 0
    for number in range(replicates):
        one = world(rng)
        streams = lambda step, n=number: np.random.default_rng([n, len(step)])  # noqa: E731
        at = {effect: Boundary(one, effect, 99, streams) for effect in (LN3, -LN3)}
        refuted += float(claimed.refutation(at, one.fit())) <= 0.05
        supported += float(claimed.support(at, one.fit())) <= 0.05
    return refuted / replicates, supported / replicates


def test_at_a_third_of_the_odds_neither_verdict_is_likely() -> None:
    """Of thirty, six or more have a chance of one in three hundred where the rate is .05."""
    assert max(decided_at(SparseStudy, 1 / 3, 30)) <= 5 / 30


def test_prefixes_counted_alike_would_refute_a_true_claim_and_support_a_false_one() -> None:
    refuted, _ = decided_at(ContrastStudy, 1 / 3, 10)
    _, supported = decided_at(ContrastStudy, 3.0, 10)
    assert min(refuted, supported) > 0.5


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of the fixture in which every passage without deception is coded for opportunity.

    Every other one is an opportunity.
    """
    root = tmp_path_factory.mktemp("coded") / "audit"
    audit = Audit.create(root)
    audit.index("fixture")
    audit.label(str(FIXTURE / "labels.jsonl"), codebook=["deception", "flattery"])
    sql = "SELECT * FROM labels WHERE behaviour = 'deception' AND NOT present ORDER BY ALL"
    rows = [
        {**row, "label_set": "coded", "opportunity": ("yes", "no")[number % 2]}
        for number, row in enumerate(audit.sql(sql).to_pylist())
    ]
    path = audit.tables.write("labels", "coded", rows_table("labels", rows))
    done = Started("label", ())
    done.finish(audit.tables, "coded", "s", "i", [path], len(rows), {"frame": None})
    return root


@pytest.fixture
def audit(coded: Path, tmp_path: Path) -> Audit:
    """A copy of it, to be written to."""
    shutil.copytree(coded, tmp_path / "audit")
    return Audit.open(tmp_path / "audit")


def continued(audit: Audit, *behaviours: str) -> dict[str, int]:
    """Export prefixes, let a base model show it in one of four; prefixes a behaviour."""
    path, said = audit.root.parent / "prefixes.jsonl", audit.root.parent / "said.jsonl"
    summary = audit.export_prefixes(str(path), *behaviours)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    records = [
        {
            "prefix_id": line["prefix_id"],
            "model": "Alder-base",
            "base_or_tuned": "base",
            "continuations": [{"text": f"So it went, {d}.", "present": d == 0} for d in range(4)],
        }
        for line in lines
    ]
    said.write_text("\n".join(map(json.dumps, records)))
    audit.observe(str(said))
    return {name: count["prefixes"] for name, count in summary["behaviours"].items()}


def authors(audit: Audit, one: Claim = SAME) -> list[dict[str, Any]]:
    rows = audit.sql("SELECT * FROM observations").to_pylist()
    return [dict(row) for row in claim_rows(audit.tables, one, rows)]


def test_labels_are_the_authors_side_of_every_continued_prefix(audit: Audit) -> None:
    counts = continued(audit, "deception")
    rows = authors(audit)
    known = audit.sql("SELECT * FROM observations").to_pylist()
    assert len(rows) == counts["deception"] == len(known)
    assert {row["prompt"] for row in rows} == {row["prompt"] for row in known}
    assert {(row["model"], row["n"], row["unit"]) for row in rows} == {("human", 1, "continuation")}
    assert {row["observed_at"] for row in rows} <= {row["observed_at"] for row in known}
    shown = audit.sql("SELECT * FROM labels WHERE behaviour = 'deception' AND present").to_pylist()
    spans = {f"{r['document_id']:016x}-{r['start']}-{r['end']}-deception" for r in shown}
    assert all(row["k"] == (row["prompt"] in spans) for row in rows)


def test_an_authors_row_says_with_what_probability_its_passage_was_read(audit: Audit) -> None:
    continued(audit, "deception")
    drawn = {
        f"{r['document_id']:016x}-{r['start']}-{r['end']}-deception": r["pi"]
        for r in audit.sql("SELECT * FROM frames").to_pylist()
    }
    for row in authors(audit):
        assert row["factors"]["pi"] == pytest.approx(drawn[row["prompt"]])
        assert row["factors"]["uncoded"] == 0.0


def test_behaviours_without_coded_opportunities_say_so(audit: Audit) -> None:
    continued(audit, "flattery")
    assert {row["factors"]["uncoded"] for row in authors(audit)} == {1.0}


def test_a_claim_on_another_corpus_has_no_authors_here(audit: Audit) -> None:
    continued(audit, "deception")
    assert authors(audit, replace(SAME, corpora=("elsewhere*",))) == []


def test_prefixes_come_to_a_verdict_end_to_end(audit: Audit, tmp_path: Path) -> None:
    toml = (Path(prefix.__file__).parents[1] / "library" / "same-proportion.toml").read_text()
    own = tmp_path / "own.toml"
    own.write_text(toml + "\n[judge]\nsensitivity = 1.0\nspecificity = 1.0\n")
    audit.predict(str(own))
    counts = continued(audit, "deception")
    [result] = audit.test(str(own))
    assert not result.exploratory
    assert closed(result) <= {"U3"}
    assert result.units["prefixes"] == counts["deception"]
    assert result.points[0]["rate"] == pytest.approx(0.25)
    shown = result.points[1]
    assert (shown["level"], shown["n"]) == ({"model": "human"}, counts["deception"])
    assert shown["rate"] < shown["k"] / shown["n"], "labels favour passages with cues"


def test_prefixes_without_a_denominator_come_to_none_end_to_end(audit: Audit) -> None:
    continued(audit, "flattery")
    [result] = audit.test("same-proportion")
    assert result.verdict is Verdict.UNTESTABLE
    assert "U4" in closed(result)
