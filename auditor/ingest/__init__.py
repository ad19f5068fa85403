"""Foreign files in; documents, transcripts, observations and rejects out."""
