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

    def measure(
        self, *behaviours: str, by: Sequence[str] = (), corpus: str | None = None
    ) -> list[Prevalence]:
        """Estimate how often behaviours appear, overall or by a facet or a field."""
        from auditor.flows.measure import measure

        return measure(self.tables, behaviours, by, corpus)

    def observe(
        self,
        *files: str,
        study: str | None = None,
        format: str = "auto",
        mapping: str | None = None,
        selected: bool = False,
    ) -> list[dict[str, Any]]:
        """Read transcripts and rates; a summary for each study."""
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

    def test(self, *claims: str) -> list[ClaimResult]:
        """Test claims against what was observed; a verdict each."""
        from auditor.flows.claims import test_claims

        return test_claims(self.tables, claims, self._progress)

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

    @staticmethod
    def detect(
        items: Iterable[Mapping[str, Any]], encoder: str = DEFAULT_ENCODER
    ) -> Iterator[dict[str, Any]]:
        """Score texts that are in no corpus: {id?, text} → {id, behaviours, framing}."""
        from auditor.flows.read import detect_texts

        return detect_texts(items, encoder)

    @staticmethod
    def behaviours(*ids: str) -> list[dict[str, Any]]:
        """Entries of the behaviour library."""
        from auditor.behaviours.spec import choose, read_library
        from auditor.records import plain

        return [plain(behaviour) for behaviour in choose(read_library(), ids)]

    @staticmethod
    def check_behaviour(file: str) -> dict[str, Any]:
        """Read a behaviour's TOML; raises BadInput naming what is wrong with it."""
        from auditor.behaviours.spec import read_behaviour
        from auditor.records import plain

        checked: dict[str, Any] = plain(read_behaviour(Path(file)))
        return checked
