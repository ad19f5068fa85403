"""Promises about duplicates: planted twins are found, and every member is like its leader."""

import random
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.audit import Audit
from auditor.index.build import minhash
from auditor.index.duplicates import NEAR_JACCARD, jaccard, near_pairs, shingle_sets, star_clusters
from auditor.index.tokens import word_hashes
from tests.planted import truth

Pair = tuple[int, int, float]


@pytest.fixture(scope="module")
def rows(built: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Every duplicate with the text and document of itself and of its representative."""
    found = Audit.open(built).sql(
        "SELECT u.*, p.text, d.id AS document, r.text AS lead_text, l.id AS lead_document "
        "FROM duplicates u JOIN passages p USING (passage_id) "
        "JOIN documents d ON d.document_id = p.document_id "
        "JOIN passages r ON r.passage_id = u.representative "
        "JOIN documents l ON l.document_id = r.document_id"
    )
    return list(found.to_pylist())


def runs_of_five(text: str) -> set[tuple[int, ...]]:
    words = word_hashes(text).tolist()
    width = min(5, len(words))
    return {tuple(words[i : i + width]) for i in range(len(words) - width + 1)} if words else set()


def true_jaccard(one: str, other: str) -> float:
    a, b = runs_of_five(one), runs_of_five(other)
    return len(a & b) / len(a | b) if a | b else 0.0


def planted() -> dict[str, tuple[str, str]]:
    """Document → (the document it copies, exact or near)."""
    return {
        t["document"]: (t["duplicate_of"].split("#")[0], t["duplicate"])
        for t in truth()
        if t["duplicate_of"]
    }


def test_every_passage_of_a_planted_copy_is_found_beside_its_original(
    rows: list[dict[str, Any]], audit: Audit
) -> None:
    sizes = audit.sql(
        "SELECT d.id, count(*) AS n FROM passages JOIN documents d USING (document_id) GROUP BY 1"
    )
    passages = {row["id"]: row["n"] for row in sizes.to_pylist()}
    found = Counter(
        frozenset((r["document"], r["lead_document"]))
        for r in rows
        if r["document"] != r["lead_document"]
    )
    expected = {
        frozenset((copy, source)): passages[copy] for copy, (source, _) in planted().items()
    }
    assert len(expected) == 4
    assert found == expected


def test_planted_exact_and_near_copies_are_told_apart(rows: list[dict[str, Any]]) -> None:
    kinds = {
        frozenset((r["document"], r["lead_document"])): r["kind"]
        for r in rows
        if r["passage_id"] != r["representative"]
    }
    assert kinds == {frozenset((c, source)): kind for c, (source, kind) in planted().items()}


def test_an_exact_member_has_its_representatives_text(rows: list[dict[str, Any]]) -> None:
    exact = [r for r in rows if r["kind"] == "exact"]
    assert exact
    assert all(r["text"] == r["lead_text"] and r["jaccard"] == 1.0 for r in exact)


def test_every_near_member_is_verified_against_its_representative(
    rows: list[dict[str, Any]],
) -> None:
    near = [r for r in rows if r["kind"] == "near"]
    assert near
    for row in near:
        assert row["jaccard"] == pytest.approx(true_jaccard(row["text"], row["lead_text"]))
        assert row["jaccard"] >= 0.7


def test_multiplicity_is_the_size_of_the_group(rows: list[dict[str, Any]]) -> None:
    sizes = Counter(row["representative"] for row in rows)
    assert all(row["multiplicity"] == sizes[row["representative"]] >= 2 for row in rows)


def test_a_representative_stands_for_itself(rows: list[dict[str, Any]]) -> None:
    leads = {row["passage_id"]: row["representative"] for row in rows}
    assert all(leads[lead] == lead for lead in leads.values())


EDGES = st.dictionaries(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda e: e[0] < e[1]),
    st.floats(0.7, 1.0),
    max_size=25,
)


@given(EDGES)
def test_nothing_is_chained(edges: dict[tuple[int, int], float]) -> None:
    clusters = star_clusters([(a, b, s) for (a, b), s in edges.items()])
    for row, (lead, similarity) in clusters.items():
        pair = (min(row, lead), max(row, lead))
        assert similarity == (1.0 if row == lead else edges[pair])
        assert clusters[lead] == (lead, 1.0)


@given(EDGES)
def test_a_row_is_left_out_only_when_all_its_twins_follow_others(
    edges: dict[tuple[int, int], float],
) -> None:
    clusters = star_clusters([(a, b, s) for (a, b), s in edges.items()])
    for a, b in edges:
        for row, twin in ((a, b), (b, a)):
            assert row in clusters or clusters[twin][0] != twin


def test_the_ends_of_a_chain_do_not_share_a_representative() -> None:
    clusters = star_clusters([(0, 1, 0.8), (1, 2, 0.8), (2, 3, 0.8)])
    assert clusters == {1: (1, 1.0), 0: (1, 0.8), 2: (1, 0.8)}


def sketches(texts: list[str]) -> npt.NDArray[np.uint8]:
    runs = [word_hashes(text) for text in texts]
    offsets = np.cumsum([0, *map(len, runs)])
    return (minhash(np.concatenate(runs), offsets) & 0xFF).astype(np.uint8)


def variants(seed: int) -> list[str]:
    """Thirty unlike texts of 100 words, and one edit of each: from one word to forty replaced."""
    rng = random.Random(seed)
    originals = [[f"w{rng.randrange(5000)}" for _ in range(100)] for _ in range(30)]
    edits = []
    for i, words in enumerate(originals):
        start, length = rng.randrange(50), 1 + i * 39 // 29
        new = [f"x{rng.randrange(5000)}" for _ in range(length)]
        edits.append([*words[:start], *new, *words[start + length :]])
    return [" ".join(words) for words in originals + edits]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_near_pairs_are_those_that_comparing_all_pairs_finds(seed: int) -> None:
    texts = variants(seed)
    found = near_pairs(sketches(texts), lambda rows: shingle_sets([texts[r] for r in rows]))
    expected = [
        (a, b, s)
        for a, b in combinations(range(len(texts)), 2)
        if (s := true_jaccard(texts[a], texts[b])) >= NEAR_JACCARD
    ]
    assert 5 < len(expected) < 25
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    assert [pair[2] for pair in found] == pytest.approx([pair[2] for pair in expected])


@given(st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40)))
def test_jaccard_is_shared_over_all(a: list[int], b: list[int]) -> None:
    one, other = set(a), set(b)
    expected = len(one & other) / len(one | other) if one | other else 0.0
    arrays = [np.array(sorted(s), np.uint32) for s in (one, other)]
    assert jaccard(*arrays) == expected


def test_no_passages_have_no_pairs() -> None:
    assert near_pairs(np.empty((0, 128), np.uint8), lambda rows: []) == []
