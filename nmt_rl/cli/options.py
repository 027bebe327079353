"""Arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

Recipe = Annotated[str, typer.Argument(help="Name of a shipped recipe, or path of a YAML file; -: stdin.")]


def named_folder(given: str | Path) -> Path:
    """The folder that an option names: not standard output, nor, by an unset variable, the working folder.

    Typer hands over an option's default as well, which is a path.
    """
    if str(given).strip() in ("", "-"):
        raise typer.BadParameter(f"needs the name of a folder, found {str(given)!r}")
    return Path(given)


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

Output = Annotated[Path, typer.Option("-o", "--output", help="Text file (.gz, .xz, .bz2); default: stdout.")]

Sources = Annotated[list[Path] | None, typer.Option("--source", help="Source text, one sentence per line.")]
References = Annotated[
    list[Path] | None,
    typer.Option("--reference", help="Reference translations of --source; several: several references of each line."),
]
StandardSets = Annotated[
    list[str] | None, typer.Option("-t", "--test-set", metavar="NAME", help="A sacreBLEU test set: wmt14, wmt14/full.")
]
Languages = Annotated[str | None, typer.Option("-l", "--languages", help="The language pair of the test set: en-de.")]
Metrics = Annotated[
    str, typer.Option(metavar="LIST", help="Of bleu, chrf, chrf++, ter, compound-bleu (evaluate: and comet).")
]
Tokenize = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="sacreBLEU's tokenizer for BLEU: 13a, intl, char, zh, ...; default: by language."
    ),
]

LengthPenalty = Annotated[
    float | None, typer.Option("--length-penalty", min=0.0, help="Exponent; larger prefers longer.")
]
LengthNormalization = Annotated[
    Literal["average", "gnmt"] | None,
    typer.Option("--length-normalization", help="Divide by length^penalty or by ((5 + length) / 6)^penalty (gnmt)."),
]
WordReward = Annotated[
    float | None,
    typer.Option("--word-reward", min=-100.0, max=100.0, help="Bias against ending, nats; larger: longer."),
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


def check_texts(
    sources: Sequence[Path] | None, references: Sequence[Path] | None, translations: Sequence[Path] = ()
) -> None:
    """Look at the texts of a command before any is read whole; raises UserError for a folder, or no text."""
    from nmt_rl.bundle import must_be_text
    from nmt_rl.corpus.inputs import check_inputs

    must_be_text("--source", *(sources or []))
    must_be_text("--reference", *(references or []))
    check_inputs([*(sources or []), *(references or []), *translations])


def split_metrics(text: str, others: tuple[str, ...] = ()) -> list[str]:
    """The names in a list such as `bleu,chrF++`, in any case; raises UserError for one not in LABELS or `others`."""
    from nmt_rl.errors import UserError
    from nmt_rl.evaluation.metrics import LABELS

    known = (*LABELS, *others)
    names = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UserError(f"--metrics takes names of {', '.join(known)}, found {', '.join(unknown) or 'none'}")
    return names
