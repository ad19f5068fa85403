"""Passages, MinHash, fingerprints and static vectors of documents, in one pass over the bytes."""
