"""Estimators and tests as pure functions of arrays; METHOD names the source of each."""
