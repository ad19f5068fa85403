"""Promises about claim files: what ships is readable, and a bad one names its file and field."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.claims.spec import LIBRARY, Claim, choose_claims, read_claim, read_claims
from auditor.errors import BadInput, UsageError
from tests.planted import FIXTURE

GOOD = """
id = "mine"
statement = "Tenfold frequency doubles the odds"
strength = "H1"
beta_min = 0.3
alpha = 0.05
seed = 7
behaviours = ["deception", "coercion"]

[corpora]
names = ["books"]
tier = "A"

[scatter]
behaviour = 0.7
model = 0.3
prompt = 0.5

[judge]
sensitivity = 0.9
specificity = 0.95

[design]
models = 4
conditions = 1
prompts = 10
draws = 10
mean_rate = 0.15

[[rivals]]
id = "R-CAP"
covariate = "difficulty"
"""


def written(folder: Path, old: str = "", new: str = "") -> Path:
    """The good claim with one piece of it replaced, as a file."""
    assert old in GOOD
    path = folder / "mine.toml"
    path.write_text(GOOD.replace(old, new) if old else GOOD)
    return path


def refusal(folder: Path, old: str, new: str) -> str:
    """What is said of the good claim with one piece of it replaced."""
    with pytest.raises(BadInput) as raised:
        read_claim(written(folder, old, new))
    return raised.value.message


def test_a_claim_is_read_as_it_was_written(tmp_path: Path) -> None:
    claim = read_claim(written(tmp_path))
    assert (claim.id, claim.beta_min, claim.tier, claim.seed) == ("mine", 0.3, "A", 7)
    assert claim.behaviours == ("deception", "coercion")
    assert (claim.scatter.behaviour, claim.scatter.model, claim.scatter.prompt) == (0.7, 0.3, 0.5)
    assert (claim.judge.sensitivity, claim.judge.specificity) == (0.9, 0.95)
    assert [(rival.id, rival.covariate) for rival in claim.rivals] == [("R-CAP", "difficulty")]


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.toml")), ids=lambda path: path.stem)
def test_every_bundled_claim_commits_to_a_slope_and_is_named_as_its_file(path: Path) -> None:
    claim = read_claim(path)
    assert claim.id == path.stem
    assert claim.beta_min > 0
    assert claim.rivals


def test_the_library_holds_frequency_and_same_proportion() -> None:
    claims = read_claims()
    assert claims["frequency"].beta_min == 0.30
    assert claims["proportion"].beta_min == 1.0


def test_the_fixture_claims_are_claims() -> None:
    claims = [read_claim(path) for path in sorted((FIXTURE / "claims").glob("*.toml"))]
    assert [claim.id for claim in claims] == ["fixture-imitates", "fixture-unrelated"]


def test_no_name_chooses_every_bundled_claim() -> None:
    assert [claim.id for claim in choose_claims([])] == list(read_claims())


def test_a_claim_is_chosen_by_name_or_by_file(tmp_path: Path) -> None:
    chosen = choose_claims(["proportion", str(written(tmp_path))])
    assert [claim.id for claim in chosen] == ["proportion", "mine"]


def test_an_unknown_claim_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError) as raised:
        choose_claims(["no-such-claim"])
    assert "no-such-claim" in raised.value.message
    assert "frequency" in raised.value.hint


@pytest.mark.parametrize(
    "line",
    [
        'id = "mine"',
        'statement = "Tenfold frequency doubles the odds"',
        'strength = "H1"',
        "beta_min = 0.3",
        "seed = 7",
        "prompt = 0.5",
        "draws = 10",
        'covariate = "difficulty"',
    ],
)
def test_a_missing_field_is_named_with_its_file(tmp_path: Path, line: str) -> None:
    said = refusal(tmp_path, line, "")
    assert "mine.toml" in said
    assert repr(line.split(" =")[0]) in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('tier = "A"', 'tier = "D"', "tier is 'D'"),
        ("alpha = 0.05", "alpha = 0.5", "alpha is 0.5"),
        ("alpha = 0.05", "alpha = 0", "alpha is 0"),
        ("alpha = 0.05", 'alpha = "small"', "alpha is 'small'"),
        ("alpha = 0.05", "alpha = nan", "alpha is nan"),
        ("beta_min = 0.3", 'beta_min = "steep"', "beta_min is 'steep'"),
        ("beta_min = 0.3", "beta_min = inf", "beta_min is inf"),
        ("seed = 7", "seed = -7", "seed is -7"),
        ("seed = 7", "seed = 7.5", "seed is 7.5"),
        ("sensitivity = 0.9", "sensitivity = 90", "sensitivity is 90"),
        ("specificity = 0.95", "specificity = 0", "specificity is 0"),
        ("specificity = 0.95", 'specificity = "high"', "specificity is 'high'"),
        ("behaviour = 0.7", "behaviour = -0.7", "scatter"),
        ("behaviour = 0.7", 'behaviour = "wide"', "behaviour is 'wide'"),
        ("prompts = 10", 'prompts = "ten"', "prompts is 'ten'"),
        ("prompts = 10", "prompts = 0", "prompts is 0"),
        ("mean_rate = 0.15", "mean_rate = 15", "mean_rate is 15"),
        ('behaviours = ["deception", "coercion"]', 'behaviours = "deception"', "behaviours is"),
        ('names = ["books"]', 'names = "books"', "names is 'books'"),
        ('[corpora]\nnames = ["books"]\ntier = "A"', 'corpora = "books"', "corpora is 'books'"),
    ],
)
def test_a_bad_value_is_named_with_its_file_and_field(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    said = refusal(tmp_path, old, new)
    assert "mine.toml" in said
    assert words in said


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    table = "[scatter]\nbehaviour = 0.7\nmodel = 0.3\nprompt = 0.5\n"
    assert "'scatter'" in refusal(tmp_path, table, "")


def test_a_judge_nobody_measured_is_unknown_rather_than_perfect(tmp_path: Path) -> None:
    judge = "[judge]\nsensitivity = 0.9\nspecificity = 0.95\n"
    assert not read_claim(written(tmp_path, judge, "")).judge.known
    assert not read_claim(written(tmp_path, "specificity = 0.95\n", "")).judge.known
    assert read_claim(written(tmp_path)).judge.known


def test_a_corpus_nobody_vouches_for_is_of_unknown_tier(tmp_path: Path) -> None:
    assert read_claim(written(tmp_path, 'tier = "A"', "")).tier == "C"


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    assert "mine.toml" in refusal(tmp_path, 'id = "mine"', "id = mine")


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.toml"):
        read_claim(tmp_path / "absent.toml")


def test_a_comment_does_not_make_another_claim_but_a_number_does(tmp_path: Path) -> None:
    first = read_claim(written(tmp_path))
    commented = read_claim(written(tmp_path, "seed = 7", "# the day of the week\nseed = 7"))
    stronger = read_claim(written(tmp_path, "beta_min = 0.3", "beta_min = 0.31"))
    assert commented.digest == first.digest
    assert stronger.digest != first.digest


@given(alpha=st.floats(min_value=1e-6, max_value=0.05))
def test_any_level_up_to_one_in_twenty_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, alpha: float
) -> None:
    folder = tmp_path_factory.mktemp("claims", numbered=True)
    claim: Claim = read_claim(written(folder, "alpha = 0.05", f"alpha = {alpha!r}"))
    assert claim.alpha == alpha


@pytest.mark.parametrize("misspelt", ["alpah = 0.01\n", "[controls]\nbeta = 0.3\n"])
def test_a_misspelt_field_is_named_and_no_default_takes_its_place(
    tmp_path: Path, misspelt: str
) -> None:
    text = (LIBRARY / "frequency.toml").read_text()
    path = tmp_path / "claim.toml"
    path.write_text(misspelt + text if "alpah" in misspelt else text + "\n" + misspelt)
    with pytest.raises(BadInput, match=r"no field is called '(alpah|beta)'"):
        read_claim(path)
