"""What an audit holds for its claims: observations, corpora and what is measured in them.

Claims ask for the same things one after the other; each is read when it is first asked for.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyarrow.parquet as pq

from auditor.behaviours.spec import library_of
from auditor.claims.evidence import Measured, Row
from auditor.claims.spec import Claim
from auditor.flows.measurer import Measurer
from auditor.flows.predictors import measure_claim
from auditor.plan import digest
from auditor.records import BehaviourKind
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables


class Held:
    """What an audit holds for its claims, each part read once however many claims ask."""

    def __init__(self, tables: Tables, claims: Sequence[Claim]) -> None:
        """Nothing is read yet but the views' names."""
        self.tables, self._claims = tables, claims
        self.catalogue = Catalogue(tables)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Every observed row, with the kind of its behaviour where the library knows it."""
        return self._with_kinds(self.catalogue.rows("SELECT * FROM observations"))

    @cached_property
    def replaced(self) -> list[list[dict[str, Any]]]:
        """The rows of each part of observations that was read once and is no longer shown."""
        parts = set(self.tables.ever("observations")) - set(self.tables.outputs("observations"))
        read = (pq.read_table(path, partitioning=None).to_pylist() for path in sorted(parts))
        return [self._with_kinds(rows) for rows in read]

    @cached_property
    def measurer(self) -> Measurer | None:
        """None where no claim needs a text, or those that could use one have none to use."""
        indexed = bool(self.tables.current("index"))
        wanted = any(c.of_text or (c.reads_text and indexed) for c in self._claims)
        return Measurer(self.tables) if wanted else None

    @cached_property
    def corpora(self) -> dict[str, str]:
        """The indexed corpora, each with a digest of what its frequencies rest on.

        The digest is of contents, passages and label files: the same on every machine.
        """
        labelled = self.catalogue.rows(
            "SELECT DISTINCT f.label_set, d.corpus "
            "FROM frames f JOIN documents d USING (document_id)"
        )
        found = {}
        for run in self.tables.current("index"):
            outputs = json.loads(run["outputs"])
            passages = sorted(o["digest"] for o in outputs if o["path"].split("/")[1] == "passages")
            sets = {row["label_set"] for row in labelled if row["corpus"] == run["corpus"]}
            runs = self.tables.current("label")
            labels = [run["input_digest"] for run in runs if run["corpus"] in sets]
            found[run["corpus"]] = digest([passages, labels])
        return found

    def need_texts(self) -> None:
        """Raise StageMissing where claims need texts that are missing or stale: before any lock."""
        _ = self.measurer

    def measure(self, claim: Claim, corpora: Sequence[str]) -> Measured:
        """What the corpora hold of a claim; nothing where none of it enters."""
        if not corpora or not claim.reads_text or self.measurer is None:
            return Measured({})
        return measure_claim(self.measurer, claim, corpora)

    def _with_kinds(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        return [{**row, "kind": self._kinds.get(row["behaviour"])} for row in rows]

    @cached_property
    def _kinds(self) -> dict[str, BehaviourKind]:
        library = library_of(self.tables.paths)
        return {name: behaviour.kind for name, behaviour in library.items()}
