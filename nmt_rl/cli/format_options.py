"""What translate writes, and what its lines hold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt_rl.cli.options import AlignmentKind, option_name

if TYPE_CHECKING:
    from nmt_rl.decoding.formats import Format


@dataclass(frozen=True)
class FormatOptions:
    """The options, as the user gave them; see `SearchOptions`."""

    nbest: Annotated[int | None, typer.Option(min=1, help="Write N lines 'index ||| text ||| score' per line.")] = None
    scores: Annotated[
        bool, typer.Option("--scores", help="Write 'text TAB score TAB confidence' per line; confidence is in [0, 1].")
    ] = False
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Write pieces, divided by blanks, instead of text; for score --pieces.")
    ] = False
    alignment: AlignmentKind = None
    format: Annotated[
        Literal["text", "json"],
        typer.Option(help="Of the output; json: an object with text, score, confidence and what else is asked for."),
    ] = "text"
    input_format: Annotated[
        Literal["text", "json"],
        typer.Option(help='Of the input; json: a string or {"text": ...} per line, other keys are given back.'),
    ] = "text"

    def given(self) -> list[str]:
        """The options that the user gave, as he wrote them."""
        return [option_name(field.name) for field in fields(self) if getattr(self, field.name) != field.default]

    def written(self) -> Format:
        """How translations are written; raises UserError for what would be written twice."""
        from nmt_rl.decoding.formats import Format
        from nmt_rl.errors import UserError

        is_json = self.format == "json"
        if self.scores and (is_json or self.nbest is not None):
            raise UserError(f"--scores is in {'JSON' if is_json else 'n-best lists'} already; leave it out")
        return Format(self.nbest, self.pieces, self.scores, self.alignment, is_json)
