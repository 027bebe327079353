"""Arguments that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt_rl.storage.streams import from_home

Recipe = Annotated[str, typer.Argument(help="Name of a shipped recipe, or path of a YAML file; -: stdin.")]


def option_name(parameter: str) -> str:
    """The option of a parameter of a verb, as the user types it."""
    return f"--{parameter.replace('_', '-')}"


def named_folder(given: str | Path) -> Path:
    """The folder that an option names: not standard output, nor, by an unset variable, the working folder.

    Shells leave the `~` of `--out=~/run` as it is. Typer hands over an option's default as well, which is a path.
    """
    if str(given).strip() in ("", "-"):
        raise typer.BadParameter(f"needs the name of a folder, found {str(given)!r}")
    return from_home(given)


Out = Annotated[
    Path,
    typer.Option(
        "--out", parser=named_folder, metavar="FOLDER", help="Folder of the run; the same command again resumes."
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable.")
]
Fresh = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Start this stage and all later ones over (prepare, run, quickstart: the whole run). What was there is in "
        "RUN/replaced until the new one is finished.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", min=1, help="Processes that clean and encode; default: one for each processor."),
]

Output = Annotated[Path, typer.Option("-o", "--output", help="Text file (.gz, .xz, .bz2); default: stdout.")]

LengthPenalty = Annotated[
    float | None, typer.Option("--length-penalty", min=0.0, help="Exponent; larger prefers longer.")
]
LengthNormalization = Annotated[
    Literal["average", "gnmt"] | None,
    typer.Option("--length-normalization", help="Divide by length^penalty or by ((5 + length) / 6)^penalty (gnmt)."),
]
WordReward = Annotated[
    float | None,
    typer.Option("--word-reward", help="Bias against ending, nats; larger: longer."),
]
Tag = Annotated[
    str | None,
    typer.Option(
        "--tag", metavar="TAG", help="What every source begins with: a tag that the model was trained with (<2de>)."
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="LANGUAGE", help="Of a model that knows several by tags: translate into it (de)."),
]
Through = Annotated[
    str | None,
    typer.Option("--through", metavar="LANGUAGE", help="Translate into this language first, and from it by --to."),
]
AlignmentKind = Annotated[
    Literal["pharaoh", "matrix"] | None,
    typer.Option(
        "--alignment", help="Also which source word each word looks at: 'i-j' pairs, or JSON with all weights."
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    typer.Option(
        "--precision", help="Of matrix products (an LSTM: of most of it); bfloat16 is faster on CPUs that have it."
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Processor threads (not under JAX); default: the engine's own.")
]
