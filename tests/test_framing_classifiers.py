"""Promises about framing classifiers: what a mention is, what a genre may say, what sums to one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from auditor.behaviours.training import Text, TrainingSet, training_set
from auditor.framing.classifiers import (
    BEHAVIOUR_SIZE,
    FEW_OF_A_GENRE,
    WEIGHING,
    FramingHeads,
    find_mentions,
    fit_framing,
    mention_features,
    sized,
    wanted_values,
)
from auditor.schema import FACETS

BEHAVIOURS = ("coercion", "deception")
FICTION, REPORT = {"mode": "fiction"}, {"mode": "report"}


def text(
    document: int, genre: str | None = None, behaviour: str = "deception", **facets: str
) -> Text:
    return Text("…", {behaviour: True}, {behaviour: facets}, document, genre)


def fitted(texts: Sequence[Text], features: npt.NDArray[Any]) -> FramingHeads:
    training = training_set(texts, BEHAVIOURS)
    return fit_framing(training, features.astype(np.float32), find_mentions(training))


def plain(count: int) -> npt.NDArray[np.float32]:
    """Features that say nothing."""
    return np.zeros((count, 2), np.float32)


def training(*texts: Text) -> TrainingSet:
    return training_set(texts, BEHAVIOURS)


def test_a_mention_is_a_text_with_one_behaviour_it_portrays() -> None:
    both = Text("…", {}, {"coercion": FICTION, "deception": REPORT}, 1, "novels")
    silent = Text("…", {"deception": False}, {}, 2)
    found = find_mentions(training(silent, both))
    assert found.row.tolist() == [1, 1]
    assert list(zip(found.behaviour, found.facets, strict=True)) == [
        ("coercion", FICTION),
        ("deception", REPORT),
    ]


def test_a_behaviour_nobody_learns_is_no_mention() -> None:
    assert find_mentions(training(text(1, behaviour="gluttony"))).behaviour == ()


def test_a_facet_nobody_coded_teaches_nothing() -> None:
    mentions = find_mentions(training(text(1, mode="report"), text(2, stance="condemn")))
    assert wanted_values(mentions, "mode")[0].tolist() == [0, 1, 0, 0, 0]
    assert np.isnan(wanted_values(mentions, "mode")[1]).all()


def test_a_mention_shows_its_behaviour_and_its_genre_beside_the_text() -> None:
    row = mention_features(plain(1), ["deception"], ["novels"], BEHAVIOURS, ("essays", "novels"))
    assert row.tolist() == [[0, 0, 0, BEHAVIOUR_SIZE, 0, 1]]


@pytest.mark.parametrize("genre", [None, "sermons"])
def test_a_genre_that_is_not_known_says_nothing(genre: str | None) -> None:
    row = mention_features(plain(1), ["coercion"], [genre], BEHAVIOURS, ("essays", "novels"))
    assert row.tolist() == [[0, 0, BEHAVIOUR_SIZE, 0, 0, 0]]


def test_a_genre_weighs_more_for_the_mode_and_for_no_other_facet() -> None:
    row = np.ones((1, 4), np.float32)
    assert sized(row, 1, "mode").tolist() == [[1, 1, 1, WEIGHING["mode"].genre]]
    assert sized(row, 1, "actor").tolist() == [[1, 1, 1, 1]]
    assert sized(row, 0, "mode").tolist() == [[1, 1, 1, 1]]


def test_a_genre_needs_enough_labelled_mentions_and_the_librarys_do_not_count() -> None:
    enough = [text(n, "novels", mode="fiction") for n in range(1, FEW_OF_A_GENRE + 1)]
    few = [text(n, "essays", mode="report") for n in range(1, FEW_OF_A_GENRE)]
    library = [text(0, "essays", mode="report") for _ in range(9)]
    texts = [*enough, *few, *library]
    assert fitted(texts, plain(len(texts))).genres == ("novels",)


def two_genres() -> FramingHeads:
    """Novels told as fiction and essays as report, in the same words."""
    texts = [
        text(number, genre, mode=mode)
        for number in range(1, 31)
        for genre, mode in (("novels", "fiction"), ("essays", "report"))
    ]
    return fitted(texts, plain(len(texts)))


def test_the_same_words_are_fiction_in_a_novel_and_report_in_an_essay() -> None:
    heads = two_genres()
    found = heads.probabilities(heads.inputs(plain(2), ["deception"] * 2, ["novels", "essays"]))
    assert [FACETS["mode"][i] for i in found["mode"].argmax(axis=1)] == ["fiction", "report"]


def test_the_probabilities_of_a_facets_values_sum_to_one() -> None:
    heads = two_genres()
    found = heads.probabilities(heads.inputs(plain(3), ["coercion"] * 3, ["novels", None, "x"]))
    assert {facet: p.shape for facet, p in found.items()} == {
        facet: (3, len(values)) for facet, values in FACETS.items()
    }
    for probabilities in found.values():
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_where_nobody_coded_a_facet_its_values_are_equally_likely() -> None:
    heads = two_genres()
    found = heads.probabilities(heads.inputs(plain(1), ["coercion"], ["novels"]))
    assert found["stance"][0] == pytest.approx([1 / 3] * 3)


def test_without_a_single_mention_every_value_is_equally_likely() -> None:
    heads = fitted([Text("…", {"deception": False}, {}, 1)], plain(1))
    found = heads.probabilities(heads.inputs(plain(1), ["deception"], [None]))
    for facet, values in FACETS.items():
        assert found[facet][0] == pytest.approx([1 / len(values)] * len(values))


def test_what_a_document_says_of_framing_does_not_reach_the_head_that_scores_it() -> None:
    """A feature that tells the mode in one document alone is worth nothing in that document."""
    rng = np.random.default_rng(3)
    mode = rng.integers(0, 2, 200)
    document = np.repeat(np.arange(1, 6), 40)
    features = (document[:, None] == 1) * (2.0 * mode[:, None] - 1) * [1, 0]
    texts = [
        text(int(d), mode=("fiction", "report")[m]) for d, m in zip(document, mode, strict=True)
    ]
    heads = fitted(texts, features)
    own = document == 1
    inputs = heads.inputs(features[own].astype(np.float32), ["deception"] * 40, [None] * 40)
    unseen = heads.probabilities(inputs, np.ones(40, np.int64))["mode"]
    seen = heads.probabilities(inputs)["mode"]
    assert np.ptp(unseen, axis=0).max() < 1e-6
    assert (seen.argmax(axis=1) == mode[own]).all()
