"""nmt-rl report: a run looked at, finished or not."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import named_folder


def report(
    run: Annotated[Path, typer.Argument(parser=named_folder, metavar="RUN", help="Folder of the run.")],
) -> None:
    """Say how far a run is; once all it began is finished, write report.html, figures and metrics.json anew.

    A run may be looked at while another process works in it: nothing is written then.
    """
    from nmt_rl.errors import printable_lines
    from nmt_rl.experiment import run_status, write_run_report

    if status := run_status(run):
        typer.echo(printable_lines(status.text()))
        return
    written = write_run_report(run)
    typer.echo(f"{written.text()}\n\nReport: {written.path}\nTranslate a file with its model:")
    typer.echo(f"    nmt-rl translate {shlex.quote(str(run / 'model'))} < input.txt > output.txt")
