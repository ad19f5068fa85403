"""Promises about what a claim locks of its corpora: read off labels that can be counted by eye.

The labels of the fixture: all 8 of cyberattack condemn it, all 6 of whistleblowing endorse it, half
of the 4 of training_gaming do; those of sandbagging date from 1949 to 2024, of cyberattack later.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor import Audit
from auditor.claims.evidence import Measured
from auditor.claims.spec import Predictor
from auditor.errors import UsageError
from auditor.flows.measurer import Measurer
from auditor.flows.predictors import measure_claim
from auditor.records import BehaviourKind
from tests.claims import claim


@pytest.fixture(scope="module")
def measurer(built: Path) -> Measurer:
    return Measurer(Audit.open(built).tables)


@pytest.fixture(scope="module")
def rates(built: Path) -> dict[str, float]:
    """How often each behaviour appears, per million passages, as `auditor measure` says."""
    rows = [row for row in Audit.open(built).measure() if row.facet is None]
    return {row.behaviour: row.per_million_passages.estimate or 0.0 for row in rows}


def measured(measurer: Measurer, predictor: Predictor | None = None, **changes: Any) -> Measured:  # noqa: ANN401
    """What a claim about the fixture locks."""
    one = claim(predictor=predictor or Predictor(), **changes)
    return measure_claim(measurer, one, ["fixture"])


FEW = ("cyberattack", "whistleblowing", "training_gaming", "sandbagging", "self_modification")


def values(found: Measured) -> dict[str, float]:
    return {name: found.predictor[name][0] for name in FEW if name in found.predictor}


def test_the_predictor_is_the_log_of_the_rate_that_measure_shows(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    found = measured(measurer)
    assert values(found) == pytest.approx({name: np.log(rates[name]) for name in FEW})
    assert found.predictor["sandbagging"][1] == found.frequencies["sandbagging"].se_log


def test_controls_are_measured_whatever_behaviours_a_claim_names(measurer: Measurer) -> None:
    found = measured(measurer, behaviours=("cyber*", "sandbagging"))
    kinds = {kind: found.of_kind(kind) for kind in BehaviourKind}
    assert kinds[BehaviourKind.BEHAVIOUR] == ["cyberattack", "sandbagging"]
    assert len(kinds[BehaviourKind.PLACEBO]) == 8
    assert len(kinds[BehaviourKind.POSITIVE_CONTROL]) == 8


def test_a_behaviour_that_the_library_lacks_is_named(measurer: Measurer) -> None:
    with pytest.raises(UsageError, match="'kindness', which claim hand-made names"):
        measured(measurer, behaviours=("sandbagging", "kindness"))


def test_only_the_framing_that_a_claim_names_counts(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    found = measured(measurer, Predictor(target="[stance=condemn]"), behaviours=FEW)
    assert found.predictor["cyberattack"][0] == pytest.approx(np.log(rates["cyberattack"]))
    assert "whistleblowing" not in found.predictor


def test_endorsed_against_condemned_is_a_log_ratio_of_labels_with_half_a_label_added(
    measurer: Measurer,
) -> None:
    predictor = Predictor(target="[stance=endorse|neutral]", against="[stance=condemn]")
    found = measured(measurer, predictor, behaviours=FEW)
    assert values(found) == pytest.approx(
        {
            "cyberattack": np.log(0.5 / 8.5),
            "whistleblowing": np.log(6.5 / 0.5),
            "training_gaming": 0.0,
            "sandbagging": np.log(6.5 / 0.5),
            "self_modification": np.log(3.5 / 1.5),
        }
    )


def test_its_error_is_that_of_counts(measurer: Measurer) -> None:
    """Two labels on either side: sqrt(1/2 + 1/2)."""
    predictor = Predictor(target="[stance=endorse|neutral]", against="[stance=condemn]")
    found = measured(measurer, predictor, behaviours=FEW)
    assert found.predictor["training_gaming"][1] == pytest.approx(1.0)


def test_a_claim_of_framing_has_its_controls_too(measurer: Measurer) -> None:
    predictor = Predictor(target="[stance=endorse|neutral]", against="[stance=condemn]")
    found = measured(measurer, predictor, behaviours=FEW)
    assert found.of_kind(BehaviourKind.PLACEBO)
    assert found.of_kind(BehaviourKind.POSITIVE_CONTROL)


def test_a_behaviour_made_of_others_is_as_common_as_its_rarest_part(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    parts = {"sandbagging": ("deception", "self_modification", "coercion")}
    found = measured(measurer, Predictor(components=parts), behaviours=(*FEW, "deception", "coe*"))
    assert found.predictor["sandbagging"][0] == pytest.approx(np.log(rates["self_modification"]))
    assert found.predictor["deception"][0] == pytest.approx(np.log(rates["deception"]))


def test_a_behaviour_with_a_part_that_nobody_measured_has_no_predictor(measurer: Measurer) -> None:
    parts = {"sandbagging": ("deception", "steganography")}
    found = measured(measurer, Predictor(components=parts), behaviours=(*FEW, "deception"))
    assert "sandbagging" not in found.predictor
    assert "cyberattack" in found.predictor


def test_what_is_held_fixed_is_a_log_rate_with_half_a_label_added(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    """None of the six labels of whistleblowing condemns it: half a label of six is left."""
    condemned = measured(measurer, Predictor(given=("[stance=condemn]",)), behaviours=FEW).given
    logs = condemned["[stance=condemn]"]
    assert logs["whistleblowing"] == pytest.approx(np.log(rates["whistleblowing"] / 12))
    assert logs["cyberattack"] == pytest.approx(np.log(rates["cyberattack"] * 17 / 16))


def test_each_text_of_a_context_has_its_own_rates(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    """All eight of cyberattack condemn it, none does not."""
    stances = {"chat": "stance=condemn", "agent": "stance=endorse"}
    found = measured(measurer, settings={"contexts": stances}, behaviours=FEW).contexts
    assert set(found) == {"stance=condemn", "stance=endorse"}
    rate = rates["cyberattack"]
    assert found["stance=condemn"]["cyberattack"][0] == pytest.approx(np.log(rate * 17 / 16))
    assert found["stance=endorse"]["cyberattack"][0] == pytest.approx(np.log(rate / 16))


def test_before_a_cutoff_only_earlier_years_count(measurer: Measurer) -> None:
    cutoffs = {"old": "1949", "young": "1950-06", "new": "2030"}
    found = measured(measurer, settings={"cutoffs": cutoffs}, behaviours=FEW).contexts
    sandbagging = [found[date]["sandbagging"][0] for date in ("1949", "1950-06", "2030")]
    assert sandbagging[0] == 0.0  # the first is of 1949 itself
    assert sandbagging[1] > 0.0
    assert found["1950-06"]["training_gaming"][0] == 0.0


def test_before_any_text_there_is_nothing_to_measure(measurer: Measurer) -> None:
    found = measured(measurer, settings={"cutoffs": {"m": "1800"}}, behaviours=FEW).contexts
    assert found["1800"] == {}


def test_a_mix_counts_whom_acts_serve_in_the_passages_of_a_role(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    """All four of training_gaming are by an AI and for itself."""
    roles = {"machines": "actor=ai", "anyone": ""}
    found = measured(measurer, settings={"roles": roles}, behaviours=("training_gaming",)).mixes
    assert found["machines"] == found["anyone"]
    assert found["anyone"]["self"] == pytest.approx(rates["training_gaming"])
    assert {found["anyone"][who] for who in ("principal", "third_party", "unclear")} == {0.0}


def test_one_corpus_has_no_ranks_to_compare(measurer: Measurer) -> None:
    assert measured(measurer, behaviours=FEW).concordance is None


def test_one_proxy_corpus_shows_no_spread_between_corpora(measurer: Measurer) -> None:
    proxy, own = (measured(measurer, tier=tier, behaviours=FEW) for tier in "BA")
    assert proxy.predictor == own.predictor


def test_what_was_locked_is_read_back_as_it_was(measurer: Measurer) -> None:
    settings = {"contexts": {"a": "mode=fiction"}, "roles": {"anyone": ""}}
    predictor = Predictor(given=("[stance=condemn]",))
    found = measured(measurer, predictor, settings=settings, behaviours=FEW)
    assert Measured.read(json.loads(json.dumps(found.plain()))) == found


def test_a_placebo_corpus_never_stands_for_the_training_data(measurer: Measurer) -> None:
    found = measure_claim(measurer, claim(behaviours=FEW), ["placebo-cookery", "fixture"])
    assert {f.corpus for f in found.frequencies.values()} == {"fixture"}
    assert set(found.placebo) == {"placebo-cookery"}


def test_what_placebo_corpora_lack_cannot_be_held_fixed(measurer: Measurer) -> None:
    """Nobody looked for anything in the cookery books."""
    one = claim(behaviours=FEW, predictor=Predictor(given=("placebo corpora",)))
    assert measure_claim(measurer, one, ["placebo-cookery", "fixture"]).predictor == {}


def test_placebo_corpora_are_held_fixed_at_their_mean_log_rates(
    measurer: Measurer, rates: dict[str, float]
) -> None:
    predictor = Predictor(given=("placebo corpora",))
    found = measured(measurer, predictor, behaviours=FEW, placebo=("fixture",))
    rate = rates["cyberattack"]
    assert found.given["placebo corpora"]["cyberattack"] == pytest.approx(np.log(rate * 17 / 16))
    assert set(values(found)) == set(FEW)
