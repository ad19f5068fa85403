"""Stages joined to the store: each flow reads tables, runs pure stages, writes parts and a run."""
