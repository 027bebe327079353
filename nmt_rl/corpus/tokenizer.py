"""SentencePiece subwords: training, encoding, decoding, and reproducible sampling of segmentations."""

from __future__ import annotations

import functools
import io
import itertools
import logging
import math
import random
import re
import sys
import tempfile
import unicodedata
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece

from nmt_rl.config import TokenizerConfig
from nmt_rl.corpus.byte_pieces import NONE, byte_value
from nmt_rl.corpus.characters import UNSPACED
from nmt_rl.corpus.sentencepiece_model import Nature, read_nature
from nmt_rl.errors import UserError
from nmt_rl.storage.reading import read_bytes
from nmt_rl.storage.writing import written_file

log = logging.getLogger("nmt_rl")

PAD, UNK, BOS, EOS = 0, 1, 2, 3
"""Ids of the control symbols: padding, unknown piece, begin and end of a sentence."""

SPACE = "▁"
THREADS = 4
"""Training threads; fixed, because sums over a different number of threads may differ in the last bit."""
OPENING = '("-“„'
"""Marks behind which a word stands without a blank."""
LARGEST = 2**23
"""Bytes of a SentencePiece model."""
LONGEST_LINE = 2**30
"""Bytes of a line to train on: what is too long is a matter of cleaning."""
RESERVED = "▅ (U+2585)"
"""What SentencePiece writes for an unknown character while it trains."""
CANDIDATES = 32
"""Best segmentations of a word among which unigram sampling draws."""


class Tokenizer:
    """One SentencePiece model.

    Args:
        model: the serialised SentencePiece model.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self._segmentations = functools.lru_cache(maxsize=16384)(self._segment_unigram)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same SentencePiece model."""
        return isinstance(other, Tokenizer) and self.model == other.model

    def __hash__(self) -> int:
        """Of the serialised model."""
        return hash(self.model)

    @property
    def size(self) -> int:
        """Number of pieces, control symbols included."""
        return int(self._processor.get_piece_size())

    @property
    def control_ids(self) -> tuple[int, int, int, int]:
        """What it has for PAD, UNK, BOS and EOS; -1: it has none."""
        processor = self._processor
        return processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()

    @functools.cached_property
    def nature(self) -> Nature:
        """How the model was trained."""
        return read_nature(self.model)

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Piece ids of each line, without BOS and EOS."""
        return self._processor.encode(list(lines), out_type=int)

    def decode(self, ids: Iterable[Sequence[int] | np.ndarray]) -> list[str]:
        r"""Text of each list of ids, on one line each; PAD, BOS and EOS vanish, a generated `\n` becomes a space."""
        rows = [row.tolist() if isinstance(row, np.ndarray) else [int(i) for i in row] for row in ids]
        return [text.replace("\n", " ") for text in self._processor.decode(rows)] if rows else []

    @functools.cached_property
    def byte_values(self) -> np.ndarray:
        """Of each piece the byte that it is, or -1: int32 [pieces]."""
        is_byte = self._processor.is_byte
        return np.array([byte_value(p) if is_byte(i) else NONE for i, p in enumerate(self.pieces(range(self.size)))])

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """The pieces themselves; none of them holds a blank."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def ids_of(self, pieces: Iterable[str]) -> list[int]:
        """Ids of pieces, as `pieces` gave them; ValueError names what is none."""
        found = []
        for piece in pieces:
            found.append(self._processor.piece_to_id(piece))
            if found[-1] == UNK and piece != self._processor.id_to_piece(UNK):
                raise ValueError(piece)
        return found

    def spellings(self, phrase: str) -> list[list[int]]:
        """Piece ids of a phrase as words of their own and as they stand behind what goes before without a blank.

        That is any word if the phrase begins with a mark, or in a script that puts no blanks between words; and for
        all others an opening mark, which is part of what is given then, so that `men` is not what ends `women`.
        """
        text = phrase.lstrip()
        alone = self.encode([text])[0]
        if not alone:
            return []
        if not text[0].isalnum() or UNSPACED.match(text):
            behind = [self._behind("a", text)]
        else:
            behind = [ids for mark in OPENING for word in (mark, "a" + mark) if (ids := self._behind(word, text, 1))]
        return [list(ids) for ids in dict.fromkeys(map(tuple, [alone, *behind])) if ids]

    def _behind(self, word: str, text: str, before: int = 0) -> list[int]:
        """Pieces of a text behind a word, with so many of the word's; none if they share a piece."""
        first, both = self.encode([word, word + text])
        return both[len(first) - before :] if both[: len(first)] == first and both[len(first) :] else []

    def sample(self, lines: Sequence[str], rng: np.random.Generator, config: TokenizerConfig) -> list[list[int]]:
        """Piece ids of one segmentation of each line, drawn word by word.

        unigram: P(x)^alpha over the best segmentations of each word (Kudo, 2018, section 3.2). bpe: every applicable
        merge is skipped with probability alpha (BPE-dropout; Provilkov et al., 2020, algorithm 1). SentencePiece's own
        sampling is not used, because its draws differ from process to process even with a seed.
        """
        draw = random.Random(int(rng.integers(2**62)))
        word = self._sample_unigram if self.nature.type == "unigram" else self._sample_bpe
        symbols = self.nature.user_symbols
        blocked = re.compile("|".join(map(re.escape, symbols))) if symbols else None
        rows = []
        for line in lines:
            if blocked is not None and blocked.search(line):  # a user symbol must stay one piece
                rows.extend(self.encode([line]))
                continue
            words = (word(w, config.sampling_alpha, draw) for w in line.split(" ") if w)
            rows.append(list(itertools.chain.from_iterable(words)))
        return rows

    def _segment_unigram(self, word: str, alpha: float) -> tuple[list[float], list[list[int]]]:
        """Cumulative unnormalised probabilities P(x)^alpha, and the segmentations they belong to."""
        best: list[list[int]] = self._processor.nbest_encode(word, nbest_size=CANDIDATES, out_type=int)
        scores = [sum(self._processor.get_score(i) for i in ids) for ids in best]
        weights = (math.exp(alpha * (score - scores[0])) for score in scores)
        return list(itertools.accumulate(weights)), best

    def _sample_unigram(self, word: str, alpha: float, draw: random.Random) -> list[int]:
        cumulative, segmentations = self._segmentations(word, alpha)
        return segmentations[min(bisect(cumulative, draw.random() * cumulative[-1]), len(segmentations) - 1)]

    def _sample_bpe(self, word: str, alpha: float, draw: random.Random) -> list[int]:
        symbols = list(SPACE + self._processor.normalize(word).removeprefix(SPACE))
        while True:
            merges = [
                (rank, i)
                for i, pair in enumerate(itertools.pairwise(symbols))
                if (rank := self._merge_ranks.get(pair[0] + pair[1])) is not None and draw.random() >= alpha
            ]
            if not merges:
                break
            _, i = min(merges)
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        return [piece for symbol in symbols for piece in self._ids_of(symbol)]

    @functools.cached_property
    def _merge_ranks(self) -> dict[str, float]:
        p = self._processor
        special = (p.is_control, p.is_unknown, p.is_byte, p.is_unused)
        ordinary = (i for i in range(self.size) if not any(test(i) for test in special))
        return {p.id_to_piece(i): -p.get_score(i) for i in ordinary}

    def _ids_of(self, symbol: str) -> list[int]:
        if symbol in self._merge_ranks:
            return [self._processor.piece_to_id(symbol)]
        as_bytes = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in symbol.encode("utf-8")]
        return [UNK] if UNK in as_bytes else as_bytes


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of both sides; the same object twice if the vocabulary is shared."""

    source: Tokenizer
    target: Tokenizer

    @property
    def shared(self) -> bool:
        """Whether both sides have one vocabulary."""
        return self.source is self.target

    def save(self, folder: Path) -> None:
        """Write tokenizer.model, or tokenizer.source.model and tokenizer.target.model."""
        folder.mkdir(parents=True, exist_ok=True)
        both = {"tokenizer.source.model": self.source, "tokenizer.target.model": self.target}
        named = {"tokenizer.model": self.source} if self.shared else both
        for name in {"tokenizer.model", *both} - set(named):
            (folder / name).unlink(missing_ok=True)
        for name, tokenizer in named.items():
            with written_file(folder / name) as stream:
                stream.write(tokenizer.model)

    @classmethod
    def load(cls, folder: Path) -> Tokenizers:
        """Read what `save` wrote; raises UserError if a file is missing or no SentencePiece model."""
        two = [folder / "tokenizer.source.model", folder / "tokenizer.target.model"]
        if not (folder / "tokenizer.model").exists() and any(path.exists() for path in two):
            return cls(_load(two[0]), _load(two[1]))
        both = _load(folder / "tokenizer.model")
        return cls(both, both)


def _load(path: Path) -> Tokenizer:
    model = read_bytes(path, LARGEST)
    try:
        tokenizer = Tokenizer(model)
        pieces = tokenizer.pieces(range(tokenizer.size))
    except RuntimeError:
        raise UserError(f"{path} is not a SentencePiece model") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: {error.object[:40]!r} is not UTF-8") from None
    if (blank := next((piece for piece in pieces if re.search("[ \t\r\n]", piece)), None)) is not None:
        raise UserError(f"{path} is damaged: piece {blank[:40]!r} holds a blank")
    if tokenizer.control_ids != (PAD, UNK, BOS, EOS):
        both = list(zip(("pad", "unk", "bos", "eos"), tokenizer.control_ids, strict=True))
        found = ", ".join(f"{name} {'none' if i < 0 else i}" for name, i in both)
        wanted = " ".join(f"--{name}_id={i}" for i, (name, _) in enumerate(both))
        raise UserError(f"{path} has the ids {found}; a model must be trained with {wanted}")
    return tokenizer


def own_tokenizers(config: TokenizerConfig) -> Tokenizers | None:
    """The models that `config.model` names, or None.

    Raises:
        UserError: for a file that is no SentencePiece model, or one that numbers its control symbols otherwise, has its
            blanks behind the words, or cannot be sampled though that is wanted.
    """
    both = [_own(Path(name), config.sampling) for name in config.model]
    return Tokenizers(both[0], both[-1]) if both else None


def _own(path: Path, sampling: bool) -> Tokenizer:
    try:
        tokenizer = _load(path)
    except UserError as error:
        raise UserError(f"tokenizer.model: {error}") from error
    if tokenizer.nature.blanks_behind:
        raise UserError(
            f"tokenizer.model: {path} was trained with --treat_whitespace_as_suffix, which is not supported"
        )
    if sampling and tokenizer.nature.type not in ("unigram", "bpe"):
        kind = tokenizer.nature.type
        raise UserError(f"tokenizer.sampling needs a model of type unigram or bpe, but {path} is of type {kind}")
    return tokenizer


def train_tokenizers(
    read_source: Callable[[], Iterable[str]],
    read_target: Callable[[], Iterable[str]],
    pairs: int,
    config: TokenizerConfig,
    seed: int,
) -> Tokenizers:
    """Train on at most `config.sample_lines` random lines, both sides together; the text is only streamed.

    Args:
        read_source: opens the source lines anew.
        read_target: opens the target lines anew.
        pairs: number of lines on each side.
        config: the tokenizer section.
        seed: of the sample.

    Raises:
        UserError: if the text does not permit a vocabulary of that size.
    """
    source = sample_lines(read_source(), pairs, config.sample_lines // 2, seed)
    target = sample_lines(read_target(), pairs, config.sample_lines // 2, seed)
    if config.shared:
        both = train_tokenizer(itertools.chain(source, target), config)
        return Tokenizers(both, both)
    return Tokenizers(train_tokenizer(source, config), train_tokenizer(target, config))


def sample_lines(lines: Iterable[str], total: int, size: int, seed: int) -> Iterator[str]:
    """A uniform sample without replacement of `size` of `total` lines, in order, in constant memory.

    Selection sampling (Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S).
    """
    draw = random.Random(seed)
    needed = min(size, total)
    for left, line in zip(range(total, 0, -1), lines, strict=False):
        if draw.random() * left < needed:
            needed -= 1
            yield line


def train_tokenizer(lines: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Train one SentencePiece model on lines; the same lines give the same model.

    Raises:
        UserError: naming tokenizer.vocabulary and the possible range, if the text does not permit that size.
    """
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        rules.write_text(normalization_rules(), encoding="ascii")
        own = config.normalization == "nfc"
        normalization = (
            {"normalization_rule_tsv": str(rules)} if own else {"normalization_rule_name": config.normalization}
        )
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=model,
                model_type=config.type,
                vocab_size=config.vocabulary,
                hard_vocab_limit=not config.vocabulary_is_bound,
                character_coverage=config.character_coverage,
                byte_fallback=config.byte_fallback,
                user_defined_symbols=list(config.user_symbols),
                **normalization,
                pad_id=PAD,
                unk_id=UNK,
                bos_id=BOS,
                eos_id=EOS,
                num_threads=THREADS,
                max_sentence_length=LONGEST_LINE,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise _explain(error, config) from None
    # the model records where the rules were; a temporary name would make every model different
    path = str(rules).encode()
    tokenizer = Tokenizer(model.getvalue().replace(path, b"rules.tsv".rjust(len(path), b"/")))
    if tokenizer.size < config.vocabulary:
        sizes = f"{tokenizer.size:,}", f"{config.vocabulary:,}"
        log.info("the training text permits a vocabulary of %s pieces, less than %s", *sizes)
    return tokenizer


def _explain(error: RuntimeError, config: TokenizerConfig) -> Exception:
    message = str(error)
    if high := re.search(r"too high \(\d+\)\. Please set it to a value <= (\d+)", message):
        return UserError(
            f"tokenizer.vocabulary {config.vocabulary} is more than the training text permits; the most is "
            f"{high.group(1)}, which tokenizer.vocabulary_is_bound: true takes"
        )
    if low := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return UserError(
            f"tokenizer.vocabulary {config.vocabulary} is less than the characters of the training text need; "
            f"the least is {low.group(1)}, or lower tokenizer.character_coverage"
        )
    if "sentences_.empty" in message or "all_chars_count" in message:
        return UserError(f"the training text has no line for SentencePiece, which leaves out those with {RESERVED}")
    log.debug("SentencePiece: %s", message)
    return UserError(
        f"SentencePiece cannot make {config.vocabulary} pieces of type {config.type} of the training text; "
        "try another tokenizer.vocabulary or tokenizer.type"
    )


@functools.cache
def normalization_rules() -> str:
    """SentencePiece rules that make every kind of white space a space and compose characters (NFC); nothing else.

    Its default, nmt_nfkc, also rewrites `…`, `½` or `²`, so a translation could never contain them, while references
    do, and scores on cased detokenised text would suffer. Ordinary text passes unchanged. Hangul is composed by
    rule in Unicode and left out: 11,172 entries for text that is practically always composed already.
    """
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xAC00 <= c <= 0xD7A3]
    rules = {c: " " for c in characters if c.isspace() and c != " "}
    for character in characters:
        decomposed = unicodedata.normalize("NFD", character)
        if decomposed != character and unicodedata.normalize("NFC", decomposed) == character:
            rules[decomposed] = character
            if len(decomposed) == 3:  # first mark composed already, second not: Ü + macron
                rules[unicodedata.normalize("NFC", decomposed[:2]) + decomposed[2]] = character
    return "".join(f"{_hexadecimal(old)}\t{_hexadecimal(new)}\n" for old, new in sorted(rules.items()))


def _hexadecimal(text: str) -> str:
    return " ".join(f"{ord(c):X}" for c in text)
