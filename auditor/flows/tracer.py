"""Looks words up in an audit: copied runs, near copies, and the nearest meanings.

Spans are cut as passages are. Copied and near links are verified on the text; the nearest passages
by static vector are re-ranked by the transformer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.flows.recording import need_text
from auditor.flows.score import stored_vectors
from auditor.index.build import minhash
from auditor.index.duplicates import shingle_sets
from auditor.index.encoder import Encoder, piece_table
from auditor.index.kernels import cut_passages
from auditor.index.tokens import Tokens, tokenise, word_hashes
from auditor.index.vectors import WordVectors
from auditor.records import Link, LinkKind
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables
from auditor.tracing.copied import Run as CopiedRun
from auditor.tracing.copied import character_span, echo_mask, fingerprints_of, grow_runs
from auditor.tracing.similar import MIN_CONTAINMENT, containment, near_candidates, nearest

CANDIDATES = 12
"""Nearest passages by static vector that the transformer re-ranks, a span: a second of work."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Words to trace: a text given by hand, or a turn of a transcript and what came before it."""

    text: str
    transcript: str | None = None
    turn: int | None = None
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Span:
    """A passage-sized piece of an utterance; `own` has spaces for what earlier turns said."""

    start: int
    end: int
    text: str
    own: str


class Tracer:
    """Looks texts up in one audit; holds its sketches and vectors in memory while it lives."""

    def __init__(self, tables: Tables, encoder: Encoder) -> None:
        """Open the index; raises StageMissing where there is none, or it holds no words."""
        need_text(tables)
        self.catalogue = Catalogue(tables)
        self.encoder = encoder
        self._meanings: dict[int, npt.NDArray[np.float32]] = {}

    @cached_property
    def _passages(self) -> pa.Table:
        return self.catalogue.query(
            "SELECT passage_id, s.minhash, v.vector FROM sketches s JOIN vectors v "
            "USING (passage_id) ORDER BY passage_id"
        )

    @cached_property
    def _ids(self) -> npt.NDArray[np.uint64]:
        ids: npt.NDArray[np.uint64] = self._passages["passage_id"].to_numpy()
        return ids

    @cached_property
    def _sketches(self) -> npt.NDArray[np.uint8]:
        packed = b"".join(self._passages["minhash"].to_pylist())
        return np.frombuffer(packed, np.uint8).reshape(len(self._ids), -1)

    @cached_property
    def _vectors(self) -> npt.NDArray[np.float32]:
        return stored_vectors(self._passages["vector"])

    @cached_property
    def _words(self) -> WordVectors:
        return WordVectors(piece_table(self.encoder))

    def links(self, utterance: Utterance, top: int) -> list[Link]:
        """Link an utterance: every copied run, and for each span its best `top` other passages."""
        tokens = tokenise([utterance.text])
        words = tokens.words.copy()
        echoed = echo_mask(words, map(word_hashes, utterance.earlier))
        words[echoed] = 0
        own = _blanked(utterance.text, tokens, echoed)
        copied = self._copied(utterance, tokens, words)
        similar = [
            link
            for span in _spans(tokens, utterance.text, own)
            if len(word_hashes(span.own))
            for link in self._similar(utterance, span, top)
        ]
        seen = {link.passage_id for link in copied}
        return copied + [link for link in similar if link.passage_id not in seen]

    def _copied(
        self, utterance: Utterance, tokens: Tokens, words: npt.NDArray[np.uint64]
    ) -> list[Link]:
        prints = fingerprints_of(words)
        hits = self.catalogue.join(
            "SELECT f.fingerprint, f.document_id, f.position FROM fingerprints f "
            "JOIN wanted USING (fingerprint)",
            wanted=pa.table({"fingerprint": pa.array(list(prints), pa.uint32())}),
        ).to_pylist()
        documents = self._documents(sorted({hit["document_id"] for hit in hits}))
        seeds = [
            (hit["document_id"], here, hit["position"])
            for hit in hits
            if hit["document_id"] in documents
            for here in prints[hit["fingerprint"]]
        ]
        theirs = {document_id: t.words for document_id, (_, t) in documents.items()}
        runs = grow_runs(words, seeds, theirs)
        return [self._copied_link(utterance, tokens, run, documents) for run in runs]

    def _copied_link(
        self,
        utterance: Utterance,
        tokens: Tokens,
        run: CopiedRun,
        documents: dict[int, tuple[str, Tokens]],
    ) -> Link:
        text, theirs = documents[run.document_id]
        start, end = character_span(theirs, run.there, run.words)
        here = character_span(tokens, run.here, run.words)
        [about] = self.catalogue.rows(_ABOUT_PLACE, {"document": run.document_id, "start": start})
        quote = utterance.text[here[0] : here[1]]
        span = _Span(*here, quote, quote)
        return _link(
            utterance, span, LinkKind.COPIED, float(run.words), about, start, end, text[start:end]
        )

    def _documents(self, ids: Sequence[int]) -> dict[int, tuple[str, Tokens]]:
        """Text (gaps as spaces) and tokens of documents."""
        rows = self.catalogue.join(
            'SELECT p.document_id, p.start, p."end", p.text FROM passages p JOIN wanted '
            "USING (document_id) WHERE p.text IS NOT NULL ORDER BY p.document_id, p.start",
            wanted=pa.table({"document_id": pa.array(ids, pa.uint64())}),
        ).to_pylist()
        texts: dict[int, str] = {}
        for row in rows:
            before = texts.get(row["document_id"], "")
            texts[row["document_id"]] = before.ljust(row["start"]) + row["text"]
        return {document: (text, tokenise([text])) for document, text in texts.items()}

    def _similar(self, utterance: Utterance, span: _Span, top: int) -> list[Link]:
        near = self._near(span)
        rows = nearest(self._words.of_texts([span.own])[0], self._vectors, CANDIDATES)
        about = self._about(sorted({int(self._ids[row]) for row in (*near, *rows)}))
        links = [
            _passage_link(utterance, span, LinkKind.NEAR, strength, about[int(self._ids[row])])
            for row, strength in near.items()
        ]
        meant = [about[int(self._ids[row])] for row in rows if row not in near]
        meant = [one for one in meant if one["text"]]
        strengths = self._strengths(span, meant)
        links += [
            _passage_link(utterance, span, LinkKind.SEMANTIC, float(strengths[i]), meant[i])
            for i in np.argsort(-strengths, kind="stable")
        ]
        return links[: max(top, len(near))]

    def _strengths(self, span: _Span, about: Sequence[dict[str, Any]]) -> npt.NDArray[np.float32]:
        """Transformer cosine of a span with passages; each passage is embedded once a tracer."""
        new = [one for one in about if one["passage_id"] not in self._meanings]
        own, *vectors = self.encoder.encode([span.own, *(one["text"] for one in new)])
        for one, vector in zip(new, vectors, strict=True):
            self._meanings[one["passage_id"]] = vector
        known = [self._meanings[one["passage_id"]] for one in about]
        return np.array([vector @ own for vector in known], np.float32)

    def _near(self, span: _Span) -> dict[int, float]:
        """Rows of near copies with the containment of the span's shingles, verified on text."""
        words = word_hashes(span.own)
        sketch = (minhash(words, np.array([0, len(words)]))[0] & 0xFF).astype(np.uint8)
        rows = near_candidates(sketch, self._sketches)
        about = self._about([int(self._ids[row]) for row in rows])
        texts = [about[int(self._ids[row])]["text"] or "" for row in rows]
        own, *theirs = shingle_sets([span.own, *texts])
        scored = {
            int(row): containment(own, other) for row, other in zip(rows, theirs, strict=True)
        }
        kept = {row: share for row, share in scored.items() if share >= MIN_CONTAINMENT}
        return dict(sorted(kept.items(), key=lambda item: -item[1]))

    def _about(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        rows = self.catalogue.join(
            "SELECT p.* FROM passages_full p JOIN wanted USING (passage_id)",
            wanted=pa.table({"passage_id": pa.array(ids, pa.uint64())}),
        ).to_pylist()
        return {row["passage_id"]: row for row in rows}


def _blanked(text: str, tokens: Tokens, words: npt.NDArray[np.bool_]) -> str:
    """A text with spaces in place of some of its words."""
    characters = list(text)
    for token in np.flatnonzero(tokens.is_word)[words]:
        start, end = tokens.char_starts[token], tokens.char_ends[token]
        characters[start:end] = " " * int(end - start)
    return "".join(characters)


def _spans(tokens: Tokens, text: str, own: str) -> list[_Span]:
    out = np.empty((len(tokens.flags) + 1, 4), np.int64)
    n = cut_passages(tokens.flags, tokens.document_offsets, out)
    spans = []
    for _, first, last, _ in out[:n]:
        start, end = int(tokens.char_starts[first]), int(tokens.char_ends[last - 1])
        spans.append(_Span(start, end, text[start:end], own[start:end]))
    return spans


def _passage_link(
    utterance: Utterance, span: _Span, kind: LinkKind, strength: float, about: dict[str, Any]
) -> Link:
    return _link(
        utterance, span, kind, strength, about, about["start"], about["end"], about["text"]
    )


def _link(
    utterance: Utterance,
    span: _Span,
    kind: LinkKind,
    strength: float,
    about: dict[str, Any],
    start: int,
    end: int,
    text: str,
) -> Link:
    return Link(
        transcript=utterance.transcript,
        turn=utterance.turn,
        span_start=span.start,
        span_end=span.end,
        span_text=span.text,
        kind=kind,
        strength=strength,
        placebo_percentile=None,
        p=None,
        corpus=about["corpus"],
        document=about["document"],
        passage_id=about["passage_id"],
        start=start,
        end=end,
        text=text,
        source=about["source"],
        date=about["date"],
        multiplicity=about["multiplicity"],
    )


_ABOUT_PLACE = (
    "SELECT p.* FROM passages_full p JOIN passages q USING (passage_id) "
    'WHERE q.document_id = $document AND q.start <= $start AND $start < q."end"'
)
