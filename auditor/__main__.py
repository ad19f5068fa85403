"""`auditor` and `python -m auditor`."""

import sys


def main() -> None:
    """Run the command line; ends the process with the command's exit code."""
    from auditor.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()
