"""Promises about links: planted copies are found to the letter, echoes and originals are not."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import Audit
from auditor.errors import UsageError
from auditor.flows.tracer import Tracer, Utterance
from auditor.index.encoder import find_encoder
from auditor.index.tokens import word_hashes
from auditor.records import Link, LinkKind
from auditor.tracing.copied import MIN_RUN, Run, echo_mask, fingerprints_of, grow_runs
from tests.planted import FIXTURE, documents

OBSERVED = FIXTURE / "observed"
PLANTED: dict[str, dict[str, Any]] = {
    row["id"]: row
    for row in map(json.loads, (OBSERVED / "transcripts-truth.jsonl").read_text().splitlines())
}
SPOKEN: dict[str, list[dict[str, Any]]] = {
    row["id"]: row["messages"]
    for row in map(json.loads, (OBSERVED / "transcripts.jsonl").read_text().splitlines())
}
EDGES = " \n.,;:!?\"'()“”’"


def planted(*kinds: str) -> list[str]:
    return [name for name, row in PLANTED.items() if row["kind"] in kinds]


TRACED = planted("copied", "original", "prefilled", "echo")


@pytest.fixture(scope="module")
def traced(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """A copy of the built audit in which the transcripts under test have been traced, once."""
    root = tmp_path_factory.mktemp("traced") / "audit"
    shutil.copytree(built, root)
    audit = Audit.open(root)
    audit.trace(*TRACED, top=1)
    return audit


@pytest.fixture(scope="module")
def tracer(built: Path) -> Tracer:
    """One tracer; copied and near links never ask it for the transformer."""
    return Tracer(Audit.open(built).tables, find_encoder())


def kept(audit: Audit, transcript: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = audit.sql(
        "SELECT l.*, p.document FROM links l JOIN passages_full p USING (passage_id) "
        "WHERE transcript_id = 'transcripts/' || $id ORDER BY turn, span_start",
        id=transcript,
    ).to_pylist()
    return rows


def strong(tracer: Tracer, text: str, earlier: tuple[str, ...] = ()) -> list[Link]:
    """Copied links of a text, as `Tracer.links` finds them, without the transformer's part."""
    from auditor.index.tokens import tokenise

    tokens = tokenise([text])
    words = tokens.words.copy()
    words[echo_mask(words, map(word_hashes, earlier))] = 0
    return tracer._copied(Utterance(text, earlier=earlier), tokens, words)


@pytest.mark.parametrize("name", planted("copied"))
def test_a_planted_copy_is_found_with_exact_offsets_on_both_sides(
    tracer: Tracer, name: str
) -> None:
    """A run of words ends with its last word: the closing full stop is not part of it."""
    [copy] = PLANTED[name]["copies"]
    said = SPOKEN[name][copy["turn"]]["content"]
    quote = said[copy["start"] : copy["end"]].rstrip(EDGES)
    earlier = [m["content"] for m in SPOKEN[name][: copy["turn"]] if m["role"] != "assistant"]
    [link] = strong(tracer, said, tuple(earlier))
    assert (link.span_start, link.span_end) == (copy["start"], copy["start"] + len(quote))
    assert (link.document, link.start) == (copy["document"], copy["document_start"])
    assert link.end == copy["document_start"] + len(quote)
    assert link.span_text == link.text == quote
    assert link.text == documents()[link.document]["text"][link.start : link.end]
    assert (link.kind, link.strength) == (LinkKind.COPIED, len(word_hashes(quote)))


@pytest.mark.parametrize("name", planted("copied"))
def test_the_links_table_holds_the_planted_copy(traced: Audit, name: str) -> None:
    [copy] = PLANTED[name]["copies"]
    [link] = [row for row in kept(traced, name) if row["kind"] == "copied"]
    assert (link["turn"], link["span_start"]) == (copy["turn"], copy["start"])
    assert link["document"] == copy["document"]


@pytest.mark.parametrize("name", planted("original", "prefilled", "echo"))
def test_words_the_model_did_not_take_from_the_corpus_give_no_strong_link(
    traced: Audit, name: str
) -> None:
    assert {row["kind"] for row in kept(traced, name)} == {"semantic"}


@pytest.mark.parametrize("name", planted("prefilled", "echo"))
def test_the_words_left_out_would_have_been_a_copy(tracer: Tracer, name: str) -> None:
    """So that the promise above is about who wrote the words, not about a poor search."""
    given = [m["content"] for m in SPOKEN[name] if m["role"] != "assistant" or m.get("prefill")]
    assert any(strong(tracer, text) for text in given)


def test_only_turns_of_the_model_are_linked(traced: Audit) -> None:
    sources = traced.sql(
        "SELECT DISTINCT u.source FROM links l JOIN turns u USING (transcript_id, turn)"
    )
    assert sources["source"].to_pylist() == ["model"]


def test_tracing_some_transcripts_links_no_others(traced: Audit) -> None:
    names = traced.sql("SELECT DISTINCT transcript_id AS t FROM links")["t"].to_pylist()
    assert set(names) == {f"transcripts/{name}" for name in TRACED}


@pytest.mark.parametrize("seed", range(6))
def test_a_passage_with_a_tenth_of_its_words_replaced_is_still_found(
    tracer: Tracer, seed: int
) -> None:
    rng = random.Random(seed)
    passages = tracer.catalogue.rows(
        "SELECT passage_id, text FROM passages_full WHERE n_words >= 80 AND multiplicity = 1 "
        "ORDER BY passage_id"
    )
    passage = rng.choice(passages)
    words = passage["text"].split()
    for place in rng.sample(range(len(words)), len(words) // 10):
        words[place] = f"zebra{place}"
    text = " ".join(words)
    from auditor.flows.tracer import _Span

    near = [int(tracer._ids[row]) for row in tracer._near(_Span(0, len(text), text, text))]
    copied = [link.passage_id for link in strong(tracer, text)]
    assert passage["passage_id"] in near + copied


@pytest.mark.parametrize("text", ["", "   \n", "… — !!"])
def test_a_text_without_words_is_a_usage_error(audit: Audit, text: str) -> None:
    with pytest.raises(UsageError, match="no words"):
        audit.trace(text=text)


def test_an_unknown_transcript_is_named(audit: Audit) -> None:
    with pytest.raises(UsageError, match="obs-99"):
        audit.trace("obs-99")


def brute_runs(here: list[int], there: list[int]) -> set[tuple[int, int, int]]:
    """Every maximal run of MIN_RUN or more equal words: (start here, start there, words)."""
    runs = set()
    for i in range(len(here)):
        for j in range(len(there)):
            if here[i] != there[j] or (i and j and here[i - 1] == there[j - 1]):
                continue
            n = 0
            while i + n < len(here) and j + n < len(there) and here[i + n] == there[j + n]:
                n += 1
            if n >= MIN_RUN:
                runs.add((i, j, n))
    return runs


@st.composite
def overlapping(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Two word lists over few words, with a stretch of one pasted into the other."""
    word = st.integers(1, draw(st.integers(1, 40)))
    here = draw(st.lists(word, min_size=1, max_size=60))
    there = draw(st.lists(word, max_size=40))
    start = draw(st.integers(0, len(here)))
    at = draw(st.integers(0, len(there)))
    length = draw(st.integers(0, 40))
    return here, there[:at] + here[start : start + length] + there[at:]


@settings(max_examples=300, deadline=None)
@given(overlapping())
def test_growing_shared_fingerprints_finds_every_run_of_twelve_words(
    lists: tuple[list[int], list[int]],
) -> None:
    here, there = lists
    words, others = np.array(here, np.uint64), np.array(there, np.uint64)
    ours, theirs = fingerprints_of(words), fingerprints_of(others)
    seeds = [
        (7, i, j) for value in ours.keys() & theirs for i in ours[value] for j in theirs[value]
    ]
    found = grow_runs(words, seeds, {7: others})
    assert set(found) == {Run(7, *run) for run in brute_runs(here, there)}


def test_a_passage_the_prompt_quoted_gives_no_link_at_all(tracer: Tracer) -> None:
    text = documents()["news-09"]["text"][:539]
    assert strong(tracer, text)
    assert tracer.links(Utterance(text, earlier=(text,)), top=1) == []


def test_an_echo_masks_six_words_and_not_five() -> None:
    words = np.arange(1, 21, dtype=np.uint64)
    assert np.flatnonzero(echo_mask(words, [words[4:10]])).tolist() == [4, 5, 6, 7, 8, 9]
    assert not echo_mask(words, [words[4:9]]).any()
