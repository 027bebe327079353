"""Lines of several sentences: split, translated sentence by sentence, joined again."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Sequence

from nmt_rl.corpus.languages import joins_sentences, short_code
from nmt_rl.decoding.translator import BLANK, Hypothesis, Translation, Translator
from nmt_rl.errors import UserError


def require_splitter() -> None:
    """Raise a UserError if the splitter is not installed."""
    if importlib.util.find_spec("sentencex") is None:
        hint = 'pip install sentencex, or pip install "nmt-rl[sentences]"'
        raise UserError(f"the sentence splitter is not installed; {hint}")


class SentenceTranslator:
    """A Translator of single sentences that takes lines of several; in place of it.

    Args:
        translator: of sentences.
        source_language: its code, for the rules of abbreviations and marks (sentencex).
        target_language: its code; Chinese and Japanese are joined without blanks.

    Raises:
        UserError: if the splitter is not installed.
    """

    def __init__(self, translator: Translator, source_language: str, target_language: str) -> None:
        """See the class docstring."""
        require_splitter()
        import sentencex

        self.translator, self.language, self._segment = translator, short_code(source_language), sentencex.segment
        self.blank = joins_sentences(target_language)

    def split(self, line: str) -> list[str]:
        """The sentences of a line; none of a blank one."""
        # The splitter stops the program at blanks of several bytes, such as U+00A0 behind a mark.
        plain = "".join(" " if character.isspace() else character for character in line)
        return [sentence.strip() for sentence in self._segment(self.language, plain) if sentence.strip()]

    def translate(
        self,
        lines: Sequence[str],
        nbest: int = 1,
        first_line: int = 1,
        prefixes: Sequence[str] | None = None,
        progress: Callable[[int], None] = lambda lines: None,
    ) -> list[Translation]:
        """One translation per line, in order; its score is the mean of its sentences'; see Translator.translate.

        Raises:
            UserError: for several best translations, or for prefixes: those are of single sentences.
        """
        if nbest > 1 or prefixes is not None:
            raise UserError("n-best lists and prefixes are of single sentences; leave out --split-sentences")
        split = [self.split(line) for line in lines]
        numbers = [number for number, own in enumerate(split, start=first_line) for _ in own]
        sentences = list(itertools.chain.from_iterable(split))

        def report(done: int) -> None:
            progress(done * len(lines) // len(sentences))

        found = iter(self.translator.translate(sentences, numbers=numbers, progress=report))
        return [self._joined([next(found) for _ in own]) for own in split]

    def _joined(self, parts: list[Translation]) -> Translation:
        if not parts:
            return BLANK
        text = self.blank.join(part.text for part in parts if part.text)
        score = sum(part.score for part in parts) / len(parts)
        best = [part.nbest[0] for part in parts]
        pieces = tuple(itertools.chain.from_iterable(each.pieces for each in best))
        log_prob, length = sum(each.log_prob for each in best), sum(each.length for each in best)
        return Translation(text, score, (Hypothesis(text, score, pieces, log_prob, length),))
