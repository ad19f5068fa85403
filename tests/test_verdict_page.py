"""Promises about the page of a claim: seven blocks, no bare number, no word too strong."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.special import expit

from auditor import Audit
from auditor.claims.conclusions import model_rates
from auditor.claims.decide import assess, conclude
from auditor.claims.evidence import Frequency, Measured, select_rows
from auditor.claims.spec import RivalSpec
from auditor.cli import console
from auditor.cli.verdicts import show, show_matrix
from auditor.records import BehaviourKind, ClaimResult, Gate, Verdict, plain
from auditor.report.verdict_page import could_have_failed, page_markdown, page_text, verdict_page
from auditor.statistics.claimed import Within
from auditor.statistics.clustered import prompt_interval
from auditor.statistics.intervals import clopper_pearson
from auditor.statistics.judge import Judge
from tests.claims import NOTHING, Rows, between, claim, decided, observation
from tests.conftest import Command
from tests.planted import FIXTURE

BLOCKS = [
    "Claim", "Verdict", "In the corpus", "In the models", "Tests", "Still standing, and next",
    "Would reverse it, and limits",
]  # fmt: skip
UNITS = 12
X = np.linspace(-2.0, 2.0, UNITS)
DIFFICULTY = np.tile([0.5, -0.5, -0.5, 0.5], 3)
KINDS = {"b": BehaviourKind.BEHAVIOUR, "p": BehaviourKind.PLACEBO}
CLAIM = claim(
    judge=Judge(0.95, 0.98),
    rivals=(RivalSpec("R-CAP", "difficulty"), RivalSpec("R-PT", "refusal")),
)


def corpus() -> Measured:
    """Behaviours b…, placebos p… and positive controls c…, known to a tenth of a log unit."""
    known = {}
    for letter in "bpc":
        for number, x in enumerate(X):
            name, rate = f"{letter}{number:02d}", 1000 * float(np.exp(x))
            kind = KINDS.get(letter, BehaviourKind.POSITIVE_CONTROL)
            known[name] = Frequency(
                name, kind, rate, 0.8 * rate, 1.2 * rate, 0.1, "fay_feuer", 900, 90, "books"
            )
    predictor = {name: (float(np.log(f.estimate)), f.se_log) for name, f in known.items()}
    return Measured(known, predictor)


def rows(slope: float) -> Rows:
    """Five prompts of forty draws a behaviour, on the curve itself; no chance in them."""
    slopes = {"b": (slope, 0.95, 0.98), "p": (-9.0, 0.95, 0.98), "c": (1.0, 1.0, 1.0)}
    found: Rows = []
    for name in corpus().frequencies:
        beta, sensitivity, specificity = slopes[name[0]]
        number = int(name[1:])
        p = 0.0 if name[0] == "p" else expit(-1.0 + beta * X[number])
        k = round(40 * (sensitivity * p + (1 - specificity) * (1 - p)))
        factors = json.dumps({"difficulty": str(DIFFICULTY[number])})
        prompts = (f"{name}-{j}" for j in range(5))
        found += [
            observation(k, 40, behaviour=name, prompt=one, factors=factors) for one in prompts
        ]
    return found


def verdict_on(slope: float, exploratory: bool = False, **changed: Any) -> ClaimResult:  # noqa: ANN401
    """The verdict on the planted rows."""
    lock = None if exploratory else "ab" * 32
    one = assess(replace(CLAIM, **changed), corpus(), rows(slope), exploratory, lock, 99)
    [result] = conclude([one])
    return result


@pytest.fixture(scope="module")
def results() -> dict[Verdict, ClaimResult]:
    """One result of each verdict."""
    found = [verdict_on(2.0), verdict_on(0.0), verdict_on(1.0), verdict_on(2.0, tier="B")]
    return {result.verdict: result for result in found}


def lines(result: ClaimResult, title: str) -> list[tuple[str, str]]:
    """The labelled lines of one block."""
    [block] = [block for block in verdict_page(result).blocks if block.title == title]
    return [(line.label, line.text) for line in block.lines]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_the_seven_blocks_with_something_in_each(
    verdict: Verdict, results: dict[Verdict, ClaimResult]
) -> None:
    page = verdict_page(results[verdict])
    assert [block.title for block in page.blocks] == BLOCKS
    assert all(line.label and line.text for block in page.blocks for line in block.lines)
    assert all(block.lines for block in page.blocks)


@pytest.mark.parametrize("verdict", Verdict)
def test_no_verdict_is_printed_without_power_and_phi(
    verdict: Verdict, results: dict[Verdict, ClaimResult]
) -> None:
    said = dict(lines(results[verdict], "Verdict"))
    assert said["verdict"].startswith(verdict.upper())
    assert re.search(r"power \d\.\d\d, phi \d\.\d\d", said["could it have failed?"])


@pytest.mark.parametrize("verdict", Verdict)
def test_every_rate_has_its_counts_and_its_interval(
    verdict: Verdict, results: dict[Verdict, ClaimResult]
) -> None:
    for title in ("In the corpus", "In the models"):
        rates = lines(results[verdict], title)[1:]
        assert rates
        assert all(re.search(r"\d \(\S+ to \S+\); [\d,]+ of [\d,]+; ", text) for _, text in rates)


def test_a_rate_without_limits_is_said_to_have_no_interval(
    results: dict[Verdict, ClaimResult],
) -> None:
    result = results[Verdict.SUPPORTED]
    bare = replace(result, models=({**result.models[0], "low": None, "high": None},))
    [_, (_, shown)] = lines(bare, "In the models")
    assert "(no interval); " in shown


def test_an_untestable_page_says_no_other_verdict(results: dict[Verdict, ClaimResult]) -> None:
    text = page_text(verdict_page(results[Verdict.UNTESTABLE])).lower()
    assert "untestable" in text
    others = set(Verdict) - {Verdict.UNTESTABLE}
    assert [word for word in others if word in text] == []
    assert "U5" in dict(lines(results[Verdict.UNTESTABLE], BLOCKS[5]))["cheapest next"]


def test_an_exploratory_verdict_only_suggests() -> None:
    early = verdict_on(0.0, exploratory=True)
    assert dict(lines(early, "Verdict"))["verdict"] == "SUGGESTS CONTRADICTED (exploratory)"
    assert any("exploratory" in limit for limit in early.limits)


def test_what_could_not_be_computed_is_said_with_the_reason() -> None:
    bare = decided(CLAIM, [], corpus(), 99)
    said = could_have_failed(bare)
    assert said.startswith("no: power and phi not computable: U1 (0 behaviours")
    assert dict(lines(bare, "Verdict"))["effect"] == "not computable"
    assert lines(bare, "In the models") == [("rates", "no trial with k and n was observed")]


def test_a_closed_power_gate_means_it_could_not_have_failed(
    results: dict[Verdict, ClaimResult],
) -> None:
    weak = replace(
        results[Verdict.SUPPORTED],
        verdict=Verdict.UNTESTABLE,
        power=0.32,
        gates=(Gate("U3", False, "power 0.32 at scatter 1.5, phi 0.71", "add units"),),
    )
    assert could_have_failed(weak).startswith("no: power 0.32")
    assert "U3" in could_have_failed(weak)


@pytest.mark.parametrize(("phi", "bold"), [(0.5, True), (0.49, False)])
def test_only_a_claim_that_half_of_outcomes_refute_is_bold(
    phi: float, bold: bool, results: dict[Verdict, ClaimResult]
) -> None:
    result = replace(results[Verdict.SUPPORTED], forbidden_fraction=phi)
    assert could_have_failed(result).endswith(", bold") is bold


def test_a_contradicted_page_names_the_estimate_that_would_reverse_it(
    results: dict[Verdict, ClaimResult],
) -> None:
    """The claim is 1 or more; a repeat need not reach 1, only come within its error of it."""
    [reversal] = results[Verdict.CONTRADICTED].reversal
    [least] = [float(number) for number in re.findall(r"above (0\.\d\d),", reversal)]
    assert 0.5 < least < 1.0


def test_a_supported_page_names_the_rivals_that_could_still_overturn_it(
    results: dict[Verdict, ClaimResult],
) -> None:
    result = results[Verdict.SUPPORTED]
    assert [one["rival"] for one in result.standing] == ["R-PT", "R-OPT", "R-ECHO"]
    assert any("R-PT or R-OPT or R-ECHO measured" in text for text in result.reversal)
    assert result.told_apart == ()


def test_a_rival_with_the_effect_gone_is_not_beaten(results: dict[Verdict, ClaimResult]) -> None:
    states = {one["rival"]: one["state"] for one in results[Verdict.CONTRADICTED].standing}
    assert states["R-CAP"] == "not beaten"
    assert states["R-PT"] == "not measured"


def test_an_untestable_claim_needs_its_gates_opened(results: dict[Verdict, ClaimResult]) -> None:
    [needed] = results[Verdict.UNTESTABLE].reversal
    assert needed.startswith("U5 opened: measure three proxy corpora")
    assert any(limit.startswith("tier B") for limit in results[Verdict.UNTESTABLE].limits)


def test_a_claim_of_no_effect_is_reversed_from_both_sides() -> None:
    """Ten scenarios that never differ between two conditions."""
    same = [
        observation(20, 40, prompt=f"p{j}", condition=side)
        for j in range(12)
        for side in ("chat", "agent")
    ]
    one = claim(
        test="contrast", strength="effect", claimed=Within(0.5, 1.0), rival_effect=2.0,
        contrast=between("chat", "agent"), judge=Judge(0.95, 0.98),
        rivals=(RivalSpec("R-CAP", "", held="one model"),),
    )  # fmt: skip
    result = decided(one, same)
    assert result.verdict is Verdict.SUPPORTED
    assert "from 0, which would refute the claim" in result.reversal[0]
    assert lines(result, "In the corpus") == [("rates", "none enters this test")]
    assert [row["part"] for row in result.models] == ["condition=chat", "condition=agent"]


def test_text_fits_eighty_columns(results: dict[Verdict, ClaimResult]) -> None:
    texts = [page_text(verdict_page(result)) for result in results.values()]
    assert max(len(line) for text in texts for line in text.splitlines()) <= 80


def test_markdown_has_a_heading_a_block_and_shows_names_as_they_are(
    results: dict[Verdict, ClaimResult],
) -> None:
    text = page_markdown(verdict_page(replace(results[Verdict.SUPPORTED], claim="two_words")))
    assert text.startswith("# two\\_words\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == BLOCKS
    assert "- **verdict:** SUPPORTED\n" in text


def test_a_result_is_still_one_json_document(results: dict[Verdict, ClaimResult]) -> None:
    content = json.loads(json.dumps(plain(results[Verdict.SUPPORTED]), allow_nan=False))
    assert {"corpus", "models", "told_apart", "standing", "reversal", "limits"} <= set(content)
    assert set(content["corpus"][0]["per_million"]) == {"estimate", "low", "high"}


def arrays(counts: Sequence[int], draws: int) -> tuple[Any, Any, Any]:
    """Prompts of one behaviour, so many draws each."""
    k = np.array(counts, float)
    return k, np.full(len(k), float(draws)), np.zeros(len(k), np.int64)


def test_prompts_that_differ_make_a_wider_interval_than_their_draws_would() -> None:
    effect, wide = prompt_interval(*arrays([0, 10] * 5, 10), 1.0)
    binomial = clopper_pearson(50, 100).interval
    assert effect == pytest.approx(10 * 10 / 9)  # all or nothing: a prompt is one draw
    assert wide.low is not None
    assert wide.high is not None
    assert wide.low < (binomial.low or 0.0)
    assert wide.high > (binomial.high or 1.0)
    assert wide.estimate == 0.5


def test_prompts_that_are_alike_have_no_design_effect() -> None:
    effect, interval = prompt_interval(*arrays([5] * 400, 10), 1.0)
    binomial = clopper_pearson(2000, 4000).interval
    assert effect == 1.0
    assert interval.low == pytest.approx(binomial.low, abs=1e-3)
    assert interval.high == pytest.approx(binomial.high, abs=1e-3)


@pytest.mark.parametrize("k", [0, 50, 100])
def test_one_prompt_drawn_often_takes_its_scatter_from_the_claim(k: int) -> None:
    effect, interval = prompt_interval(*arrays([k], 100), 1.0)
    binomial = clopper_pearson(k, 100).interval
    assert effect > 1.0
    assert (interval.high or 0.0) - (interval.low or 0.0) > (binomial.high or 0.0) - (
        binomial.low or 0.0
    )


@pytest.mark.parametrize(("prompts", "draws"), [(10, 10), (20, 10), (5, 20)])
def test_the_interval_covers_the_rate_over_all_prompts(prompts: int, draws: int) -> None:
    rng = np.random.default_rng(7)
    truth = float(expit(-1.0 + rng.standard_normal(100_000)).mean())
    covered = 0
    for _ in range(300):
        k = rng.binomial(draws, expit(-1.0 + rng.standard_normal(prompts)))
        interval = prompt_interval(*arrays(k, draws), 1.0)[1]
        covered += (interval.low or 0.0) <= truth <= (interval.high or 1.0)
    assert covered >= 0.92 * 300  # 0.95 less 2.4 Monte-Carlo standard errors


def test_models_are_counted_apart_by_condition_and_rows_without_n_never() -> None:
    seen = [
        observation(1, 10, condition="chat"), observation(9, 10, condition="agent"),
        observation(None, None, condition="chat", prompt="bare"),
    ]  # fmt: skip
    one = claim(test="contrast", contrast=None)
    rates = model_rates(one, NOTHING, select_rows(one, seen), ())
    assert [(r["condition"], r["k"], r["n"]) for r in rates] == [("agent", 9, 10), ("chat", 1, 10)]


def test_levels_of_a_factor_are_rates_of_their_own() -> None:
    seen = [
        observation(k, 10, prompt=f"p{j}", factors=json.dumps({"pressure": side}))
        for j in range(3)
        for k, side in ((1, "none"), (8, "high"))
    ]
    one = claim(test="contrast", contrast=between("high", "none", "pressure"))
    rates = model_rates(one, NOTHING, select_rows(one, seen), ())
    assert [(r["part"], r["rate"]) for r in rates] == [
        ("pressure=high", 0.8),
        ("pressure=none", 0.1),
    ]


def test_rungs_of_a_ladder_without_a_contrast_are_not_lumped() -> None:
    seen = [
        observation(k, 10, prompt=rung, factors=json.dumps({"rung": rung}))
        for k, rung in ((0, "neutral"), (9, "instruction"))
    ]
    one = claim(test="elicitation")
    rates = model_rates(one, NOTHING, select_rows(one, seen), ())
    assert [(r["part"], r["k"]) for r in rates] == [("rung=instruction", 9), ("rung=neutral", 0)]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Where tables go: a terminal of eighty columns."""
    screen = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=screen, width=80))
    return screen


def test_the_table_fits_eighty_columns_and_breaks_no_name(
    narrow: io.StringIO, results: dict[Verdict, ClaimResult]
) -> None:
    many = tuple(Gate(f"U{n}", False, "", "") for n in range(1, 11))
    closed = replace(results[Verdict.UNTESTABLE], claim="fixture-unrelated", gates=many)
    show([closed, results[Verdict.CONTRADICTED]])
    written = narrow.getvalue()
    assert max(map(len, written.splitlines())) <= 80
    assert all(word in written for word in ("fixture-unrelated", "contradicted", "U1 U2", "+8"))


def test_the_matrix_fits_eighty_columns(
    narrow: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    results: dict[Verdict, ClaimResult],
) -> None:
    show_matrix(Audit.discrimination(*results.values()))
    written = narrow.getvalue() + capsys.readouterr().out
    assert max(map(len, written.splitlines())) <= 80
    assert "condemned_spontaneous" in written
    assert "told apart: no two hypotheses" in written


@pytest.fixture
def unseen(tmp_path: Path) -> list[Path]:
    """Two claims about studies that nobody observed: quickly tested."""
    files = []
    for name in ("imitates", "unrelated"):
        text = (FIXTURE / "claims" / f"fixture-{name}.toml").read_text()
        files.append(tmp_path / f"{name}.toml")
        files[-1].write_text(text.replace(f'"rates-{name}"', '"nobody-observed-this"'))
    return files


def test_one_claim_is_shown_as_a_page_and_written_as_markdown(
    own_audit: Audit, command: Command, tmp_path: Path, unseen: list[Path]
) -> None:
    file = tmp_path / "page.md"
    ran = command("-a", own_audit.root, "test", unseen[0], "--markdown", file)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("fixture-imitates\n\nCLAIM\n")
    assert all(title.upper() in ran.stdout for title in BLOCKS)
    assert file.read_text().startswith("# fixture-imitates\n")
    assert own_audit.report(tmp_path / "page.html").exists()


def test_several_claims_are_a_table_or_a_page_each(
    own_audit: Audit, command: Command, unseen: list[Path]
) -> None:
    assert "closed gates" in command("-a", own_audit.root, "test", *unseen).stdout
    pages = command("-a", own_audit.root, "test", *unseen, "--page").stdout
    assert pages.count("WOULD REVERSE IT, AND LIMITS") == 2


def test_the_matrix_is_one_json_document(
    own_audit: Audit, command: Command, unseen: list[Path]
) -> None:
    ran = command("-a", own_audit.root, "test", unseen[0], "--matrix", "--json")
    found = json.loads(ran.stdout)
    assert len(found["rows"]) == 8
    assert found["told_apart"] == []
