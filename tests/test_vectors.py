"""Promises about static vectors: sentence-transformers' own, kept in 128 bytes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.audit import Audit
from auditor.index.encoder import PieceTable, find_encoder, piece_table
from auditor.index.vectors import WordVectors, quantise, unit

Floats = npt.NDArray[np.float32]
Oracle = Callable[[list[str]], Floats]

ASCII_TOLERANCE = 1e-3
"""Of cosine: what 128 bytes may move a direction by."""

OTHER_TOLERANCE = 1e-2
"""Of cosine, where curly apostrophes share a vector with straight ones (measured: 0.002)."""

ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200)


@pytest.fixture(scope="module")
def pieces() -> PieceTable:
    return piece_table(find_encoder())


@pytest.fixture(scope="module")
def oracle(pieces: PieceTable) -> Oracle:
    """sentence-transformers' StaticEmbedding over the same pieces; unit vectors."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    module = StaticEmbedding(pieces.tokenizer, embedding_weights=pieces.vectors)
    model = SentenceTransformer(modules=[module], device="cpu")

    def encode(texts: list[str]) -> Floats:
        return to_unit(np.asarray(model.encode(texts, show_progress_bar=False), np.float32))

    return encode


def to_unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-30), np.float32)


def cosines(a: Floats, b: Floats) -> Floats:
    return np.asarray((a * b).sum(axis=1), np.float32)


def test_ascii_text_has_the_vector_of_static_embedding(pieces: PieceTable, oracle: Oracle) -> None:
    words = WordVectors(pieces)

    @given(st.lists(ASCII, min_size=1, max_size=5))
    @settings(deadline=None, max_examples=60)
    def law(texts: list[str]) -> None:
        texts = [f"a {text}" for text in texts]
        assert cosines(words.of_texts(texts), oracle(texts)).min() >= 1 - ASCII_TOLERANCE

    law()


def test_stored_vectors_are_those_of_static_embedding(
    audit: Audit, built: Path, oracle: Oracle
) -> None:
    passages = audit.sql("SELECT passage_id, text FROM passages").to_pylist()
    stored: dict[int, bytes] = {}
    for part in (built / "tables" / "vectors").glob("*/*.parquet"):
        stored |= {row["passage_id"]: row["vector"] for row in pq.read_table(part).to_pylist()}
    packed = np.frombuffer(b"".join(stored[p["passage_id"]] for p in passages), np.int8)
    close = cosines(unit(packed.reshape(-1, 128)), oracle([p["text"] for p in passages]))
    ascii_only = np.array([p["text"].isascii() for p in passages])
    assert close[ascii_only].min() >= 1 - ASCII_TOLERANCE
    assert close[~ascii_only].min() >= 1 - OTHER_TOLERANCE


@pytest.mark.parametrize(
    "text",
    [
        "Café naïve Zürich Ångström Ærø",
        "e\u0301te\u0301 and nai\u0308ve, decomposed",
        "日本語のテキスト 漢字 ひらがな",
        "한국어 텍스트입니다",
        "I ❤️ emoji 😀😀 👩‍👩‍👧 today",
        "“Curly” quotes — and a dash… don’t stop",
        "Привет, мир! مرحبا नमस्ते ภาษาไทย",
        "soft\u00adhyphen, zero\u200bwidth and a nul\0byte",
        "Straße, İstanbul and the ﬁne ligature",
    ],
)
def test_other_scripts_stay_within_the_stated_tolerance(
    pieces: PieceTable, oracle: Oracle, text: str
) -> None:
    words = WordVectors(pieces)
    assert cosines(words.of_texts([text]), oracle([text]))[0] >= 1 - OTHER_TOLERANCE


def test_curly_apostrophes_stay_within_the_stated_tolerance_after_straight_ones(
    pieces: PieceTable, oracle: Oracle
) -> None:
    words = WordVectors(pieces)
    words.of_texts(["don't can't won't it's"])  # now these words have the straight one's vector
    text = "“We don’t, we can’t, we won’t,” she said, “and it’s late in the year to ask it of us.”"
    assert cosines(words.of_texts([text]), oracle([text]))[0] >= 1 - OTHER_TOLERANCE


def test_what_was_read_before_does_not_change_a_vector(pieces: PieceTable) -> None:
    text = "The harbour master is also the treasurer."
    fresh, used = WordVectors(pieces), WordVectors(pieces)
    used.of_texts([" ".join(f"word{i}" for i in range(40_000))])  # makes the table grow
    assert used.of_texts([text]).tolist() == fresh.of_texts([text]).tolist()


def test_a_span_has_the_vector_of_its_own_words(pieces: PieceTable) -> None:
    from auditor.index.tokens import tokenise

    words = WordVectors(pieces)
    tokens = tokenise(["the lamp went out at nine"])
    span = words.of_spans(tokens, np.array([[1, 3]]))
    assert cosines(span, words.of_texts(["lamp went"]))[0] == pytest.approx(1, abs=1e-6)


def test_a_text_that_prints_nothing_has_the_zero_vector(pieces: PieceTable) -> None:
    assert not WordVectors(pieces).of_texts(["", " \n"]).any()


FINITE = hnp.arrays(
    np.float32, (3, 128), elements=st.floats(-1000, 1000, width=32, allow_subnormal=False)
)


@given(FINITE)
@settings(deadline=None, max_examples=100)
def test_quantising_fills_the_bytes_and_rounds_to_the_nearest_step(vectors: Floats) -> None:
    packed = quantise(vectors).astype(np.float64)
    largest = np.abs(vectors).max(axis=1, keepdims=True).astype(np.float64)
    steps = 127 * (vectors / np.where(largest > 0, largest, 1))
    assert np.abs(packed - steps).max() <= 0.5 + 1e-3
    assert set(np.abs(packed).max(axis=1)) <= {0.0, 127.0}


def test_quantising_moves_a_direction_by_less_than_a_thousandth(pieces: PieceTable) -> None:
    vectors = to_unit(pieces.vectors[1000:6000])
    assert cosines(unit(quantise(vectors)), vectors).min() > 1 - ASCII_TOLERANCE


def test_unit_vectors_have_length_one_and_zero_stays_zero() -> None:
    packed = np.array([[3, -4], [0, 0], [127, 0]], np.int8)
    assert unit(packed) == pytest.approx(np.array([[0.6, -0.8], [0, 0], [1, 0]]))
