"""The command line: one file a command, each a doorway to `Audit`."""

from auditor.cli.app import run as run
