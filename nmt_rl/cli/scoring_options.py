"""What is scored, and by what: the options that evaluate and compare share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nmt_rl.evaluation.testsets import TestSet


@dataclass(frozen=True)
class ScoringOptions:
    """The options, as the user gave them; see `SearchOptions`."""

    source: Annotated[list[Path] | None, typer.Option(help="Source text, one sentence per line.")] = None
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="Reference translations of --source; several: several references of each line."),
    ] = None
    test_set: Annotated[
        list[str] | None,
        typer.Option("-t", "--test-set", metavar="NAME", help="A sacreBLEU test set: wmt14, wmt14/full."),
    ] = None
    languages: Annotated[
        str | None, typer.Option("-l", "--languages", help="The language pair of the test set: en-de.")
    ] = None
    metrics: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Of bleu, chrf, chrf++, ter, compound-bleu, accuracy, macro-f1, exact, f1, rouge-l, language "
            "(evaluate: and comet).",
        ),
    ] = "bleu,chrf"
    tokenize: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="sacreBLEU's tokenizer for BLEU: 13a, intl, char, zh, ...; default: by language."
        ),
    ] = None

    @property
    def texts(self) -> list[Path]:
        """Files of sources and references."""
        return [*(self.source or []), *(self.reference or [])]

    def read(self, translations: Sequence[Path], needs_source: bool) -> list[TestSet]:
        """The test sets.

        Args:
            translations: files that will be read beside them.
            needs_source: whether references alone do not do.

        Raises:
            UserError: for a folder or no text, before any text is read whole; and see `read_test_sets`.
        """
        from nmt_rl.bundle import must_be_text
        from nmt_rl.corpus.inputs import check_inputs
        from nmt_rl.evaluation.testsets import read_test_sets

        source, reference = self.source or [], self.reference or []
        must_be_text("--source", *source)
        must_be_text("--reference", *reference)
        check_inputs([*self.texts, *translations])
        return read_test_sets(source, reference, self.test_set or [], self.languages, needs_source)

    def metric_names(self, others: tuple[str, ...] = ()) -> list[str]:
        """The metrics, such as `bleu,chrF++`, in any case; raises UserError for one not in LABELS or `others`."""
        from nmt_rl.errors import UserError
        from nmt_rl.evaluation.metrics import LABELS

        known = (*LABELS, *others)
        names = list(dict.fromkeys(name.strip().lower() for name in self.metrics.split(",") if name.strip()))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise UserError(f"--metrics takes names of {', '.join(known)}, found {', '.join(unknown) or 'none'}")
        return names
