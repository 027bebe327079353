"""Arguments that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[str, typer.Argument(help="Name of a shipped recipe, or path of a YAML file.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run; the same command again resumes.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable.")
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh", help="Delete this stage and all later ones first (prepare, run, quickstart: the whole run)."
    ),
]
