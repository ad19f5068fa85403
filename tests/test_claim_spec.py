"""Promises about claim files: what ships is readable, and a bad one names its file and line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.claims.questions.registry import QUESTIONS
from auditor.claims.reading import LIBRARY, choose_claims, read_claim, read_claims
from auditor.claims.spec import Claim, Part
from auditor.errors import BadInput, UsageError
from auditor.statistics.claimed import AtLeast, Within
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

CONTRAST = """
[contrast]
unit = ["prompt", "model"]

[[contrast.levels]]
weight = 1
where = { condition = "threat" }

[[contrast.levels]]
weight = -1
where = { condition = "!threat", seed = 3, warned = true }

[[contrast.groups]]
weight = 1
where = { arm = "plain" }

[[contrast.groups]]
weight = -1
where = { arm = "inoculated|rephrased" }
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


def line_named(folder: Path, said: str) -> str:
    """The line of the file that a complaint points at."""
    found = re.search(r"mine\.toml:(\d+): ", said)
    assert found, said
    return (folder / "mine.toml").read_text().splitlines()[int(found[1]) - 1]


def contrast(folder: Path, old: str = "", new: str = "") -> Path:
    """The good claim as a contrast, one piece of the contrast replaced."""
    assert old in CONTRAST
    path = folder / "mine.toml"
    path.write_text('test = "contrast"\n' + GOOD + CONTRAST.replace(old, new, 1))
    return path


def test_a_claim_is_read_as_it_was_written(tmp_path: Path) -> None:
    claim = read_claim(written(tmp_path))
    assert (claim.id, claim.tier, claim.seed) == ("mine", "A", 7)
    assert claim.claimed == AtLeast(0.3)
    assert claim.behaviours == ("deception", "coercion")
    assert (claim.scatter.behaviour, claim.scatter.model, claim.scatter.prompt) == (0.7, 0.3, 0.5)
    assert (claim.judge.sensitivity, claim.judge.specificity) == (0.9, 0.95)
    assert [(rival.id, rival.covariate) for rival in claim.rivals] == [("R-CAP", "difficulty")]


def test_a_margin_commits_to_an_effect_near_nothing(tmp_path: Path) -> None:
    claim = read_claim(written(tmp_path, "beta_min = 0.3", "margin = 0.5\nrival_effect = 2"))
    assert claim.claimed == Within(0.5, 0.5)
    assert claim.rival_effect == 2.0


def test_a_margin_may_be_shown_by_ruling_out_larger_effects_alone(tmp_path: Path) -> None:
    new = "margin = 0.5\nreach = 1.1\nrival_effect = 2"
    assert read_claim(written(tmp_path, "beta_min = 0.3", new)).claimed == Within(0.5, 1.1)


def test_a_claim_that_states_no_effect_is_read_and_commits_to_none(tmp_path: Path) -> None:
    claim = read_claim(written(tmp_path, "beta_min = 0.3", ""))
    assert claim.claimed is None
    assert claim.directional


@pytest.mark.parametrize(
    ("effect", "directional"),
    [
        ("beta_min = 0", True),
        ("beta_min = 0.01", False),
        ("margin = 0.01\nrival_effect = 1", False),
        ("beta_min = -0.3", True),
    ],
)
def test_a_claim_that_the_effect_is_not_negative_only_names_a_direction(
    tmp_path: Path, effect: str, directional: bool
) -> None:
    claim = read_claim(written(tmp_path, "beta_min = 0.3", effect))
    assert claim.directional is directional


def test_a_contrast_is_read_as_it_was_written(tmp_path: Path) -> None:
    read = read_claim(contrast(tmp_path)).contrast
    assert read is not None
    assert read.unit == ("prompt", "model")
    assert read.levels[0] == Part(1.0, {"condition": "threat"})
    assert [part.weight for part in (*read.levels, *read.groups)] == [1, -1, 1, -1]
    assert read.groups[1].where == {"arm": "inoculated|rephrased"}


def test_numbers_and_truths_in_a_pattern_are_matched_as_written(tmp_path: Path) -> None:
    read = read_claim(contrast(tmp_path)).contrast
    assert read is not None
    assert read.levels[1].where == {"condition": "!threat", "seed": "3", "warned": "true"}


def test_a_contrast_without_groups_takes_every_unit_once(tmp_path: Path) -> None:
    groups = CONTRAST[CONTRAST.index("[[contrast.groups]]") :]
    read = read_claim(contrast(tmp_path, groups)).contrast
    assert read is not None
    assert read.groups == (Part(1.0, {}),)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("weight = -1", "weight = -0.5", "[[contrast.levels]]", "the weights of levels add up"),
        (CONTRAST[CONTRAST.index("[[") :], "", "[contrast]", "needs two levels or two groups"),
        ("weight = 1", 'weight = "one"', 'weight = "one"', "weight is 'one'"),
        ('{ condition = "threat" }', '"threat"', 'where = "threat"', "where is 'threat'"),
        ('{ condition = "threat" }', "{ a = [1] }", "where = { a = [1] }", "a is [1]"),
        ('unit = ["prompt", "model"]', 'unit = "prompt"', 'unit = "prompt"', "unit is 'prompt'"),
        ("weight = 1", "wieght = 1", "[[contrast.levels]]", "no field 'weight'"),
        ("weight = 1", "weight = 1\nhue = 1", "hue = 1", "'hue' in [contrast.levels.0]"),
        ('unit = ["prompt", "model"]', "per = 1", "per = 1", "'per' in [contrast]"),
    ],
)
def test_a_bad_contrast_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: str, words: str
) -> None:
    with pytest.raises(BadInput) as raised:
        read_claim(contrast(tmp_path, old, new))
    assert words in raised.value.message
    assert line_named(tmp_path, raised.value.message) == line


def test_a_claim_tested_by_a_contrast_has_to_have_one(tmp_path: Path) -> None:
    said = refusal(tmp_path, 'strength = "H1"', 'strength = "H1"\ntest = "contrast"')
    assert said.endswith("contrast needs a table [contrast]")
    assert line_named(tmp_path, said) == 'test = "contrast"'


BUNDLED = pytest.mark.parametrize(
    "path", sorted(LIBRARY.glob("*.toml")), ids=lambda path: path.stem
)

VACUOUS = {"existential", "post-training-free"}
"""Shipped so that they can be seen to forbid nothing."""


@BUNDLED
def test_every_bundled_claim_is_named_as_its_file(path: Path) -> None:
    assert read_claim(path).id == path.stem


@BUNDLED
def test_every_bundled_claim_but_the_vacuous_ones_commits_to_an_effect(path: Path) -> None:
    assert read_claim(path).directional is (path.stem in VACUOUS)


@BUNDLED
def test_every_bundled_claim_is_put_to_a_test_that_there_is(path: Path) -> None:
    assert read_claim(path).test in QUESTIONS


def test_a_family_is_the_same_for_each_of_its_members() -> None:
    claims = read_claims()
    for claim in claims.values():
        assert {claims[name].family for name in claim.family} <= {claim.family}, claim.id


def test_no_bundled_claim_builds_on_itself_or_on_one_that_is_not_there() -> None:
    claims = read_claims()
    for claim in claims.values():
        seen = [claim.id]
        while after := claims[seen[-1]].after:
            assert after not in seen
            seen.append(after)


def test_the_library_holds_frequency_and_same_proportion() -> None:
    claims = read_claims()
    assert claims["frequency"].claimed == AtLeast(0.30)
    assert claims["proportion"].claimed == AtLeast(1.0)


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
    "field",
    [
        'id = "mine"',
        'statement = "Tenfold frequency doubles the odds"',
        'strength = "H1"',
        "seed = 7",
    ],
)
def test_a_missing_field_is_named_with_the_file(tmp_path: Path, field: str) -> None:
    said = refusal(tmp_path, field, "")
    assert said.endswith(f"mine.toml:1: no field {field.split(' =')[0]!r}")


@pytest.mark.parametrize(
    ("field", "table"), [("prompt = 0.5", "[scatter]"), ("draws = 10", "[design]")]
)
def test_a_missing_field_of_a_table_is_named_with_the_line_of_the_table(
    tmp_path: Path, field: str, table: str
) -> None:
    said = refusal(tmp_path, field, "")
    assert said.endswith(f"no field {field.split(' =')[0]!r}")
    assert line_named(tmp_path, said) == table


def test_a_rival_that_nothing_measures_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, 'covariate = "difficulty"', "")
    assert said.endswith("a rival needs a covariate, its values, or held")
    assert line_named(tmp_path, said) == 'id = "R-CAP"'


@pytest.mark.parametrize(
    "measure", ["values = { deception = 0.4, coercion = 1 }", 'held = "one model throughout"']
)
def test_a_rival_may_be_locked_or_held_instead(tmp_path: Path, measure: str) -> None:
    [rival] = read_claim(written(tmp_path, 'covariate = "difficulty"', measure)).rivals
    assert (rival.covariate, len(rival.values), bool(rival.held)) in [("", 2, False), ("", 0, True)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('strength = "H1"', 'strength = "H9"', "strength is 'H9'"),
        ('strength = "H1"', 'test = "guess"\nstrength = "H1"', "test is 'guess'"),
        ('tier = "A"', 'tier = "D"', "tier is 'D'"),
        ("alpha = 0.05", "alpha = 0.5", "alpha is 0.5"),
        ("alpha = 0.05", "alpha = 0", "alpha is 0"),
        ("alpha = 0.05", 'alpha = "small"', "alpha is 'small'"),
        ("alpha = 0.05", "alpha = nan", "alpha is nan"),
        ("beta_min = 0.3", 'beta_min = "steep"', "beta_min is 'steep'"),
        ("beta_min = 0.3", "beta_min = inf", "beta_min is inf"),
        ("beta_min = 0.3", "beta_min = true", "beta_min is True"),
        ("beta_min = 0.3", "margin = -1\nrival_effect = 2", "margin is -1"),
        ("beta_min = 0.3", "margin = 1", "needs rival_effect"),
        ("beta_min = 0.3", "margin = 0\nrival_effect = 2", "no field 'reach'"),
        ("beta_min = 0.3", "margin = 1\nrival_effect = 2\nreach = 0", "reach is 0"),
        ("beta_min = 0.3", "margin = 1\nrival_effect = 2\nbeta_min = 1", "beta_min"),
        ("seed = 7", "seed = -7", "seed is -7"),
        ("seed = 7", "seed = 7.5", "seed is 7.5"),
        ("sensitivity = 0.9", "sensitivity = 90", "sensitivity is 90"),
        ("specificity = 0.95", "specificity = 0", "specificity is 0"),
        ("specificity = 0.95", 'specificity = "high"', "specificity is 'high'"),
        ("behaviour = 0.7", "behaviour = -0.7", "behaviour is -0.7"),
        ("behaviour = 0.7", 'behaviour = "wide"', "behaviour is 'wide'"),
        ("models = 4", "models = 0", "models is 0"),
        ("conditions = 1", "conditions = 0", "conditions is 0"),
        ("prompts = 10", 'prompts = "ten"', "prompts is 'ten'"),
        ("prompts = 10", "prompts = 0", "prompts is 0"),
        ("draws = 10", "draws = true", "draws is True"),
        ("mean_rate = 0.15", "mean_rate = 15", "mean_rate is 15"),
        ("mean_rate = 0.15", "mean_rate = 0", "mean_rate is 0"),
        ("mean_rate = 0.15", "mean_rate = 1", "mean_rate is 1"),
        ('behaviours = ["deception", "coercion"]', 'behaviours = "deception"', "behaviours is"),
        ('behaviours = ["deception", "coercion"]', "behaviours = [1]", "behaviours is [1]"),
        ('names = ["books"]', 'names = "books"', "names is 'books'"),
        ("[corpora]\n", 'corpora = "books"\n[other]\n', "corpora is 'books'"),
        ('covariate = "difficulty"', 'values = { deception = "hard" }', "deception is 'hard'"),
        ("seed = 7", "seed = 7\nafter = 3", "after is 3"),
        ("seed = 7", 'seed = 7\nfamily = "mine"', "family is 'mine'"),
        ("alpha = 0.05", "alpha = 0.05\nalpah = 0.01", "no field is called 'alpah'"),
        ('tier = "A"', 'tier = "A"\nteir = "B"', "'teir' in [corpora]"),
        ("prompt = 0.5", "prompt = 0.5\nunit = 1", "'unit' in [scatter]"),
        ("mean_rate = 0.15", "mean_rate = 0.15\nunits = 1", "'units' in [design]"),
        ("specificity = 0.95", "specificity = 0.95\nsp = 1", "'sp' in [judge]"),
        ('covariate = "difficulty"', 'covariate = "difficulty"\nz = 1', "'z' in [rivals.0]"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_field(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in refusal(tmp_path, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed = 7", "seed = -7"),
        ("alpha = 0.05", "alpah = 0.01"),
        ("beta_min = 0.3", "margin = 1"),
        ("behaviour = 0.7", "behaviour = -0.7"),
        ("mean_rate = 0.15", "mean_rate = 1"),
        ("specificity = 0.95", "specificity = 95"),
        ('covariate = "difficulty"', "covariate = 3"),
        ('names = ["books"]', "names = [1]"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str) -> None:
    assert line_named(tmp_path, refusal(tmp_path, old, new)) == new


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


def test_a_setting_of_one_kind_of_test_is_read_as_text(tmp_path: Path) -> None:
    focus = '[focus]\nmodel = "Opus"\nbehaviour = "sandbagging"\n\n[design]'
    claim = read_claim(written(tmp_path, "[design]", focus))
    assert claim.settings["focus"] == {"model": "Opus", "behaviour": "sandbagging"}
    assert claim.settings["contexts"] == {}
