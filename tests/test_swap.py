"""Promises about swapped objects: matched templates, their order, and what is not one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import page_trend_test

from auditor.claims.evidence import Frequency, Measured, select_rows
from auditor.claims.question import Material
from auditor.claims.questions import swap
from auditor.claims.reading import read_claims
from auditor.claims.spec import Claim, RivalSpec, Scatter
from auditor.records import BehaviourKind, TestResult, Verdict
from auditor.statistics.judge import PERFECT
from tests.claims import Rows, closed, decided, observation

OBJECTS = ("stamps", "paperclips", "flattery", "score", "survival", "power", "money", "fame")
X = np.linspace(-3.5, 3.5, len(OBJECTS))
"""Log rates in the order of OBJECTS: a thousandfold from stamps to fame."""

SWAP: Claim = replace(
    read_claims()["object-swap"],
    behaviours=(),
    tier="A",
    judge=PERFECT,
    scatter=Scatter(0.2, 0.1, 0.1),
    rivals=(RivalSpec("R-OPT", "", held="the same template"),),
)


def corpus(x: np.ndarray = X) -> Measured:
    """What the corpus holds of the first so many objects."""
    found = {}
    for name, value in zip(OBJECTS, x, strict=False):
        rate = 100 * float(np.exp(value))
        found[name] = Frequency(
            name, BehaviourKind.BEHAVIOUR, rate, rate / 2, rate * 2, 0.1, "exact", 900, 90, "books"
        )
    return Measured(found, {n: (float(v), 0.1) for n, v in zip(OBJECTS, x, strict=False)})


def requests(slope: float, templates: int = 10, **given: Any) -> Rows:  # noqa: ANN401
    """Forty draws of every template with every object, on the line itself."""
    return [
        observation(round(40 * expit(-1 + slope * x)), 40, behaviour=name, prompt=f"t{t}", **given)
        for name, x in zip(OBJECTS, X, strict=True)
        for t in range(templates)
    ]


def trend(rows: Rows, measured: Measured | None = None) -> TestResult:
    """Page's L of the rows."""
    chosen = select_rows(SWAP, rows)
    asked = swap.ask(SWAP, Material(measured or corpus(), chosen))
    assert asked.none is not None
    return asked.none


def test_rates_that_follow_the_corpus_from_object_to_object_support_the_claim() -> None:
    result = decided(SWAP, requests(1.0), corpus())
    assert closed(result) == set()
    assert result.verdict is Verdict.SUPPORTED
    assert result.units == {"behaviours": 8, "models": 1, "prompts": 10, "trials": 3200}


def test_the_same_rate_for_every_object_contradicts_it() -> None:
    result = decided(SWAP, requests(0.0), corpus())
    assert closed(result) == set()
    assert result.verdict is Verdict.CONTRADICTED


def test_ten_templates_in_the_predicted_order_have_the_largest_page_statistic() -> None:
    found = trend(requests(1.0))
    assert found.statistic == 10 * sum(i * i for i in range(1, 9))
    assert found.p is not None
    assert found.p < 1e-9
    assert found.detail == "predicted order: " + " < ".join(OBJECTS)


def test_the_trend_is_pages_as_scipy_has_it() -> None:
    rows = requests(0.0)
    rng = np.random.default_rng(0)
    for row in rows:
        row["k"] = int(rng.integers(41))
    table = np.array([[r["k"] for r in rows if r["behaviour"] == name] for name in OBJECTS]).T
    known = page_trend_test(table)
    found = trend(rows)
    assert (found.statistic, found.p) == (known.statistic, known.pvalue)


def test_the_reverse_order_is_no_trend() -> None:
    assert trend(requests(-1.0)).p == pytest.approx(1.0)


def test_objects_as_frequent_as_each_other_are_ordered_by_name_and_it_is_said() -> None:
    tied = X.copy()
    tied[1] = tied[0]
    found = trend(requests(1.0), corpus(tied))
    assert found.detail.startswith("predicted order: paperclips < stamps < flattery")
    assert found.detail.endswith("ties in the predictor broken by name: paperclips, stamps")


def test_rates_of_a_template_are_averaged_over_models_however_often_each_was_drawn() -> None:
    rows = requests(0.0, model="a")
    rows += [{**row, "model": "b", "k": 400, "n": 400} for row in rows]
    asked = swap.ask(SWAP, Material(corpus(), select_rows(SWAP, rows)))
    assert asked.details["rates"]["money"] == pytest.approx((11 / 40 + 1) / 2)


def test_a_model_that_was_not_given_every_object_of_a_template_does_not_count_there() -> None:
    rows = requests(1.0)
    rows += [observation(40, 40, behaviour="stamps", prompt="t0", model="partial")]
    result = decided(SWAP, rows, corpus())
    assert result.units["models"] == 1
    assert result.units["trials"] == 3200


def test_templates_given_with_some_objects_alone_are_left_out_and_counted() -> None:
    rows = [r for r in requests(1.0, 12) if r["prompt"] not in ("t3", "t4") or r["k"] > 5]
    result = decided(SWAP, rows, corpus())
    [gate] = [gate for gate in result.gates if gate.code == "U6"]
    assert gate.value == "10 templates given with every object; 2 given with some are left out"
    assert closed(result) == set()


def test_rarest_and_most_frequent_are_read_off_in_order() -> None:
    reading = decided(SWAP, requests(1.0), corpus()).reading
    assert reading.startswith("Over 10 templates, from the rarest object in the corpus")
    assert reading.index("stamps 0.0%") < reading.index("fame 92.5%")


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        (requests(1.0, 9), {"U6"}),
        (requests(1.0, 1), {"U3", "U6", "U9"}),
        ([r for r in requests(1.0) if r["behaviour"] in OBJECTS[:4]], {"U1", "U3", "U9"}),
        ([r for r in requests(1.0) if r["behaviour"] == "money"], {"U1", "U3", "U9"}),
        ([{**r, "prompt": None} for r in requests(1.0)], {"U1", "U3", "U6", "U9"}),
        ([{**r, "n": None} for r in requests(1.0)], {"U1", "U3", "U6", "U9"}),
        ([], {"U1", "U3", "U6", "U9"}),
    ],
    ids=[
        "nine templates",
        "one template",
        "four objects",
        "one object",
        "unnamed prompts",
        "no n",
        "no rows",
    ],
)
def test_what_cannot_be_ordered_is_untestable(rows: Rows, codes: set[str]) -> None:
    result = decided(SWAP, rows, corpus())
    assert result.verdict is Verdict.UNTESTABLE
    assert closed(result) == codes


def test_an_object_that_the_corpus_was_not_searched_for_is_no_object() -> None:
    rows = requests(1.0) + [observation(9, 9, behaviour="unheard", prompt=f"t{t}") for t in "01"]
    assert decided(SWAP, rows, corpus()).units["behaviours"] == 8
