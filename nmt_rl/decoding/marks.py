"""What is written into a source before it is translated, a tag and translations of terms, or must be in what comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nmt_rl.corpus.glossary import OPEN, Glossary, read_glossary
from nmt_rl.corpus.languages import language_tag, tagged_language
from nmt_rl.corpus.sources import tagged
from nmt_rl.corpus.tokenizer import PAD, SPACE, UNK, Tokenizers
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.decoding.constrained import Phrases
    from nmt_rl.decoding.request import Request


@dataclass(frozen=True)
class Marks:
    """What is written into sources."""

    tag: str = ""
    """Before each, as a word of its own."""
    glossary: Glossary | None = None
    """Translations behind its terms."""
    forced: Glossary | None = None
    """Not written; translations hold those of its terms."""

    @classmethod
    def of(cls, request: Request) -> Marks:
        """Those of a request."""
        glossary = None if request.glossary is None else read_glossary(request.glossary)
        return cls(request.tag, forced=glossary) if request.force_terms else cls(request.tag, glossary)

    def phrases_of(self, tokenizers: Tokenizers) -> Callable[[np.ndarray], Phrases]:
        """What gives the pieces that a translation must hold, by those of its source, int32 [source time]."""
        assert self.forced is not None
        forced = self.forced

        def phrases(source: np.ndarray) -> Phrases:
            text = tokenizers.source.decode([source[source != PAD]])[0]
            wanted = dict.fromkeys(translation for _, translation in forced.found(text))
            return tokenizers.target.encode(list(wanted))

        return phrases

    def written(self, source: str) -> str:
        """A source with them; a blank one stays blank."""
        if self.glossary is not None:
            source = self.glossary.annotated(source)
        return tagged(self.tag, source) if self.tag else source


NOTHING = Marks()


def must_know_tag(folder: Path, tag: str) -> None:
    """Raise a UserError if a tag is no piece of a model's source side: it would be read as any other word."""
    spelled = _spelled(folder, tag)
    if tag not in spelled:
        pieces = " ".join(piece for piece in spelled if piece != SPACE) or "nothing"
        raise UserError(
            f"--tag {tag!r} is no tag of {folder}, which would read {pieces}; give one that its corpus.train has as tag"
        )


def known_languages(folder: Path) -> list[str]:
    """Codes of the languages that a model has a tag for, such as `<2de>`, sorted."""
    tokenizer = Tokenizers.load(folder).source
    return sorted(filter(None, map(tagged_language, tokenizer.pieces(range(tokenizer.size)))))


def tag_to(folder: Path, language: str, option: str = "--to") -> str:
    """A model's tag for a language; raises UserError naming the option, and the languages that it has one for."""
    known = known_languages(folder)
    if language in known:
        return language_tag(language)
    if not known:
        raise UserError(
            f"{option} {language} is of models whose sources have tags such as {language_tag(language)}, but {folder} "
            "has none; leave it out"
        )
    raise UserError(f"{option} {language!r} is no language that {folder} has a tag for; it knows {', '.join(known)}")


def must_know_terms(folder: Path) -> None:
    """Raise a UserError if a model was not trained with `corpus.terms`."""
    if OPEN not in _spelled(folder, OPEN):
        raise UserError(f"--glossary needs a model that was trained with corpus.terms, which {folder} was not")


def must_spell_terms(folder: Path, glossary: Path) -> None:
    """Raise a UserError if a model has no pieces for what a translation must hold."""
    wanted = list(read_glossary(glossary).terms.values())
    for term, ids in zip(wanted, Tokenizers.load(folder).target.encode(wanted), strict=True):
        if UNK in ids:
            raise UserError(f"{glossary} has {term!r}, which {folder} cannot spell; leave it out")


def _spelled(folder: Path, text: str) -> list[str]:
    tokenizer = Tokenizers.load(folder).source
    return tokenizer.pieces(tokenizer.encode([text])[0])
