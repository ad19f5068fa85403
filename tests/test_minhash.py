"""Promises about MinHash sketches: datasketch's own numbers, of which the low bytes are kept."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.audit import Audit
from auditor.index import kernels
from auditor.index.build import minhash
from auditor.index.tokens import shingles, word_hashes
from auditor.tracing.similar import near_candidates

WORDS = st.lists(st.integers(0, 2**64 - 1), max_size=60)
Hashes = npt.NDArray[np.uint64]


def hash_shingles(words: Hashes) -> list[int]:
    """The 32-bit hash of every 5-word run, in order and with repeats."""
    out = np.empty(max(len(words), 1), np.uint32)
    return [int(h) for h in out[: kernels.shingle_hashes(words, out)]]


def datasketch_minima(hashes: list[int]) -> list[int]:
    """What datasketch makes of the same 32-bit hashes."""
    oracle = MinHash(
        num_perm=128,
        seed=1,
        scheme="affine32",
        hashfunc=lambda value: int.from_bytes(value, "little"),
    )
    oracle.update_batch([value.to_bytes(4, "little") for value in hashes])
    return [int(v) for v in oracle.hashvalues]


def one_sketch(text: str) -> npt.NDArray[np.uint32]:
    words = word_hashes(text)
    [minima] = minhash(words, np.array([0, len(words)]))
    return np.asarray(minima, np.uint32)


@given(st.lists(WORDS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_sketches_equal_datasketch_bit_for_bit(passages: list[list[int]]) -> None:
    runs = [np.array(words, np.uint64) for words in passages]
    offsets = np.cumsum([0, *map(len, runs)])
    ours = minhash(np.concatenate(runs), offsets)
    assert ours.tolist() == [datasketch_minima(hash_shingles(run)) for run in runs]


@given(WORDS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_order_of_shingles_does_not_matter(words: list[int], random: object) -> None:
    run = np.array(words, np.uint64)
    shuffled = hash_shingles(run)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert minhash(run, np.array([0, len(run)]))[0].tolist() == datasketch_minima(shuffled)


def test_two_orders_of_the_same_shingles_have_one_sketch() -> None:
    circle = ["north", "east", "south", "west", "up", "down"] * 4
    turned = circle[2:] + circle[:2]  # the same six shingles, starting with another
    assert circle != turned
    assert one_sketch(" ".join(circle)).tolist() == one_sketch(" ".join(turned)).tolist()


def test_a_repeated_shingle_changes_nothing() -> None:
    circle = "north east south west up down "
    assert one_sketch(circle * 2).tolist() == one_sketch(circle * 5).tolist()


def test_a_text_of_fewer_than_five_words_is_one_shingle() -> None:
    words = word_hashes("only four words here")
    assert len(hash_shingles(words)) == 1
    assert one_sketch("only four words here").tolist() == datasketch_minima(hash_shingles(words))


def test_no_words_give_the_sketch_of_the_empty_set() -> None:
    assert one_sketch("… — !").tolist() == datasketch_minima([])


def test_stored_sketches_are_the_low_bytes_of_the_minima(audit: Audit, built: Path) -> None:
    texts = audit.sql("SELECT passage_id, text FROM passages ORDER BY passage_id LIMIT 40")
    stored: dict[int, bytes] = {}
    for part in (built / "tables" / "sketches").glob("*/*.parquet"):
        stored |= {row["passage_id"]: row["minhash"] for row in pq.read_table(part).to_pylist()}
    assert texts.num_rows == 40
    for row in texts.to_pylist():
        low = [value & 0xFF for value in one_sketch(row["text"]).tolist()]
        assert list(stored[row["passage_id"]]) == low


@pytest.mark.parametrize("shared", [0, 40, 80, 120, 160])
def test_low_bytes_estimate_jaccard_after_chance_agreement_is_taken_off(shared: int) -> None:
    rng = np.random.default_rng(shared)
    estimates = []
    for _ in range(30):
        pool = rng.integers(0, 2**32, 320 - shared).tolist()
        one, other = pool[:160], pool[160 - shared :]
        agree = np.equal(*(np.array(datasketch_minima(s)) & 0xFF for s in (one, other))).mean()
        estimates.append((agree - 2**-8) / (1 - 2**-8))
    truth = shared / (320 - shared)
    assert np.mean(estimates) == pytest.approx(truth, abs=4 * 0.5 / np.sqrt(128 * 30))


def test_a_copy_is_a_candidate_and_a_stranger_is_not() -> None:
    copy = "the ferry had been late every day since easter and nobody at the pier could say why"
    other = (
        "she folded the tablecloth twice and laid both candlesticks in the drawer with great care"
    )
    low = [(one_sketch(text) & 0xFF).astype(np.uint8) for text in (copy, other)]
    assert near_candidates(low[0], np.stack(low)).tolist() == [0]


def test_distinct_shingles_are_sorted_once_each() -> None:
    found = shingles("to be or not to be or not to be or not")
    assert found.tolist() == sorted(set(found.tolist()))
    assert len(found) == 4  # the run has a period of four words
