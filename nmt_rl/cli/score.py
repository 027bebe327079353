"""nmt-rl score: how probable a model finds given translations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_rl.cli.options import (
    AlignmentKind,
    LengthNormalization,
    LengthPenalty,
    Output,
    Precision,
    Tag,
    To,
    WordReward,
    option_name,
)
from nmt_rl.cli.tag_options import chosen_tag
from nmt_rl.storage.streams import STANDARD


def score(
    model: Annotated[list[Path], typer.Argument(help="Model folder: RUN/model, or RUN itself; several: an ensemble.")],
    source: Annotated[Path, typer.Option(help="Source text, one sentence per line; - is stdin.")],
    target: Annotated[Path, typer.Option(help="A translation of each line.")],
    tokens: Annotated[bool, typer.Option("--tokens", help="Also the log-probability of each piece.")] = False,
    alignment: AlignmentKind = None,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="The translations are pieces, as translate --pieces writes them.")
    ] = False,
    tag: Tag = None,
    to: To = None,
    length_penalty: LengthPenalty = None,
    length_normalization: LengthNormalization = None,
    word_reward: WordReward = None,
    precision: Precision = None,
    output: Output = STANDARD,
) -> None:
    """Score translations: a line 'score TAB log-probability TAB pieces' for every line, in order.

    The score is that of n-best lists: the log-probability divided by the length penalty. A search may have found a
    text in other pieces than the tokenizer cuts it into; translate --pieces and score --pieces agree.
    """
    from nmt_rl.bundle import bundle_folder, load_ensemble, must_be_text, read_bundle_config
    from nmt_rl.corpus.inputs import check_inputs
    from nmt_rl.corpus.lines import must_pair
    from nmt_rl.decoding.files import score_stream
    from nmt_rl.decoding.marks import Marks
    from nmt_rl.decoding.translator import override
    from nmt_rl.storage.outputs import open_output

    folders = [bundle_folder(folder, "--source or --target") for folder in model]
    must_be_text("--source", source)
    must_be_text("--target", target)
    penalty = {"length_penalty": length_penalty, "length_normalization": length_normalization}
    given = {**penalty, "word_reward": word_reward}
    overrides = {key: value for key, value in given.items() if value is not None}
    # What is wrong must not cost the time of loading the model, or of scoring a part.
    config = override(read_bundle_config(folders[0])[0].decoding, overrides, option_name)
    check_inputs([source, target])
    must_pair(source, target)
    if pieces:
        _check_pieces(target, folders[0])
    marks = Marks(chosen_tag(folders[:1], tag, to))
    with open_output(output, inputs=[source, target]) as sink:
        bundle = load_ensemble(folders, precision or "float32")  # Which loads Keras, quietly; so it comes first.
        from nmt_rl.decoding.scorer import Scorer

        scorer = Scorer(bundle.model, bundle.tokenizers, config, marks)
        score_stream(scorer, source, target, sink, tokens, alignment, pieces=pieces)


def _check_pieces(target: Path, folder: Path) -> None:
    """Raise a UserError if a file holds what is no piece of a model; a pipe is found out on the way."""
    from nmt_rl.corpus.lines import read_lines
    from nmt_rl.corpus.tokenizer import Tokenizers
    from nmt_rl.decoding.formats import read_pieces

    if target.is_file():
        tokenizer = Tokenizers.load(folder).target
        for number, line in enumerate(read_lines(target), start=1):
            read_pieces(line, tokenizer, number)
