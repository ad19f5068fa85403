"""What can go wrong, and the exit code each kind ends with (DESIGN §5).

A message gives the value and the expectation; the hint is the next step.
"""


class AuditorError(Exception):
    """A failure the user can act on: one line, one hint, one exit code."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep the message for the first line and the hint for the second."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AuditorError):
    """The command was asked for something that does not exist."""

    exit_code = 2


class StageMissing(AuditorError):
    """A stage this one builds on has not run, or is stale."""

    exit_code = 3


class BadInput(AuditorError):
    """A source, label or observation file cannot be used."""

    exit_code = 4


class DamagedAudit(AuditorError):
    """The audit's own files are not what its runs say they wrote."""

    exit_code = 5
