"""What a search finds, and what a translator asks of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig


class Hypotheses(NamedTuple):
    """What a search returns, best hypothesis first (samples: as they were drawn); NumPy arrays."""

    ids: np.ndarray
    """int32 [batch, beam, time]: pieces, EOS, then PAD; all PAD if there are fewer hypotheses than the beam holds."""
    lengths: np.ndarray
    """int32 [batch, beam]: pieces including EOS; 0 for a hypothesis that does not exist."""
    log_probs: np.ndarray
    """float32 [batch, beam]: log-probability of the sequence; -inf if it does not exist."""
    scores: np.ndarray
    """float32 [batch, beam]: `log_probs` divided by the length penalty, or what else they are ordered by; -inf if it
    does not exist."""


class Prefix(NamedTuple):
    """What the hypotheses of each source begin with; NumPy arrays."""

    ids: np.ndarray
    """int32 [batch, prefix time], without BOS."""
    lengths: np.ndarray
    """int32 [batch]: how many of them count."""


class Search(Protocol):
    """A model and the way its translations are searched for."""

    max_length: int
    """Most pieces of a source or a translation."""

    def __call__(self, source: np.ndarray, max_lengths: np.ndarray, prefix: Prefix | None = None) -> Hypotheses:
        """The hypotheses of each source.

        Args:
            source: int32 [batch, source time], PAD-padded.
            max_lengths: int32 [batch], at least 1: most pieces including EOS. A prefix that leaves no room for EOS
                raises its row's limit.
            prefix: the first pieces of every hypothesis of the row; None: free.
        """


def length_limits(pieces: np.ndarray, settings: DecodingConfig, longest: int) -> np.ndarray:
    """Most pieces of the translation of each source, EOS included, int32 [sources].

    Args:
        pieces: of the sources, without EOS, int [sources].
        settings: ratio, extra pieces, and the least length, which a limit leaves room for.
        longest: what the model has room for.
    """
    limits = np.floor(pieces * settings.max_length_ratio) + settings.max_length_extra
    return np.minimum(np.maximum(limits, settings.min_length + 1), min(longest, 2**30)).astype("int32")
