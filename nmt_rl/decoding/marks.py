"""What is written into a source before it is translated: a tag that says what is wanted, translations of terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nmt_rl.corpus.glossary import OPEN, Glossary, read_glossary
from nmt_rl.corpus.sources import tagged
from nmt_rl.corpus.tokenizer import SPACE, Tokenizers
from nmt_rl.errors import UserError


@dataclass(frozen=True)
class Marks:
    """What is written into sources."""

    tag: str = ""
    """Before each, as a word of its own."""
    glossary: Glossary | None = None
    """Translations behind its terms."""

    @classmethod
    def of(cls, tag: str, glossary: Path | None) -> Marks:
        """Those of a request."""
        return cls(tag, None if glossary is None else read_glossary(glossary))

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


def must_know_terms(folder: Path) -> None:
    """Raise a UserError if a model was not trained with `corpus.terms`."""
    if OPEN not in _spelled(folder, OPEN):
        raise UserError(f"--glossary needs a model that was trained with corpus.terms, which {folder} was not")


def _spelled(folder: Path, text: str) -> list[str]:
    tokenizer = Tokenizers.load(folder).source
    return tokenizer.pieces(tokenizer.encode([text])[0])
