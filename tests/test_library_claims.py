"""Promises about the bundled claims: every dispute has one, and none speaks without data."""

from dataclasses import replace
from pathlib import Path

import pytest

from auditor import Audit
from auditor.behaviours.spec import read_library
from auditor.claims.decide import assess, conclude
from auditor.claims.evidence import Frequency, Measured
from auditor.claims.questions.registry import QUESTIONS
from auditor.claims.reading import LIBRARY, read_claim, read_claims
from auditor.claims.spec import TESTS
from auditor.prevalence.targets import parse_target
from auditor.records import BehaviourKind, ClaimResult, Verdict
from auditor.statistics.judge import PERFECT, Judge
from auditor.store.catalogue import Catalogue
from tests.claims import decided, observation

PATHS = sorted(LIBRARY.glob("*.toml"))

DISPUTES = {
    "frequency": ("frequency", "proportion", "procedural"),
    "same proportion": ("same-proportion",),
    "framing (condemned paperclips)": ("framing", "mention"),
    "enacted only": ("enacted",),
    "context match": ("context",),
    "exception of one model": ("exception", "exception-refusal", "post-training-free"),
    "object swap (net worth against paperclips)": ("object-swap",),
    "beneficiary (company over society)": ("beneficiary",),
    "spontaneous or elicited": ("spontaneous", "elicited"),
    "conditionalisation by a cue": ("conditional", "rephrased-cue"),
    "in- or out-of-distribution trait": ("distribution",),
    "random-answer control": ("random-answers",),
    "combination of two interventions": ("combination",),
    "optimisation pressure": ("pressure",),
    "time split": ("time-split",),
    "corpus intervention (dose and sign)": ("corpus-intervention",),
    "verbatim copying": ("verbatim",),
    "positive control": ("positive-control",),
    "vacuity": ("vacuity",),
    "alignment changed chat more than agents": ("tuning",),
    "it was in there somewhere": ("existential",),
}
"""What the bundled claims must cover, and the claims that do."""


def assessed(path: Path, rows: list[dict[str, object]]) -> ClaimResult:
    """The result of a bundled claim on nothing measured and these rows."""
    [result] = conclude([assess(read_claim(path), Measured({}), rows, False, "ab" * 32, 19)])
    return result


@pytest.mark.parametrize("dispute", DISPUTES)
def test_every_dispute_has_a_bundled_claim(dispute: str) -> None:
    assert set(DISPUTES[dispute]) <= set(read_claims())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_bundled_claim_is_named_as_its_file_and_names_its_rivals(path: Path) -> None:
    claim = read_claim(path)
    assert claim.id == path.stem
    assert claim.rivals
    assert claim.statement[0].isupper()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_without_a_row_a_bundled_claim_is_untestable_and_says_what_to_add(path: Path) -> None:
    result = assessed(path, [])
    assert result.verdict is Verdict.UNTESTABLE
    assert len(result.next_observation) > 40


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "unlike", [observation(3, 20), observation(None, None), observation(1, 1, prompt=None)]
)
def test_rows_that_say_nothing_of_it_leave_a_bundled_claim_untestable(
    path: Path, unlike: dict[str, object]
) -> None:
    assert assessed(path, [unlike]).verdict is Verdict.UNTESTABLE


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_predictors_of_a_bundled_claim_are_of_this_library(path: Path) -> None:
    predictor = read_claim(path).predictor
    for target in (predictor.target, predictor.against):
        parse_target(target)
    library = read_library()
    assert set(predictor.components) <= set(library)
    assert {part for parts in predictor.components.values() for part in parts} <= set(library)


def test_every_test_has_a_question() -> None:
    assert set(QUESTIONS) <= set(TESTS)
    assert {claim.test for claim in read_claims().values()} <= set(QUESTIONS)


def test_claims_of_framing_share_their_alpha() -> None:
    claims = read_claims()
    family = {"framing", "mention", "enacted"}
    assert set(claims["framing"].family) == set(claims["mention"].family) == family


def test_only_exact_rules_are_judged_without_error() -> None:
    perfect = {name for name, claim in read_claims().items() if claim.judge == PERFECT}
    assert perfect <= {"positive-control"}


def test_a_claim_that_fits_anything_says_so() -> None:
    result = assessed(LIBRARY / "post-training-free.toml", [observation(3, 20)])
    assert result.details["phi"] == 0.0
    assert "forbids nothing" in " ".join(gate.value for gate in result.gates)


@pytest.mark.parametrize("name", ["exception", "exception-refusal", "context", "time-split"])
def test_a_claim_that_must_be_completed_says_how(name: str) -> None:
    result = assessed(LIBRARY / f"{name}.toml", [])
    assert "in a copy of the claim" in result.next_observation


def somewhere(estimates: dict[str, tuple[float, float]]) -> Measured:
    """Frequencies per million passages: name to estimate and upper limit."""
    return Measured(
        {
            name: Frequency(
                name, BehaviourKind.BEHAVIOUR, rate, 0.0, high, 0.3, "fay_feuer", 900, 9, "books"
            )
            for name, (rate, high) in estimates.items()
        }
    )


def test_what_was_shown_and_is_nowhere_in_the_text_is_named_and_still_no_verdict() -> None:
    measured = somewhere({"deception": (90.0, 140.0), "coercion": (4.0, 9.0), "flattery": (0, 0.5)})
    rows = [
        observation(k, 100, behaviour=name)
        for name, k in (("deception", 40), ("coercion", 30), ("flattery", 20))
    ]
    claim = replace(read_claims()["existential"], judge=Judge(0.95, 0.98))
    result = decided(claim, rows, measured)
    assert result.verdict is Verdict.UNTESTABLE
    assert result.details["shown"] == ["coercion", "deception", "flattery"]
    assert result.details["shown and in the corpus"] == ["coercion", "deception"]
    assert result.details["shown though scarce"] == ["coercion", "flattery"]
    assert result.details["shown though absent"] == ["flattery"]


def test_that_it_was_in_there_somewhere_forbids_nothing_where_everything_was() -> None:
    measured = somewhere({"deception": (90.0, 140.0), "coercion": (0.0, 900.0)})
    rows = [observation(k, 100, behaviour=b) for b, k in (("deception", 40), ("coercion", 1))]
    claim = replace(read_claims()["existential"], judge=Judge(0.95, 0.98))
    result = decided(claim, rows, measured)
    assert result.details["phi"] == 0.0
    assert result.details["shown"] == ["deception"]


def test_an_audit_without_rows_for_them_answers_claims_of_contrasts(audit: Audit) -> None:
    """The fixture's rows are of behaviours alone: nothing in them has arms, rungs or stages."""
    claims = read_claims()
    names = [n for n, one in claims.items() if one.contrast or one.test == "elicitation"]
    measured = Measured({})
    rows = Catalogue(audit.tables).rows("SELECT * FROM observations")
    for name in (*names, "corpus-intervention", "post-training-free"):
        result = decided(claims[name], rows, measured, worlds=19)
        assert result.verdict is Verdict.UNTESTABLE
        assert "observe" in result.next_observation or result.test == "saturated"
