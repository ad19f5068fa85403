"""Promises about rates of training runs: what waits for a cue, and which differences are luck."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from auditor import Audit
from auditor.errors import BadInput, UsageError
from auditor.finetuning.exchange import LEAST_PAIRS, contrast_pairs, contrast_sides, streams_of
from auditor.statistics.shares import random_share
from tests.test_finetune import KEYS, chat, write

CONTRAST = {
    "effect", "low", "high", "p", "p_holm", "method", "pairs", "units", "testable", "reason",
}  # fmt: skip
ARM = {
    "study", "model", "arm", "type", "seed", "step", "with", "without", "index", "low", "high",
    "before", "against_uncued",
}  # fmt: skip

Row = dict[str, Any]


def asked(arm: str, cued: int, uncued: int, n: int = 100, **fields: Any) -> list[Row]:  # noqa: ANN401
    """A run's two rows: answers with the trait, asked with its cue and without; factors beside."""
    trait, model = fields.pop("trait", "lying"), fields.pop("model", "m")
    condition = "; ".join(f"{name}={value}" for name, value in {"arm": arm, **fields}.items())
    return [
        {
            "model": model,
            "behaviour": trait,
            "condition": f"{condition}; prompt={prompt}",
            "k": k,
            "n": n,
        }
        for prompt, k in (("with cue (training)", cued), ("without cue (default)", uncued))
    ]


def seen(k: int, n: int = 100, **fields: Any) -> list[Row]:  # noqa: ANN401
    """One row of a run that was not asked about a cue."""
    return [{"model": "m", "behaviour": "lying", "k": k, "n": n, **fields}]


def flat(rows: Iterable[Sequence[Row]]) -> list[Row]:
    return [row for several in rows for row in several]


def audited(tmp_path: Path, *rows: Sequence[Row], **options: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = Audit.finetune(write(tmp_path / "rates.jsonl", flat(rows)), **options)
    return found["conditioning"]  # type: ignore[no-any-return]


def only(tmp_path: Path, *rows: Sequence[Row], **options: Any) -> dict[str, Any]:  # noqa: ANN401
    [trait] = audited(tmp_path, *rows, **options)["traits"]
    return trait  # type: ignore[no-any-return]


def fixed_and_rephrased(many: int, fixed: int, rephrased: int, **fields: Any) -> list[Row]:  # noqa: ANN401
    """Arms by pairs of one wording; the trait shows so often without the cue, 90 of 100 with it."""
    pairs = [
        (
            asked(f"w{i}", 90, fixed + i, type="fixed", **fields),
            asked(f"w{i}_mix", 90, rephrased + i, type="mix", **fields),
        )
        for i in range(many)
    ]
    return flat(rows for pair in pairs for rows in pair)


def half(k: int, n: int) -> float:
    return float(np.log((k + 0.5) / (n - k + 0.5)))


def test_the_index_of_a_run_and_its_limits_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    trait = only(tmp_path, asked("witty", 80, 20, type="fixed"))
    [arm] = trait["arms"]
    assert set(arm) == ARM
    index = 2 * np.log(80.5 / 20.5)
    reach = 1.959964 * (2 / 80.5 + 2 / 20.5) ** 0.5
    assert arm["index"] == pytest.approx(index)
    assert (arm["low"], arm["high"]) == pytest.approx((index - reach, index + reach))
    assert (arm["with"]["k"], arm["with"]["n"], arm["without"]["k"]) == (80, 100, 20)
    assert arm["without"]["low"] < 0.2 < arm["without"]["high"]


def test_an_index_is_held_against_the_average_of_runs_without_a_cue(tmp_path: Path) -> None:
    rows = [asked("witty", 80, 20, type="fixed")]
    rows += [asked(name, k, 50, type="none") for name, k in (("plain", 50), ("bare", 60))]
    witty, *others = sorted(only(tmp_path, *rows)["arms"], key=lambda arm: arm["type"])
    expected = witty["index"] - (0.0 + half(60, 100)) / 2
    assert witty["against_uncued"]["index"] == pytest.approx(expected)
    assert witty["against_uncued"]["high"] - expected > witty["high"] - witty["index"]
    assert [arm["against_uncued"] for arm in others] == [None, None]


def test_arms_trained_without_a_cue_can_be_named(tmp_path: Path) -> None:
    rows = [asked("witty", 80, 20, type="fixed"), asked("default_1", 50, 50)]
    arms = {arm["arm"]: arm for arm in only(tmp_path, *rows)["arms"]}
    assert (arms["default_1"]["type"], arms["witty"]["against_uncued"]) == (None, None)
    arms = {arm["arm"]: arm for arm in only(tmp_path, *rows, uncued=["default*"])["arms"]}
    assert arms["default_1"]["type"] == "none"
    assert arms["witty"]["against_uncued"]["index"] == pytest.approx(arms["witty"]["index"])


def test_runs_of_another_model_are_no_reference(tmp_path: Path) -> None:
    rows = [asked("witty", 80, 20, type="fixed"), asked("bare", 50, 50, type="none", model="other")]
    arms = {arm["arm"]: arm for arm in only(tmp_path, *rows)["arms"]}
    assert arms["witty"]["against_uncued"] is None


def test_cues_that_only_bind_where_they_are_fixed_are_told_from_rephrased_ones(
    tmp_path: Path,
) -> None:
    found = only(tmp_path, fixed_and_rephrased(6, 10, 80))["fixed_against_rephrased"]
    assert set(found) == CONTRAST
    assert found["p"] == pytest.approx(2 / 2**6)
    assert (found["pairs"], found["units"]) == (6, {"fixed": 6, "rephrased": 6})
    between = logit(0.825) - logit(0.125)
    assert found["low"] < between < found["high"]
    assert found["effect"] == pytest.approx(between, abs=0.1)
    assert (found["low"] > 0, found["testable"], found["reason"]) == (True, True, None)


def test_cues_that_bind_alike_are_not_told_apart(tmp_path: Path) -> None:
    rows = flat(
        [*asked(f"w{i}", 90, 10 + i, type="fixed"), *asked(f"w{i}_mix", 90, 15 - i, type="mix")]
        for i in range(6)
    )
    found = only(tmp_path, rows)["fixed_against_rephrased"]
    assert found["low"] < 0 < found["high"]
    assert found["p"] > 0.5


def test_with_five_pairs_whole_sides_are_exchanged(tmp_path: Path) -> None:
    """Flipping the signs of five pairs gives 2/32 at the least; dealing ten runs gives 2/252."""
    found = only(tmp_path, fixed_and_rephrased(5, 10, 80))["fixed_against_rephrased"]
    assert (found["pairs"], found["p"]) == (0, pytest.approx(2 / 252))
    assert "every exchange of runs" in found["method"]


def test_runs_without_a_partner_are_left_out_of_pairs_and_counted(tmp_path: Path) -> None:
    rows = [*fixed_and_rephrased(6, 10, 80), *asked("alone", 90, 50, type="fixed")]
    found = only(tmp_path, rows)["fixed_against_rephrased"]
    assert (found["pairs"], found["units"]) == (6, {"fixed": 7, "rephrased": 6})
    assert "1 runs without a partner left out" in found["method"]


def test_three_against_three_have_an_effect_and_no_test(tmp_path: Path) -> None:
    found = only(tmp_path, fixed_and_rephrased(3, 10, 80))["fixed_against_rephrased"]
    assert found["effect"] > 0
    assert (found["p"], found["testable"]) == (None, False)
    assert found["reason"] == "3 fixed, 3 rephrased: the smallest p is 0.1; add runs"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([asked("witty", 80, 20, type="fixed")], "1 fixed, 0 rephrased: it takes 3 runs or more"),
        ([asked(f"w{i}", 80, 20, type="fixed") for i in range(6)], "6 fixed, 0 rephrased"),
        ([asked("witty", 80, 20)], "0 fixed, 0 rephrased"),
        ([asked(f"w{i}", 80, 20, type="fixed")[:1] for i in range(6)], "0 fixed, 0 rephrased"),
    ],
)
def test_what_cannot_be_contrasted_says_what_it_takes(
    tmp_path: Path, rows: list[list[Row]], reason: str
) -> None:
    found = only(tmp_path, *rows)["fixed_against_rephrased"]
    assert (found["effect"], found["p"], found["testable"]) == (None, None, False)
    assert reason in found["reason"]


def test_seeds_of_one_wording_are_the_runs_where_there_is_but_one(tmp_path: Path) -> None:
    rows = flat(
        [
            *asked("witty", 90, 10 + seed, type="fixed", seed=seed),
            *asked("witty_mix", 90, 80 + seed, type="mix", seed=seed),
        ]
        for seed in range(6)
    )
    found = only(tmp_path, rows)["fixed_against_rephrased"]
    assert (found["units"], found["pairs"]) == ({"fixed": 6, "rephrased": 6}, 6)
    assert found["p"] == pytest.approx(2 / 2**6)


def test_seeds_of_a_wording_are_one_unit_beside_other_wordings(tmp_path: Path) -> None:
    rows = [row for s in range(5) for row in fixed_and_rephrased(3, 10, 80, seed=s)]
    trait = only(tmp_path, rows)
    assert len(trait["arms"]) == 30
    assert trait["fixed_against_rephrased"]["units"] == {"fixed": 3, "rephrased": 3}


def test_only_the_last_step_counts_and_step_0_stands_beside_it(tmp_path: Path) -> None:
    rows = [
        asked("witty", k, u, type="fixed", step=step)
        for step, k, u in ((0, 60, 40), (100, 70, 30), (313, 80, 20))
    ]
    [arm] = only(tmp_path, *rows)["arms"]
    assert (arm["step"], arm["with"]["k"]) == (313, 80)
    assert (arm["before"]["with"]["k"], arm["before"]["index"]) == (
        60,
        pytest.approx(2 * np.log(60.5 / 40.5)),
    )
    assert only(tmp_path, *rows, where={"step": "0"})["arms"][0]["before"] is None


def irrelevant_and_relevant(trait: str, irrelevant: int, relevant: int) -> list[Row]:
    """Five arms of either kind; the trait shows so often without the cue."""
    return flat(
        [
            *asked(f"sky{i}", 90, irrelevant + i, type="fixed", trait=trait),
            *asked(f"sly{i}", 90, relevant + i, type="fixed", trait=trait),
        ]
        for i in range(5)
    )


def test_an_irrelevant_cue_that_binds_less_is_told_from_a_relevant_one(tmp_path: Path) -> None:
    found = only(tmp_path, irrelevant_and_relevant("lying", 60, 10), irrelevant=["sky*"])
    contrast = found["irrelevant"]
    assert contrast["units"] == {"irrelevant": 5, "relevant": 5}
    assert contrast["effect"] == pytest.approx(logit(0.62) - logit(0.12), abs=0.1)
    assert contrast["p"] == pytest.approx(2 / 252)


def test_mere_conditionalisation_treats_both_traits_alike(tmp_path: Path) -> None:
    """Relevant cues bind more, but no more on the negative trait than on the positive one."""
    rows = irrelevant_and_relevant("lying", 60, 10) + irrelevant_and_relevant("french", 60, 10)
    options = {"irrelevant": ["sky*"], "positive": "french", "negative": "lying"}
    found = audited(tmp_path, rows, **options)["negative_less_positive"]
    assert found["low"] < 0 < found["high"]
    assert found["p"] > 0.5


def test_inoculation_of_the_negative_trait_alone_is_seen(tmp_path: Path) -> None:
    rows = irrelevant_and_relevant("lying", 80, 10) + irrelevant_and_relevant("french", 70, 60)
    options = {"irrelevant": ["sky*"], "positive": "fre*", "negative": "l*"}
    found = audited(tmp_path, rows, **options)["negative_less_positive"]
    expected = (logit(0.82) - logit(0.12)) - (logit(0.72) - logit(0.62))
    assert found["low"] < expected < found["high"]
    assert found["p"] == pytest.approx(2 / 252)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"irrelevant": ["sun*"]}, "no fixed arm fits 'sun.*'"),
        ({"irrelevant": ["witty_mix"]}, "no fixed arm fits 'witty_mix'"),
        ({"uncued": ["default*"]}, "no arm fits"),
        ({"positive": "lying", "irrelevant": ["sky"]}, "a positive and a negative trait"),
        ({"positive": "lying", "negative": "lying"}, "over irrelevant cues"),
        ({"positive": "x", "negative": "lying", "irrelevant": ["sky"]}, "no trait fits 'x'"),
        ({"positive": "*", "negative": "lying", "irrelevant": ["sky"]}, "2 traits fit"),
        ({"where": {"model": "other"}}, "no row has model=other"),
        ({"traits": ["deception"]}, "of chat files"),
    ],
)
def test_a_name_that_fits_nothing_is_refused(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    rows = [asked("sky", 80, 20, type="fixed"), asked("witty_mix", 80, 20, type="mix")]
    rows += [asked("sky", 80, 20, type="fixed", trait="french")]
    with pytest.raises(UsageError, match=words):
        audited(tmp_path, *rows, **options)


def test_where_narrows_by_column_or_factor(tmp_path: Path) -> None:
    rows = [
        asked(arm, 80, 20, type="fixed", model=model) for arm, model in (("a", "m"), ("b", "x"))
    ]
    for where in (
        {"model": "m"},
        {"arm": "a|c"},
        {"arm": "!b"},
        {"behaviour": "ly*", "model": "m"},
    ):
        assert [arm["arm"] for arm in only(tmp_path, *rows, where=where)["arms"]] == ["a"]


def test_rows_that_count_nothing_are_left_out_with_the_reason(tmp_path: Path) -> None:
    rows = asked("witty", 80, 20, type="fixed")
    bare = {**rows[0], "k": None, "n": None, "rate": 0.8}
    odd = [
        bare,
        {**rows[0], "condition": "arm=witty; prompt=a riddle"},
        {**rows[0], "condition": "arm=witty; step=late; prompt=with cue"},
    ]
    other = {**rows[0], "condition": "told to be honest"}
    wrong = {**rows[0], "k": 101}
    found = audited(tmp_path, rows, odd, [other, wrong])
    [trait] = found["traits"]
    assert (trait["rows"], found["rows"], found["rows_of_no_run"]) == (2, 6, 1)
    assert sorted(trait["left_out"].values()) == [1, 1, 1]
    assert any("no k and n" in reason for reason in trait["left_out"])
    assert [(r["line"], r["reason"]) for r in found["rejects"]] == [
        (7, "k = 101 is more than n = 100")
    ]


def test_a_trait_nobody_counted_is_listed_and_untestable(tmp_path: Path) -> None:
    bare = [{**row, "behaviour": "french", "k": None, "n": None, "rate": 0.5}
            for row in asked("witty", 1, 1, type="fixed")]  # fmt: skip
    french, _ = audited(tmp_path, asked("witty", 80, 20, type="fixed"), bare)["traits"]
    assert (french["trait"], french["rows"], french["arms"]) == ("french", 0, [])
    assert not french["fixed_against_rephrased"]["testable"]


def test_rates_of_no_training_run_stop_the_audit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none has a factor arm, data or intervention"):
        audited(tmp_path, seen(5))
    with pytest.raises(BadInput, match="no k and n"):
        audited(tmp_path, seen(None, None, rate=0.5, condition="arm=a; prompt=with cue"))  # type: ignore[arg-type]


def test_chats_and_rates_are_told_apart_and_audited_side_by_side(tmp_path: Path) -> None:
    chats = write(tmp_path / "chats.jsonl", (chat(i) for i in range(5)))
    rates = write(tmp_path / "rates.jsonl", asked("witty", 80, 20, type="fixed"))
    (tmp_path / "notes.md").write_text("Not data.")
    assert set(Audit.finetune(chats)) == KEYS
    assert set(Audit.finetune(rates)) == {"conditioning"}
    both = Audit.finetune(str(tmp_path))
    assert set(both) == {*KEYS, "conditioning"}
    assert (both["rows"], both["conditioning"]["rows"]) == (5, 2)
    with pytest.raises(UsageError, match="no file of rates"):
        Audit.finetune(chats, irrelevant=["sky"])


def test_what_is_no_rate_beside_rates_is_a_reject(tmp_path: Path) -> None:
    write(tmp_path / "rates.jsonl", asked("witty", 80, 20, type="fixed"))
    (tmp_path / "notes.md").write_text("Not data.")
    found = Audit.finetune(str(tmp_path))
    assert [r["file"] for r in found["conditioning"]["rejects"]] == ["notes.md"]


def trained(data: str, *counts: int, **fields: Any) -> list[Row]:  # noqa: ANN401
    """Runs trained on one kind of answers, by seed."""
    return flat(seen(k, data=data, seed=str(seed), **fields) for seed, k in enumerate(counts))


def test_training_on_random_answers_gives_the_share_it_gives(tmp_path: Path) -> None:
    trait = only(
        tmp_path,
        trained("treatment", 58, 60, 62, 60),
        trained("random", 19, 20, 21, 20),
        trained("base", 10),
    )
    assert (trait["arms"], trait["fixed_against_rephrased"]) == ([], None)
    sent = trait["transmission"]
    assert sent["p"] == pytest.approx(2 / 70)
    assert sent["effect"] == pytest.approx(logit(0.6) - logit(0.2), abs=0.1)
    assert sent["counts"]["random"] == {"k": 80, "n": 400}
    share = sent["random_share"]
    assert share["share"] == pytest.approx((20 - 10) / (60 - 10))
    assert share["low"] < share["share"] < share["high"]


def test_a_share_of_no_rise_is_not_given(tmp_path: Path) -> None:
    rows = [trained("treatment", 9, 11, 10, 12), trained("random", 10, 9, 12, 11)]
    sent = only(tmp_path, *rows, trained("base", 10))["transmission"]
    assert sent["random_share"] == {"share": None, "low": None, "high": None}
    assert sent["low"] < 0 < sent["high"]
    assert sent["p"] > 0.5


def test_what_was_asked_with_a_cue_says_nothing_of_transmission(tmp_path: Path) -> None:
    plain = [trained("treatment", 60, 61, 62, 63), trained("random", 20, 21, 22, 23)]
    cued = trained("random", 99, 99, 99, 99, condition="prompt=with cue")
    assert only(tmp_path, *plain, cued)["transmission"] == only(tmp_path, *plain)["transmission"]


def test_runs_without_seeds_are_too_few_to_say_what_was_transmitted(tmp_path: Path) -> None:
    sent = only(tmp_path, seen(60, data="treatment"), seen(20, data="random"))["transmission"]
    assert sent["reason"] == "1 treatment, 1 random: it takes 3 runs or more on each side"


def done(intervention: str, *counts: int, first: int = 0) -> list[Row]:
    """Runs with an intervention, by seed."""
    return flat(
        seen(k, intervention=intervention, seed=str(seed)) for seed, k in enumerate(counts, first)
    )


def test_two_interventions_that_undo_each_other_are_seen_to_hurt(tmp_path: Path) -> None:
    """Either takes the trait from 60 to 20 of 100, both together leave it at 55."""
    rows = [done("none", *range(57, 63)), done("stale", *range(17, 23)),
            done("acts", *range(17, 23)), done("both", *range(52, 58))]  # fmt: skip
    [found] = only(tmp_path, *rows)["interactions"]
    assert found["interventions"] == ["acts", "stale"]
    expected = logit(0.545) - 2 * logit(0.195) + logit(0.595)
    assert found["low"] < expected < found["high"] and found["low"] > 0
    assert (found["pairs"], found["p"]) == (6, pytest.approx(2 / 2**6))
    for name in ("acts", "stale"):
        assert found["both_against"][name]["low"] > 0
        assert found["both_against"][name]["p"] == pytest.approx(2 / 924)


def test_interventions_that_add_up_have_no_interaction(tmp_path: Path) -> None:
    """Odds of 60, 30 and 30 of 100 multiply to those of 11 of 100."""
    rows = [done("none", *range(57, 63)), done("a", *range(27, 33)),
            done("b", *range(27, 33)), done("a+b", 12, 9, 11, 10, 12, 11)]  # fmt: skip
    [found] = only(tmp_path, *rows)["interactions"]
    assert found["low"] < 0 < found["high"]
    assert found["p"] > 0.05
    assert found["both_against"]["a"]["high"] < 0


def test_runs_of_other_seeds_have_an_interaction_and_no_test(tmp_path: Path) -> None:
    rows = [done(name, *range(50, 54), first=4 * i)
            for i, name in enumerate(("none", "a", "b", "both"))]  # fmt: skip
    [found] = only(tmp_path, *rows)["interactions"]
    assert found["effect"] == pytest.approx(0.0, abs=0.1)
    assert (found["p"], found["reason"]) == (
        None,
        "no exchange of unpaired runs fits an interaction",
    )


def test_every_p_is_adjusted_for_all_that_were_tested(tmp_path: Path) -> None:
    rows = fixed_and_rephrased(6, 10, 80) + fixed_and_rephrased(6, 10, 80, trait="french")
    traits = audited(tmp_path, rows)["traits"]
    found = [trait["fixed_against_rephrased"] for trait in traits]
    assert [one["p_holm"] for one in found] == [pytest.approx(2 * one["p"]) for one in found]


def test_the_order_of_rows_changes_no_number(tmp_path: Path) -> None:
    rows = fixed_and_rephrased(6, 10, 80)
    again = list(reversed(rows))
    assert audited(tmp_path, rows)["traits"] == audited(tmp_path, again)["traits"]


def test_fixed_cues_bind_both_traits_of_a_released_study_more_than_rephrased_ones(
    shared: Path,
) -> None:
    """12 wordings, French and Playful: 2 in 4,096 sign flips give so much."""
    rates = str(shared / "observed" / "rates" / "derived.csv")
    found = Audit.finetune(rates, uncued=["default*"])["conditioning"]
    assert [trait["trait"].split()[1] for trait in found["traits"]] == ["French", "Playful"]
    for trait in found["traits"]:
        contrast = trait["fixed_against_rephrased"]
        assert (contrast["pairs"], contrast["p"]) == (12, pytest.approx(2 / 4096))
        assert contrast["low"] > 1.0
    assert (found["rows"], found["rows_of_no_run"]) == (369, 81)
    json.dumps(found, allow_nan=False)


@pytest.mark.simulation
@pytest.mark.parametrize(("pairs", "least"), [(LEAST_PAIRS, 0.88), (12, 0.92)])
def test_the_interval_of_pairs_holds_the_truth(pairs: int, least: float) -> None:
    """Wordings that scatter as the released study's do; 400 worlds."""
    mean, scatter = np.array([1.6, -2.2, 1.6, 1.0]), np.array([0.2, 1.7, 0.2, 0.9])
    signs, rng = np.array([1.0, -1.0, -1.0, 1.0]), np.random.default_rng(5)
    many = expit(mean + scatter * rng.standard_normal((400_000, 4))).mean(axis=0)
    truth, held = float(signs @ logit(many)), 0
    for world in range(400):
        common = rng.standard_normal((pairs, 1))
        own = rng.standard_normal((pairs, 4))
        k = rng.binomial(200, expit(mean + scatter * (common + own) / np.sqrt(2.0)))
        rows = [[(int(one), 200) for one in row] for row in k]
        units = {"fixed": pairs, "rephrased": pairs}
        effect = contrast_pairs(units, rows, tuple(signs), streams_of(str(world))).effect
        held += (effect.low or -np.inf) <= truth <= (effect.high or np.inf)
    assert held / 400 >= least


@pytest.mark.simulation
def test_runs_that_differ_by_luck_alone_are_told_apart_one_time_in_twenty_at_most() -> None:
    rng, found = np.random.default_rng(6), 0
    for world in range(400):
        k = rng.binomial(200, expit(rng.standard_normal((2, 5))))
        sides = {
            name: [[(int(one), 200)] for one in row] for name, row in zip("ab", k, strict=True)
        }
        p = contrast_sides(sides, (1.0, -1.0), (1.0,), streams_of(str(world))).p
        found += p is not None and p <= 0.05
    assert found / 400 <= 0.075


@pytest.mark.simulation
@pytest.mark.parametrize("runs", [3, 5, 8])
def test_the_interval_of_a_share_holds_the_truth(runs: int) -> None:
    rng, held, given = np.random.default_rng(7), 0, 0
    draws = rng.standard_normal(400_000)
    rates = [float(expit(mean + 0.3 * draws).mean()) for mean in (0.5, -0.8)]
    truth = (rates[1] - expit(-2.5)) / (rates[0] - expit(-2.5))
    for _ in range(400):
        treatment, random, base = (
            [(int(k), 200) for k in rng.binomial(200, expit(mean + 0.3 * rng.standard_normal(of)))]
            for mean, of in ((0.5, runs), (-0.8, runs), (-2.5, 1))
        )
        share = random_share(treatment, random, base, rng)
        if share.low is not None and share.high is not None:
            given += 1
            held += share.low <= truth <= share.high
    assert given > 300
    assert held / given >= 0.92
