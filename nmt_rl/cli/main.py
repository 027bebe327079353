"""The console script: registers the verbs and turns errors into one sentence and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, cast

import typer

from nmt_rl import __version__
from nmt_rl.cli.average import average
from nmt_rl.cli.chain import chain
from nmt_rl.cli.choose import choose
from nmt_rl.cli.command import Verb
from nmt_rl.cli.compare import compare
from nmt_rl.cli.evaluate import evaluate
from nmt_rl.cli.export import export
from nmt_rl.cli.info import info
from nmt_rl.cli.inspect import inspect
from nmt_rl.cli.merge import merge
from nmt_rl.cli.remember import remember
from nmt_rl.cli.report import report
from nmt_rl.cli.score import score
from nmt_rl.cli.signals import raised_signals
from nmt_rl.cli.train import finetune, prepare, pretrain, quickstart, run
from nmt_rl.cli.translate import translate
from nmt_rl.cli.tune import tune
from nmt_rl.cli.verify import verify
from nmt_rl.errors import RunError, Terminated, UserError, printable
from nmt_rl.storage.streams import standard_output, whole_streams

app = typer.Typer(
    name="nmt-rl",
    help="Train translation models, fine-tune them for BLEU as a deep Q-network, translate files, report scores.",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)
TRAINING = (quickstart, prepare, pretrain, finetune, run, tune, chain)
FOLDERS = (average, merge, remember, export, info, verify)
for verb in (*TRAINING, report, translate, score, choose, evaluate, compare, inspect, *FOLDERS):
    app.command(cls=Verb)(verb)

# The base of all errors in a command line. Typer names only this subclass of it, and has moved it from click to itself.
CommandLineError = cast(type[typer.BadParameter], typer.BadParameter.__base__)

LONGEST = 5000
"""Characters of a message."""
INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""
WITH_OUTPUT = {"translate", "score", "choose"}
"""May write elsewhere than to standard output."""
STAGES = {"prepare", "pretrain", "finetune", "run", "quickstart", "chain"}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt-rl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")] = False,
) -> None:
    logging.getLogger("nmt_rl").setLevel(logging.WARNING if quiet else logging.INFO)
    if ctx.invoked_subcommand not in WITH_OUTPUT:
        standard_output()
    _name_temporary_folder()


def _name_temporary_folder() -> None:
    """Where none can be written, the user's home: libraries ask for one as they are loaded, and most never use it."""
    import tempfile

    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.environ.get("HOME", os.sep)


class _Printable(logging.Formatter):
    """Names of files and values of model folders can hold what steers a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def main() -> None:
    """Run a command; exit 0 done, 1 the run failed, 2 the user's input was wrong, 128 + n ended by signal n."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with whole_streams(), raised_signals():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Printable("%(message)s"))
        logging.getLogger("nmt_rl").addHandler(handler)
        code = _run(sys.argv[1:] or ["--help"])
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command, say in one sentence how it ended if not well; its exit code."""
    without = " without --fresh" if "--fresh" in arguments else ""
    again = f"; the same command{without} goes on from what is saved" if STAGES & set(arguments[:2]) else ""
    try:
        code = app(arguments, standalone_mode=False)
    except UserError as error:
        return _failed(str(error), 2)
    except CommandLineError as error:
        command = error.ctx.command_path if error.ctx else "nmt-rl"
        return _failed(f"{error.format_message().rstrip('.?')}; try {command} --help", 2)
    except RunError as error:
        return _failed(str(error), 1)
    except OSError as error:  # a full disk, a folder without permission: what no verb foresaw
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _failed(f"{where}{error.strerror or error}", 1)
    except Terminated as end:
        print(f"nmt-rl: terminated by {end.signal.name}{again}", file=sys.stderr)
        return int(end.code or 0)
    if code == INTERRUPTED:
        print(f"nmt-rl: interrupted{again}", file=sys.stderr)
    return code or 0


def _failed(sentence: str, code: int) -> int:
    if len(sentence) > LONGEST:  # It names a value of somebody's file.
        sentence = f"{sentence[: LONGEST // 2]} ... {sentence[-LONGEST // 2 :]}"
    print(f"nmt-rl: error: {printable(sentence)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
