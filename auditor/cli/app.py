"""The `auditor` command: global options, the list of commands, errors turned into exit codes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import (
    behaviours,
    demo,
    detect,
    export,
    finetune,
    index,
    label,
    measure,
    observe,
    passages,
    predict,
    report,
    sql,
    status,
    test,
    trace,
)
from auditor.errors import AuditorError
from auditor.paths import DEFAULT_AUDIT

INTERRUPTED = 130
BROKEN_PIPE = 141

app = typer.Typer(
    name="auditor",
    help="Tests whether a model's behaviour is just imitation of its training data.",
    epilog="Example: auditor demo, then auditor -a auditor-demo passages deception --mode fiction",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    demo, index, behaviours, passages, detect, label, measure, observe, trace, predict, test,
    finetune, sql, export, report, status,
):  # fmt: skip
    app.command(name=command.__name__.rsplit(".", 1)[-1], epilog=f"Example: {command.EXAMPLE}")(
        command.command
    )


@dataclass(frozen=True, slots=True)
class Session:
    """What every command is given: the audit's folder."""

    folder: Path


@app.callback()
def _main(
    context: typer.Context,
    audit: Annotated[
        Path | None,
        typer.Option("-a", "--audit", help="The audit's folder; $AUDITOR_AUDIT or ./audit."),
    ] = None,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    context.obj = Session(audit or Path(os.environ.get("AUDITOR_AUDIT", DEFAULT_AUDIT)))


def run() -> int:
    """Run the command line on sys.argv; returns the exit code of DESIGN §5."""
    try:
        code = app(standalone_mode=False)
        return int(code) if isinstance(code, int) else 0
    except AuditorError as error:
        _say(f"error: {error.message}")
        if error.hint:
            _say(f"hint: {error.hint}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted; run the same command again to resume")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except Exception as error:
        return _usage_error(error)


def _usage_error(error: Exception) -> int:
    """Show a usage error of the option parser as one line; anything else is a bug and is raised."""
    show, code = getattr(error, "format_message", None), getattr(error, "exit_code", None)
    if show is None or code is None:
        raise error
    _say(f"error: {show()}")
    _say("hint: auditor --help, or auditor COMMAND --help")
    return int(code)


def _say(message: str) -> None:
    typer.echo(message, err=True)
