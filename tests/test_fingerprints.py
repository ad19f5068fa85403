"""Promises about winnowed fingerprints: no copied run of twelve words is missed."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.audit import Audit
from auditor.index import kernels
from auditor.index.tokens import word_hashes
from tests.planted import documents

Print = tuple[int, int]
VOCABULARY = st.sampled_from(["the", "sea", "was", "calm", "and", "grey", "at", "dawn", "again"])
ANY_WORDS = st.lists(VOCABULARY, max_size=30)
RUN = st.lists(VOCABULARY, min_size=12, max_size=30)
MASK = 2**64 - 1


def winnowed(*texts: str) -> list[list[Print]]:
    """(fingerprint, position) of each document, by the kernel."""
    runs = [word_hashes(text) for text in texts]
    words = np.concatenate([*runs, np.empty(0, np.uint64)])
    offsets = np.cumsum([0, *map(len, runs)])
    prints, owners = np.empty(len(words), np.uint32), np.empty(len(words), np.int64)
    positions = np.empty(len(words), np.uint32)
    n = kernels.winnow(words, offsets, prints, owners, positions)
    rows = list(zip(prints[:n].tolist(), positions[:n].tolist(), owners[:n].tolist(), strict=True))
    return [[(f, p) for f, p, owner in rows if owner == d] for d in range(len(texts))]


def mix(value: int) -> int:
    """MurmurHash3's 64-bit finaliser in plain integers."""
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


def brute_force(words: npt.NDArray[np.uint64]) -> list[Print]:
    """The rightmost least hash of every window of seven 6-word hashes, by looking at them all."""
    hashes = []
    for start in range(len(words) - 5):
        value = 0xCBF29CE484222325
        for word in words[start : start + 6].tolist():
            value = (value ^ word) * 0x100000001B3 & MASK
        hashes.append(mix(value))
    chosen = set()
    for first in range(max(len(hashes) - 6, min(len(hashes), 1))):
        window = hashes[first : first + 7]
        chosen.add(first + max(i for i, h in enumerate(window) if h == min(window)))
    return [(hashes[i] >> 32, i) for i in sorted(chosen)]


@given(RUN, ANY_WORDS, ANY_WORDS, ANY_WORDS, ANY_WORDS)
@settings(deadline=None, max_examples=300)
def test_any_shared_run_of_twelve_words_shares_a_fingerprint_within_it(
    run: list[str], a: list[str], b: list[str], c: list[str], d: list[str]
) -> None:
    one, other = winnowed(" ".join(a + run + b), " ".join(c + run + d))
    in_one = {(f, p - len(a)) for f, p in one if 0 <= p - len(a) <= len(run) - 6}
    in_other = {(f, p - len(c)) for f, p in other if 0 <= p - len(c) <= len(run) - 6}
    assert in_one & in_other


@given(st.lists(st.lists(VOCABULARY, max_size=60).map(" ".join), min_size=1, max_size=4))
@settings(deadline=None, max_examples=150)
def test_the_kernel_keeps_what_looking_at_every_window_keeps(texts: list[str]) -> None:
    assert winnowed(*texts) == [brute_force(word_hashes(text)) for text in texts]


def test_a_run_of_twelve_words_is_found_whatever_stands_around_it() -> None:
    run = "I have read every letter in your desk and burned three"
    assert len(run.split()) == 11
    one, other = winnowed(f"He said {run} today.", f"Yes: {run.upper()} TODAY, sir, and again.")
    assert {f for f, _ in one} & {f for f, _ in other}


def test_strangers_share_no_fingerprint() -> None:
    one, other = winnowed(
        "the kettle sang while nobody in the kitchen was listening to it at all that day",
        "every third plank of the old jetty had been painted white so boats would see it",
    )
    assert not {f for f, _ in one} & {f for f, _ in other}


def test_case_and_curly_quotes_do_not_hide_a_copy() -> None:
    [one, other] = winnowed(
        "DON'T ask the CAFÉ owner about it, for he has told it to me",
        "don’t ask the cafe owner about it for he has told it to me",
    )
    assert one == other


def test_a_document_of_six_words_has_one_fingerprint_and_a_shorter_one_none() -> None:
    six, five = winnowed("one two three four five six", "one two three four five")
    assert [p for _, p in six] == [0]
    assert five == []


def test_a_run_at_the_end_of_one_document_and_the_start_of_the_next_is_no_run() -> None:
    text = "the lamp on the quay went out at nine and came back at ten"
    apart = text.split()
    [halved_a, halved_b] = winnowed(" ".join(apart[:4]), " ".join(apart[4:8]))
    assert (halved_a, halved_b) == ([], [])


def test_the_audit_stores_the_fingerprints_of_whole_documents(audit: Audit, built: Path) -> None:
    ids = audit.sql("SELECT document_id, id FROM documents ORDER BY id LIMIT 10").to_pylist()
    rows = [
        row
        for part in (built / "tables" / "fingerprints").glob("*/*.parquet")
        for row in pq.read_table(part).to_pylist()
    ]
    texts = documents()
    assert len(ids) == 10
    for document in ids:
        stored = [
            (r["fingerprint"], r["position"])
            for r in rows
            if r["document_id"] == document["document_id"]
        ]
        assert stored == brute_force(word_hashes(texts[document["id"]]["text"]))
