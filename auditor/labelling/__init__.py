"""Readers' judgements of spans: where they come from and what they must satisfy."""
