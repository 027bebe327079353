"""The attention of a model in Keras on given translations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from keras import ops

from nmt_rl.backend import compile_fn
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.tokenizer import BOS

if TYPE_CHECKING:
    from nmt_rl.models.seq2seq import Seq2Seq


class Attention:
    """That which is the model's alignment, see `DecoderStates`.

    Args:
        model: its current weights are used at each call.
    """

    def __init__(self, model: Seq2Seq) -> None:
        """See the class docstring."""
        self._attend = compile_fn(
            lambda source, target_in: model.decode_states(target_in, model.encode(source), False).attention, model
        )

    def __call__(self, source: list[list[int]], target: list[list[int]]) -> Sequence[np.ndarray]:
        """Weights float32 [target pieces or more, source pieces or more] of each pair.

        Args:
            source, target: piece ids of sentences and translations of them, without EOS.
        """
        target_in = np.pad(pad_source(target)[:, :-1], ((0, 0), (1, 0)), constant_values=BOS)
        return list(ops.convert_to_numpy(self._attend(pad_source(source), target_in)))
