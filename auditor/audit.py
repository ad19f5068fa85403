"""`Audit`: the whole flow of an audit, one method a stage.

    index → (duplicates, scores) → label → measure → predict → observe → trace → test → report

Each method opens the folder anew, so that what an earlier one wrote is checked before it is used.
The work is in `auditor.flows`, one file a stage, which joins the pure stages to the store.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import BadInput
from auditor.progress import Progress, Quiet
from auditor.records import ClaimResult, Link, Prevalence
from auditor.store.tables import Tables

if TYPE_CHECKING:
    import pyarrow as pa

    from auditor.flows.reading import Room

DEFAULT_ENCODER = "all-MiniLM-L6-v2"


class Audit:
    """One audit directory: what was indexed, labelled, measured, observed and decided in it."""

    def __init__(self, root: Path, progress: Progress | None = None) -> None:
        """Use `open` or `create`; progress is told what is being counted."""
        self.root = root
        self._progress = progress or Quiet()

    @classmethod
    def open(cls, root: str | Path, progress: Progress | None = None) -> "Audit":
        """Open an audit; raises StageMissing where there is none, DamagedAudit if broken."""
        Tables.open(Path(root))
        return cls(Path(root), progress)

    @classmethod
    def create(cls, root: str | Path, progress: Progress | None = None) -> "Audit":
        """Open an audit, starting it in a new or empty folder; raises BadInput elsewhere."""
        Tables.create(Path(root))
        return cls(Path(root), progress)

    @property
    def tables(self) -> Tables:
        """The audit's Parquet, checked against what its runs wrote."""
        return Tables.open(self.root)

    def index(
        self,
        *sources: str,
        corpus: str | None = None,
        text: str | None = None,
        id: str | None = None,
        workers: int | None = None,
        store_text: bool = True,
        encoder: str = DEFAULT_ENCODER,
    ) -> dict[str, Any]:
        """Read, cut, sketch, embed and score a corpus; what is done is skipped."""
        from auditor.flows.index import IndexSettings, index_sources, plan_sources
        from auditor.ingest.documents import Fields

        tables = self.tables
        try:
            found, name, fields = plan_sources(sources, corpus, Fields(text, id))
            settings = IndexSettings(name, fields, store_text, encoder, workers)
            return index_sources(tables, found, settings, self._progress)
        except BadInput:
            tables.abandon()
            raise

    def label(
        self,
        file: str,
        label_set: str | None = None,
        frame: str | None = None,
        reader_kind: str = "model",
        codebook: Sequence[str] = (),
        corpus: str | None = None,
    ) -> dict[str, Any]:
        """Import labels of a probability sample; a label that does not fit is a reject."""
        from auditor.flows.label import LabelSettings, import_file

        settings = LabelSettings(label_set, frame, reader_kind, tuple(codebook), corpus)
        return import_file(self.tables, file, settings, self._progress)

    def plan_labels(
        self,
        *behaviours: str,
        n: int | None = None,
        label_set: str = "sample",
        of: str = "passages",
        corpus: str | None = None,
        target: float | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Draw the sample readers will read: passages by score, or observed turns alike."""
        from auditor.flows.plan import DEFAULT_LABELS, PlanSettings, plan_passages, plan_turns

        size = DEFAULT_LABELS if n is None else n
        settings = PlanSettings(label_set, behaviours, size, corpus, target, seed)
        draw = plan_turns if of == "transcripts" else plan_passages
        return draw(self.tables, settings)

    def reading_room(self, label_set: str, behaviours: Sequence[str] = ()) -> "Room":
        """What a reader of a planned label set needs: items, codebook, journal, evidence."""
        from auditor.flows.reading import open_room

        return open_room(self.tables, label_set, behaviours)

    def gather_labels(self, label_set: str) -> dict[str, Any]:
        """Turn what readers answered so far into labels."""
        from auditor.flows.reading import gather

        return gather(self.tables, label_set)

    def judge_labels(
        self,
        label_set: str,
        url: str,
        model: str,
        concurrency: int = 4,
        budget: int | None = None,
        timeout: float = 60.0,
    ) -> dict[str, Any]:
        """Have an OpenAI-compatible endpoint read a planned label set; answered items are kept."""
        from auditor.flows.reading import judge_items
        from auditor.labelling.judge import JudgeSettings

        settings = JudgeSettings(url, model, concurrency, budget, timeout)
        return judge_items(self.tables, label_set, settings, self._progress)

    def agreement(self, label_set: str, first: str, second: str) -> dict[str, Any]:
        """How far two readers agree, and how the first fares if the second is right."""
        from auditor.flows.comparing import agreement
        from auditor.records import plain

        found, rates = agreement(self.tables, label_set, first, second)
        return {"first": first, "second": second, **plain(found), "sensitivity": plain(rates)}

    def disputes(self, label_set: str, first: str, second: str) -> tuple[Any, ...]:
        """Items on which two readers differ, for an adjudicator who is not told who said what."""
        from auditor.flows.comparing import disputes

        return disputes(self.tables, label_set, first, second)

    def export_labels(self, file: str, label_set: str | None = None) -> dict[str, Any]:
        """Write a label set and its frame as files that `label` imports."""
        from auditor.flows.exporting import export_labels

        return export_labels(self.tables, Path(file), label_set)

    def export_prefixes(
        self, file: str, *behaviours: str, words: int = 200, corpus: str | None = None
    ) -> dict[str, Any]:
        """Write the words before each labelled opportunity, for a base model to continue."""
        from auditor.flows.prefixes import export_prefixes

        return export_prefixes(self.tables, Path(file), behaviours, words, corpus, self._progress)

    def measure(
        self, *behaviours: str, by: Sequence[str] = (), corpus: str | None = None
    ) -> list[Prevalence]:
        """Estimate how often behaviours appear, overall or by a facet or a field."""
        from auditor.flows.measure import measure

        return measure(self.tables, behaviours, by, corpus)

    def measure_chart(self, rows: Sequence[Prevalence], path: str | Path) -> Path:
        """Draw measured rows into a .html, .svg, .png or .pdf file; returns its path."""
        from auditor.report.prevalence_chart import write_chart

        return write_chart(rows, Path(path))

    def observe(
        self,
        *files: str,
        study: str | None = None,
        format: str = "auto",
        mapping: str | None = None,
        selected: bool = False,
    ) -> list[dict[str, Any]]:
        """Read transcripts, rates and continuations of prefixes; a summary for each study."""
        from auditor.flows.observe import observe

        return observe(self.tables, files, study, format, mapping, selected, self._progress)

    def trace(
        self,
        *transcripts: str,
        text: str | None = None,
        top: int = 3,
        encoder: str = DEFAULT_ENCODER,
    ) -> list[Link]:
        """Link one text, or transcripts' own words, to the passages they resemble."""
        from auditor.flows.trace import trace_text, trace_transcripts

        if text is not None:
            return trace_text(self.tables, text, top, encoder)
        return trace_transcripts(self.tables, transcripts, top, encoder, self._progress)

    def predict(self, *claims: str, output: str | None = None) -> list[dict[str, Any]]:
        """Lock what claims predict, before their outcomes are read."""
        from auditor.flows.claims import lock_claims

        return lock_claims(self.tables, claims, output, self._progress)

    def test(self, *claims: str, workers: int = 1) -> list[ClaimResult]:
        """Test claims against what was observed; a verdict each."""
        from auditor.flows.claims import test_claims

        return test_claims(self.tables, claims, workers, self._progress)

    @staticmethod
    def verdict_text(result: ClaimResult, width: int = 80) -> str:
        """One claim's page as plain text, no line longer than `width`."""
        from auditor.report.verdict_page import page_text, verdict_page

        return page_text(verdict_page(result), width)

    @staticmethod
    def verdict_markdown(*results: ClaimResult) -> str:
        """The pages of claims as Markdown."""
        from auditor.report.verdict_page import page_markdown, verdict_page

        return "\n".join(page_markdown(verdict_page(result)) for result in results)

    @staticmethod
    def discrimination(*results: ClaimResult) -> dict[str, Any]:
        """The discrimination matrix with what claims measured, and the pairs they told apart."""
        from auditor.claims.discrimination import matrix, told_apart

        return {"rows": matrix(results), "told_apart": told_apart(results)}

    def passages(
        self,
        behaviour: str | None = None,
        framing: Mapping[str, str] | None = None,
        text: str | None = None,
        source: str | None = None,
        top: int = 10,
        random: int | None = None,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Passages to read, best score first or a random draw."""
        from auditor.flows.read import PassageFilter, read_passages

        wanted = PassageFilter(behaviour, framing, text, source, top, random, seed)
        return read_passages(self.tables, wanted)

    def sql(self, query: str, **parameters: str) -> "pa.Table":
        """Run a shipped query by name, a .sql file, or one SELECT; read-only."""
        from auditor.flows.read import run_sql

        return run_sql(self.tables, query, parameters)

    def report(self, output: str | Path | None = None) -> Path:
        """Write the HTML page; returns its path."""
        from auditor.flows.report import write_report

        return write_report(self.tables, Path(output) if output else None)

    def status(self) -> list[dict[str, Any]]:
        """What is fresh, stale or missing."""
        from auditor.flows.read import status

        return status(self.tables)

    @staticmethod
    def queries() -> list[dict[str, Any]]:
        """The shipped questions with their parameters."""
        from auditor.flows.read import list_queries

        return list_queries()

    def detect(
        self,
        *behaviours: str,
        corpus: str | None = None,
        budget: int | None = None,
        encoder: str | None = None,
    ) -> list[dict[str, Any]]:
        """Learn from library and labels, score every passage, read the likeliest ones (stage 2)."""
        from auditor.flows.detect import DetectSettings, detect_corpora

        settings = DetectSettings(encoder, budget, corpus, behaviours)
        return detect_corpora(self.tables, settings, self._progress)

    def detect_texts(
        self,
        items: Iterable[Mapping[str, Any]],
        stage: int | None = None,
        encoder: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Score texts with the audit's heads: {id?, text, genre?} → {id, behaviours, framing}."""
        from auditor.flows.read import detect_texts

        return detect_texts(self.tables, items, encoder, stage, self._progress)

    def cards(self, *behaviours: str) -> list[dict[str, Any]]:
        """What is known of each detector and classifier: rows of `cards`."""
        from auditor.flows.read import read_cards

        return read_cards(self.tables, behaviours)

    @staticmethod
    def score_texts(
        items: Iterable[Mapping[str, Any]],
        stage: int | None = None,
        encoder: str | None = None,
        progress: Progress | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Score texts with the shipped library's heads, where there is no audit."""
        from auditor.flows.read import detect_texts

        return detect_texts(None, items, encoder, stage, progress or Quiet())

    @staticmethod
    def finetune(
        *files: str,
        traits: Sequence[str] = (),
        cues: Sequence[str] = (),
        where: Mapping[str, str] | None = None,
        irrelevant: Sequence[str] = (),
        uncued: Sequence[str] = (),
        positive: str | None = None,
        negative: str | None = None,
        root: str | Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Cues and traits of a chat fine-tuning set; the audit in `root` scores unjudged traits.

        Of files of rates, how far the traits of trained models wait for a cue; `where` to
        `negative` are about those.
        """
        from auditor.flows.conditioning import RatesSettings
        from auditor.flows.finetune import FinetuneSettings, audit_files

        tables = Tables.open(Path(root)) if root is not None else None
        rates = RatesSettings(where or {}, tuple(irrelevant), tuple(uncued), positive, negative)
        settings = FinetuneSettings(tuple(traits), tuple(cues), rates)
        return audit_files(tables, files, settings, progress or Quiet())

    @staticmethod
    def behaviours(*ids: str, root: str | Path | None = None) -> list[dict[str, Any]]:
        """Entries of the behaviour library, and of the audit in `root`; `origin` says which."""
        from auditor.behaviours.spec import choose, own_behaviours, read_library
        from auditor.paths import AuditPaths
        from auditor.records import plain

        own = own_behaviours(AuditPaths(Path(root))) if root is not None else {}
        return [
            {**plain(behaviour), "origin": "audit" if behaviour.id in own else "shipped"}
            for behaviour in choose(read_library() | own, ids)
        ]

    @staticmethod
    def check_behaviour(file: str, root: str | Path | None = None) -> dict[str, Any]:
        """Problems of a behaviour's TOML, and what is thin in it, by line; warnings only if usable.

        Texts may also portray behaviours of the library, or of the audit in `root`.
        """
        from auditor.behaviours.checking import check, warnings
        from auditor.behaviours.spec import library_of, read_library
        from auditor.paths import AuditPaths
        from auditor.records import plain

        checked = check(Path(file))
        if checked.problems:
            return {"file": file, "problems": plain(checked.problems), "warnings": []}
        known = library_of(AuditPaths(Path(root))) if root is not None else read_library()
        return {"file": file, "problems": [], "warnings": plain(warnings(checked, known))}

    def add_behaviour(self, file: str) -> dict[str, Any]:
        """Copy a behaviour's TOML into the audit, in place of its namesake; raises BadInput."""
        from auditor.behaviours.spec import read_behaviour, read_library
        from auditor.paths import AuditPaths, replacing

        id = read_behaviour(Path(file)).id
        path = AuditPaths(self.root).behaviours / f"{id}.toml"
        replaces = "audit" if path.exists() else "shipped" if id in read_library() else None
        content = Path(file).read_bytes()
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        return {"id": id, "path": str(path), "replaces": replaces}
