"""Every table of an audit, column by column: the Arrow schema and what each column means.

DESIGN §4 is the contract; writers build batches against these schemas, views show them, and an
empty table is a view with the same columns and no rows.
"""

from dataclasses import dataclass

import pyarrow as pa

SKETCH_PERMUTATIONS = 128
VECTOR_DIMENSIONS = 128

FACETS: dict[str, tuple[str, ...]] = {
    "stance": ("endorse", "neutral", "condemn"),
    "mode": ("fiction", "report", "discussion", "instruction", "first_person"),
    "actor": ("human", "organisation", "ai", "other"),
    "beneficiary": ("self", "principal", "third_party", "unclear"),
    "outcome": ("succeeds", "fails", "open"),
}
"""The framing facets every reader codes; ../gold/GUIDE.md defines the values."""

OPTIONAL_FACETS: dict[str, tuple[str, ...]] = {
    "opportunity": ("yes", "no"),
    "pressure": ("spontaneous", "incentivised", "threatened", "instructed"),
    "principal_kind": ("employer", "developer", "user", "state", "family"),
    "wronged_party": (),
    "denied": ("yes", "no"),
}
"""Facets that are null where nobody coded them; an empty tuple means free text."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row is, and its columns with their Arrow type and meaning."""

    name: str
    about: str
    columns: tuple[tuple[str, pa.DataType, str], ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema batches of this table must have."""
        return pa.schema([pa.field(name, kind) for name, kind, _ in self.columns])


_STRING, _U64, _U32, _F64, _BOOL = pa.string(), pa.uint64(), pa.uint32(), pa.float64(), pa.bool_()
_TIME = pa.timestamp("us", tz="UTC")

_TABLES = (
    Table(
        "documents",
        "one text with its metadata",
        (
            ("document_id", _U64, "hash of corpus and id"),
            ("corpus", _STRING, "name of the corpus"),
            ("id", _STRING, "the source's own id, or its path and row"),
            ("source", _STRING, "publisher or collection"),
            ("title", _STRING, "title"),
            ("author", _STRING, "author"),
            ("genre", _STRING, "genre"),
            ("date", _STRING, "date as the source gives it"),
            ("url", _STRING, "address"),
            ("licence", _STRING, "licence"),
            ("n_chars", _U32, "length in characters"),
            ("n_words", _U32, "length in words"),
            ("extra", _STRING, "every other field, as JSON"),
            ("file", _STRING, "file the document was read from"),
            ("line", _U32, "line or row in that file, from 1"),
        ),
    ),
    Table(
        "passages",
        "80-160 words of a document, ending at a sentence end where one is near",
        (
            ("passage_id", _U64, "hash of corpus, document id, start, end and text"),
            ("document_id", _U64, "its document"),
            ("ordinal", _U32, "place among the document's passages, from 0"),
            ("start", _U32, "first character in the document"),
            ("end", _U32, "one past the last character"),
            ("n_words", _U32, "length in words"),
            ("text", _STRING, "the words; null where the audit does not store text"),
        ),
    ),
    Table(
        "sketches",
        "MinHash of a passage's 5-word shingles",
        (
            ("passage_id", _U64, "its passage"),
            (
                "minhash",
                pa.binary(SKETCH_PERMUTATIONS),
                "low 8 bits of 128 datasketch affine32 minima; estimate (p-2^-8)/(1-2^-8)",
            ),
        ),
    ),
    Table(
        "duplicates",
        "passages with an equal or near-equal twin",
        (
            ("passage_id", _U64, "the passage"),
            ("representative", _U64, "the passage that stands for its group"),
            ("kind", _STRING, "exact, or near (verified shingle Jaccard >= 0.7)"),
            ("jaccard", _F64, "shingle Jaccard with the representative"),
            ("multiplicity", _U32, "passages in the group"),
        ),
    ),
    Table(
        "fingerprints",
        "6-word hashes winnowed over the document with window 7",
        (
            ("fingerprint", _U32, "hash of six consecutive words"),
            ("document_id", _U64, "its document"),
            ("position", _U32, "index of the first of the six words in the document"),
        ),
    ),
    Table(
        "vectors",
        "static vector of a passage",
        (
            ("passage_id", _U64, "its passage"),
            ("vector", pa.binary(VECTOR_DIMENSIONS), "128 signed bytes; only the direction counts"),
        ),
    ),
    Table(
        "cues",
        "matches of a behaviour's cues or rule in a passage (a long view over a column each)",
        (
            ("passage_id", _U64, "its passage"),
            ("behaviour", _STRING, "library id"),
            ("matches", pa.uint8(), "how many, counted up to 3"),
        ),
    ),
    Table(
        "heads",
        "a fitted detector or framing classifier: one linear head a fold",
        (
            ("stage", pa.uint8(), "1: static vectors and cues; 2: the transformer"),
            ("facet", _STRING, "framing facet; null for a behaviour's detector"),
            ("name", _STRING, "behaviour, or value of the facet"),
            ("fold", pa.int8(), "the fold whose documents' labels it never saw"),
            ("weights", pa.list_(pa.float32()), "one a feature"),
            ("bias", pa.float32(), "added to the weighted features"),
            ("slope", pa.float32(), "calibration: probability = logistic(slope * sum + intercept)"),
            ("intercept", pa.float32(), "calibration"),
        ),
    ),
    Table(
        "cards",
        "what is known of a detector or a classifier, measured on documents it did not learn from",
        (
            ("stage", pa.uint8(), "1: static vectors and cues; 2: the transformer"),
            ("facet", _STRING, "framing facet; null for a behaviour's detector"),
            ("name", _STRING, "behaviour, value of the facet, or null for the facet as a whole"),
            ("metric", _STRING, "auc, average_precision, precision, calibration, f1, recall …"),
            ("at", _F64, "recall of a precision, mean probability of a calibration bin"),
            ("estimate", _F64, "the measure"),
            ("low", _F64, "lower 95 % limit, from resampled documents; null: not computed"),
            ("high", _F64, "upper 95 % limit"),
            ("labels", _U64, "spans it was measured on"),
            ("positives", _U64, "of them positive"),
            ("reader_kind", _STRING, "who read them; null for the library's own texts"),
            ("corpus", _STRING, "corpus whose candidates a recall is about; null elsewhere"),
        ),
    ),
    Table(
        "scores",
        "stage-1 score of a passage for a behaviour (a long view over one column a behaviour)",
        (
            ("passage_id", _U64, "its passage"),
            ("behaviour", _STRING, "library id"),
            ("score", pa.float32(), "detector's probability; 1 or 0 where the rule is exact"),
        ),
    ),
    Table(
        "scores2",
        "stage-2 score, where the transformer read the passage",
        (
            ("passage_id", _U64, "its passage"),
            ("behaviour", _STRING, "library id"),
            ("score", pa.float32(), "calibrated probability"),
        ),
    ),
    Table(
        "framings",
        "probability of each facet value for a behaviour in a passage that scored as a candidate",
        (
            ("passage_id", _U64, "its passage"),
            ("behaviour", _STRING, "library id"),
            ("facet", _STRING, "stance, mode, actor, beneficiary or outcome"),
            ("value", _STRING, "a value of the facet"),
            ("probability", pa.float32(), "classifier's probability"),
            ("stage", pa.uint8(), "1, or 2 where the transformer read the passage"),
        ),
    ),
    Table(
        "frames",
        "the spans a label set was drawn from",
        (
            ("label_set", _STRING, "name of the label set"),
            ("document_id", _U64, "its document"),
            ("start", _U32, "first character in the document"),
            ("end", _U32, "one past the last character"),
            ("n_words", _U32, "length in words"),
            ("pi", _F64, "inclusion probability"),
            ("multiplicity", _U32, "copies of the passage it overlaps most"),
            ("band", pa.uint8(), "highest score band of any behaviour; null for an imported frame"),
            ("draw", _F64, "random number / pi: sampled below 1, read in this order"),
        ),
    ),
    Table(
        "labels",
        "a reader's judgement of one behaviour in one span",
        (
            ("label_set", _STRING, "name of the label set"),
            ("document_id", _U64, "its document"),
            ("start", _U32, "first character in the document"),
            ("end", _U32, "one past the last character"),
            ("behaviour", _STRING, "library id"),
            ("present", _BOOL, "whether the span portrays it"),
            *((facet, _STRING, "framing, where present") for facet in FACETS),
            *((facet, _STRING, "framing, where coded") for facet in OPTIONAL_FACETS),
            ("reader", _STRING, "who read it"),
            ("reader_kind", _STRING, "human or model"),
            ("method", _STRING, "session, judge, import or exact"),
            ("labelled_at", _TIME, "when"),
            ("pi", _F64, "inclusion probability of the span"),
            ("prompt", _STRING, "SHA-256 of the instructions a judge was given"),
        ),
    ),
    Table(
        "turn_frames",
        "the observed turns a label set was drawn from",
        (
            ("label_set", _STRING, "name of the label set"),
            ("transcript_id", _STRING, "its transcript"),
            ("turn", _U32, "its turn"),
            ("pi", _F64, "inclusion probability"),
            ("draw", _F64, "random number / pi: sampled below 1, read in this order"),
        ),
    ),
    Table(
        "turn_labels",
        "a reader's judgement of one behaviour in one observed turn, blind to model and condition",
        (
            ("label_set", _STRING, "name of the label set"),
            ("transcript_id", _STRING, "its transcript"),
            ("turn", _U32, "its turn"),
            ("behaviour", _STRING, "library id"),
            ("present", _BOOL, "whether the turn shows it; null where no answer was given"),
            *((facet, _STRING, "framing, where present") for facet in FACETS),
            *((facet, _STRING, "framing, where coded") for facet in OPTIONAL_FACETS),
            ("reader", _STRING, "who read it"),
            ("reader_kind", _STRING, "human or model"),
            ("method", _STRING, "session or judge"),
            ("labelled_at", _TIME, "when"),
            ("pi", _F64, "inclusion probability of the turn"),
            ("prompt", _STRING, "SHA-256 of the instructions a judge was given"),
        ),
    ),
    Table(
        "prevalence",
        "how often a behaviour appears, in a framing, in a corpus",
        (
            ("behaviour", _STRING, "library id"),
            ("target", _STRING, "behaviour with its framing, as claims name it"),
            ("corpus", _STRING, "name of the corpus"),
            ("facet", _STRING, "facet or metadata field the row is split by"),
            ("value", _STRING, "its value"),
            ("estimate", _F64, "per million passages"),
            ("low", _F64, "lower 95 % limit, per million passages"),
            ("high", _F64, "upper 95 % limit, per million passages"),
            ("words_estimate", _F64, "per million words"),
            ("words_low", _F64, "lower 95 % limit, per million words"),
            ("words_high", _F64, "upper 95 % limit, per million words"),
            ("exposure", _F64, "passages in the frame, copies counted"),
            ("exposure_low", _F64, "lower 95 % limit"),
            ("exposure_high", _F64, "upper 95 % limit"),
            ("unique_passages", _F64, "passages in the frame, copies counted once"),
            ("unique_low", _F64, "lower 95 % limit"),
            ("unique_high", _F64, "upper 95 % limit"),
            ("frame_size", _U64, "passages the rate is a share of"),
            ("labels", _U64, "spans read"),
            ("positives", _U64, "spans read that portray it"),
            ("method", _STRING, "fay_feuer, ppi, exact, scores or refused"),
            ("calibrated", _BOOL, "false where no reader checked the scores"),
            ("reader_kind", _STRING, "human or model"),
            ("se_log", _F64, "standard error of the log of the rate"),
            ("label_set", _STRING, "label set it rests on"),
            ("share", _F64, "part of the behaviour's positives that has the facet's value"),
            ("share_low", _F64, "lower 95 % limit, for all values of the facet at once"),
            ("share_high", _F64, "upper 95 % limit, for all values of the facet at once"),
            ("recall_k", _U64, "spike-ins that the detector retrieved"),
            ("recall_n", _U64, "spike-ins that portray it"),
            ("elusion_high", _F64, "upper limit per million of what no detector retrieved"),
            ("reason", _STRING, "why there is no estimate"),
        ),
    ),
    Table(
        "transcripts",
        "an observed conversation",
        (
            ("transcript_id", _STRING, "study and id"),
            ("study", _STRING, "study"),
            ("id", _STRING, "id within the study"),
            ("model", _STRING, "model"),
            ("condition", _STRING, "condition"),
            ("state", _STRING, "counted, refused, empty or errored"),
            ("behaviours", _STRING, "judgements as JSON: behaviour to true, false or null"),
            ("file", _STRING, "file it was read from"),
            ("line", _U32, "line in that file"),
            ("observed_at", _TIME, "when the audit read it"),
        ),
    ),
    Table(
        "turns",
        "one message of a transcript",
        (
            ("transcript_id", _STRING, "its transcript"),
            ("turn", _U32, "place in the conversation, from 0"),
            ("role", _STRING, "system, user, assistant or tool"),
            ("source", _STRING, "who wrote the words: model, prefill, user, system or tool"),
            ("text", _STRING, "the words"),
        ),
    ),
    Table(
        "observations",
        "k of n, or a rate, for model x behaviour x condition",
        (
            ("study", _STRING, "study"),
            ("model", _STRING, "model"),
            ("behaviour", _STRING, "library id, or the study's own name where none was mapped"),
            ("condition", _STRING, "condition"),
            ("k", pa.int64(), "trials that showed it; null where the source gives none"),
            ("n", pa.int64(), "trials; null where the source gives none"),
            ("rate", _F64, "rate as the source gives it"),
            ("unit", _STRING, "what a trial is"),
            ("base_or_tuned", _STRING, "base, tuned, or null"),
            ("factors", _STRING, "every other column, as JSON"),
            ("prompt", _STRING, "prompt id"),
            ("seed", _STRING, "training or sampling seed"),
            ("citation", _STRING, "where the row comes from"),
            ("file", _STRING, "file it was read from"),
            ("line", _U32, "line in that file"),
            ("observed_at", _TIME, "when the audit read it"),
        ),
    ),
    Table(
        "links",
        "a span of a transcript and a passage it resembles",
        (
            ("transcript_id", _STRING, "its transcript; null for a text given by hand"),
            ("turn", _U32, "its turn"),
            ("span_start", _U32, "first character in the turn"),
            ("span_end", _U32, "one past the last"),
            ("passage_id", _U64, "the passage"),
            ("kind", _STRING, "copied, near or semantic"),
            ("strength", _F64, "shared words, shingle containment, or cosine"),
            ("placebo_percentile", _F64, "place among placebo texts; null: not run"),
            ("p", _F64, "conformal p; null: not run"),
        ),
    ),
    Table(
        "locks",
        "a prediction fixed before its outcomes were read",
        (
            ("claim_id", _STRING, "claim"),
            ("sha256", _STRING, "digest of the canonical JSON"),
            ("prediction", _STRING, "the canonical JSON"),
            ("locked_at", _TIME, "when"),
        ),
    ),
    Table(
        "verdicts",
        "what a claim's tests ended with",
        (
            ("claim_id", _STRING, "claim"),
            ("verdict", _STRING, "supported, contradicted, indistinguishable or untestable"),
            ("exploratory", _BOOL, "whether outcomes were read before the lock"),
            ("forbidden_fraction", _F64, "share of relabelled outcomes that would refute it"),
            ("power", _F64, "power to refute it in a world without the relation"),
            ("lock", _STRING, "digest of its lock"),
            ("result", _STRING, "gates, tests, rivals and the rest, as JSON"),
            ("tested_at", _TIME, "when"),
        ),
    ),
    Table(
        "runs",
        "one finished run of a stage",
        (
            ("run", _STRING, "id"),
            ("stage", _STRING, "stage"),
            ("corpus", _STRING, "corpus, label set or study"),
            ("settings_digest", _STRING, "what it was asked to do"),
            ("input_digest", _STRING, "what it did it to"),
            ("rows", _U64, "rows written"),
            ("rejects", _U64, "records refused"),
            ("versions", _STRING, "versions of the packages it used, as JSON"),
            ("seed", pa.int64(), "random seed; null where none was used"),
            ("seconds", _F64, "wall time"),
            ("started_at", _TIME, "when"),
            ("outputs", _STRING, "files it wrote: path, bytes, digest, as JSON"),
            ("summary", _STRING, "what the command printed, as JSON"),
        ),
    ),
    Table(
        "rejects",
        "a record that was refused",
        (
            ("stage", _STRING, "stage that refused it"),
            ("corpus", _STRING, "corpus, label set or study"),
            ("file", _STRING, "file"),
            ("line", _U32, "line or row, from 1; null for the whole file"),
            ("reason", _STRING, "why"),
        ),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
