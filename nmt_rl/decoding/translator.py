"""Text in, text out: encoding, batches by length, search, decoding, in input order."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from nmt_rl.bundle import bundle_folder, load_ensemble, read_bundle_config
from nmt_rl.config import DecodingConfig, ModelDescription, allowed_numbers
from nmt_rl.corpus.batches import pad_source
from nmt_rl.corpus.characters import plain
from nmt_rl.corpus.languages import tagged_language
from nmt_rl.corpus.tokenizer import Tokenizers
from nmt_rl.decoding.alignment import NOTHING, align_pairs
from nmt_rl.decoding.engines import choose_conversion
from nmt_rl.decoding.hypotheses import Prefix, length_limits
from nmt_rl.decoding.marks import NOTHING as NO_MARKS
from nmt_rl.decoding.marks import Marks
from nmt_rl.decoding.memory import must_have_memory
from nmt_rl.decoding.request import AS_CONFIGURED, Request
from nmt_rl.decoding.sources import batches_within, encode_sources
from nmt_rl.decoding.surface import Surface
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.decoding.alignment import Alignment, Attend
    from nmt_rl.decoding.hypotheses import Search
    from nmt_rl.models.seq2seq import Seq2Seq

log = logging.getLogger("nmt_rl")

SHORTEST = 8
"""A shorter source counts as so many pieces: each row's logits need memory, too."""


class Hypothesis(NamedTuple):
    """One translation of a line."""

    text: str
    score: float
    pieces: tuple[str, ...] = ()
    """What the text was made of, without EOS; the tokenizer may cut the same text otherwise."""
    log_prob: float = 0.0
    """log p(translation | source) in nats, EOS included."""
    length: int = 0
    """Pieces and EOS; 0 for a blank line."""

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of its pieces and its end, at most 1; 1 for a blank line."""
        return min(1.0, math.exp(self.log_prob / self.length)) if self.length else 1.0


@dataclass(frozen=True)
class Translation:
    """The translation of one line."""

    text: str
    """The best hypothesis, without any line break."""
    score: float
    """Its log-probability divided by the length penalty, or its expected utility (mbr); 0 for a blank line."""
    nbest: tuple[Hypothesis, ...]
    """The best hypotheses, best first, or samples in the order in which they were drawn; fewer than asked for if fewer
    were found."""


BLANK = Translation("", 0.0, (Hypothesis("", 0.0),))


def copied(line: str) -> Translation:
    """That of a line which is not translated."""
    return Translation(plain(line), 0.0, (Hypothesis(plain(line), 0.0),))


class Translator:
    """Translates lines of text; equal lines get equal translations, whatever stands around them.

    Args:
        search: of a model.
        tokenizers: of the source and the target side.
        config: beam, limits, batch size; the search has its own length penalty and restrictions.
        attend: gives the attention of the search's model on translations, for their alignments.
        marks: what is written into sources.
        before: translates them first, into a language between.
    """

    def __init__(
        self,
        search: Search,
        tokenizers: Tokenizers,
        config: DecodingConfig,
        attend: Attend | None = None,
        marks: Marks = NO_MARKS,
        before: Translator | None = None,
    ) -> None:
        """See the class docstring."""
        self.marks, self.before = marks, before
        self.search, self.attend = search, attend
        self.tokenizers = tokenizers
        self.config = config
        self.surface = Surface(config, tokenizers.source)

    @classmethod
    def of_model(
        cls,
        model: Seq2Seq,
        tokenizers: Tokenizers,
        config: DecodingConfig,
        banned: Sequence[str] = (),
        language: str = "",
        marks: Marks = NO_MARKS,
    ) -> Translator:
        """The translator of a built model, whose current weights are used at each call.

        Args:
            model: the model.
            tokenizers: of the source and the target side.
            config: of decoding.
            banned: phrases that no translation may contain in the pieces that the tokenizer cuts them into.
            language: code of the target language, for sacreBLEU's tokenizer in mbr.
            marks: what is written into sources, or must be in translations.
        """
        from nmt_rl.decoding.attention import Attention
        from nmt_rl.decoding.constrained import ConstrainedSearcher
        from nmt_rl.decoding.sampler import Sampler
        from nmt_rl.decoding.search import Searcher

        pieces = _spelled(tokenizers, banned)
        byte_values = tokenizers.target.byte_values
        search: Search
        if config.samples:
            search = Sampler(model, config, pieces, byte_values if (byte_values >= 0).any() else None)
        elif marks.forced is not None:
            search = ConstrainedSearcher(model, config, marks.phrases_of(tokenizers))
        else:
            search = Searcher(model, config, banned=pieces)
        return cls(_least_risk(search, tokenizers, config, language), tokenizers, config, Attention(model), marks)

    @classmethod
    def from_folders(cls, folders: Sequence[Path], request: Request = AS_CONFIGURED) -> Translator:
        """The translator of a model folder (or of a run that holds one); several are an ensemble.

        Args:
            folders: bundles with the same tokenizers; the settings are the first one's.
            request: what replaces the settings, and what computes.

        Raises:
            UserError: if a folder holds no model, or another tokenizer than the first, or the engine cannot run it.
        """
        experiment = read_bundle_config(folders[0])[0]
        config = override(experiment.decoding, request.overrides)
        path = choose_conversion(folders, experiment, config, request)
        tokenizers = Tokenizers.load(bundle_folder(folders[0]))
        must_have_memory(config, tokenizers.target.size, "keras" if path is None else "ctranslate2")
        if path is not None:
            return cls.of_conversion(path, experiment, tokenizers, config, request)._through(request)
        if request.threads is not None:
            from nmt_rl.backend import limit_threads

            limit_threads(request.threads)
        if request.memory is None:
            bundle = load_ensemble(folders, request.precision or "float32")
        else:
            from nmt_rl.retrieval.memory import load_remembering

            bundle = load_remembering(folders[0], request.memory, request.precision or "float32")
        model: Seq2Seq = bundle.model
        language = request.target_language(bundle.config.corpus.target_language)
        marks = Marks.of(request)
        return cls.of_model(model, bundle.tokenizers, config, request.banned, language, marks)._through(request)

    @classmethod
    def of_conversion(
        cls, path: Path, experiment: ModelDescription, tokenizers: Tokenizers, config: DecodingConfig, request: Request
    ) -> Translator:
        """The translator of a folder that was written for CTranslate2.

        Args:
            path: the folder, which is read once.
            experiment: of the model.
            tokenizers: of the source and the target side.
            config: of decoding; the word reward is in the folder.
            request: what is banned, how many threads, whether scores are wanted.
        """
        from nmt_rl.decoding.engine import EngineSearcher
        from nmt_rl.decoding.export import require_exportable

        architecture = require_exportable(experiment.model, path)
        banned, longest = _spelled(tokenizers, request.banned), architecture.max_positions
        search = EngineSearcher(path, longest, tokenizers, config, banned, request.threads, request.scores)
        language = request.target_language(experiment.corpus.target_language)
        chosen = _least_risk(search, tokenizers, config, language)
        marks = Marks.of(request)
        return cls(chosen, tokenizers, config, search.attention, marks)

    def tagged(self, tag: str, language: str) -> Translator:
        """One that searches by the same compiled loops behind another tag.

        Args:
            tag: what every source begins with; empty: nothing.
            language: code of the target language, for sacreBLEU's tokenizer in mbr.
        """
        from nmt_rl.decoding.mbr import MinimumRisk

        search = self.search.search if isinstance(self.search, MinimumRisk) else self.search
        search = _least_risk(search, self.tokenizers, self.config, language)
        return Translator(search, self.tokenizers, self.config, self.attend, replace(self.marks, tag=tag), self.before)

    def _through(self, request: Request) -> Translator:
        """Itself, or behind its own translation into the language between that is asked for."""
        if request.through:
            self.before = self.tagged(request.through, tagged_language(request.through))
        return self

    def translate(
        self,
        lines: Sequence[str],
        nbest: int = 1,
        first_line: int = 1,
        prefixes: Sequence[str] | None = None,
        numbers: Sequence[int] | None = None,
        progress: Callable[[int], None] = lambda lines: None,
        by_pieces: bool = False,
    ) -> list[Translation]:
        """One translation per line, in order.

        A blank line stays blank. Control characters count as spaces. A source longer than `max_source_length` pieces
        is cut with a warning that names the line.

        Args:
            lines: sentences.
            nbest: hypotheses per line, at most as many as are searched for or drawn.
            first_line: number of the first line, for warnings.
            prefixes: what each translation begins with, as far as the tokenizer spells it so; it may end in a word.
            numbers: of the lines, for warnings, if they do not count up from `first_line`.
            progress: told how many of the lines are done, after every batch.
            by_pieces: hypotheses of a search with one text in different pieces are several; otherwise the best of them
                stands for all.

        Raises:
            UserError: if `nbest` exceeds those, or prefixes go with a coverage penalty.
        """
        if nbest > self.config.hypotheses:
            most = self.config.hypotheses
            raise UserError(f"{nbest} best hypotheses need a beam or samples of at least {nbest}, found {most}")
        if self.before is not None:
            lines = [found.text for found in self.before.translate(lines, first_line=first_line, numbers=numbers)]
        originals, lines = lines, self.surface.before(lines)
        found = [BLANK] * len(lines)
        limit = min(self.config.max_source_length, self.search.max_length - 1)
        sources = encode_sources(
            self.tokenizers.source, lines, limit, numbers or range(first_line, first_line + len(lines)), self.marks
        )
        if prefixes is not None and self.config.coverage_penalty:
            raise UserError("a coverage penalty does not know what a prefix has looked at; leave out one of them")
        forced = self.tokenizers.target.encode([plain(p) for p in prefixes]) if prefixes is not None else None
        longest = self.search.max_length - 2
        for number, ids in enumerate(forced or (), start=first_line):
            if len(ids) > longest:
                log.warning("prefix %d has %d pieces; only the first %d are used", number, len(ids), longest)
        done = sum(not ids for ids in sources)
        for batch in self._batches(sources):
            given = [forced[i][:longest] for i in batch] if forced is not None else None
            translated = self._translate_batch([sources[i] for i in batch], nbest, given, by_pieces)
            for index, translation in zip(batch, translated, strict=True):
                found[index] = translation
            done += len(batch)
            progress(done)
        self.surface.after(originals, found, copied)
        return found

    def alignments(self, sources: Sequence[str], found: Sequence[Translation]) -> list[Alignment]:
        """Of every one of the best hypotheses of every source, in order.

        Args:
            sources: sentences.
            found: their translations.
        """
        assert self.attend is not None
        limit = min(self.config.max_source_length, self.search.max_length - 1)
        rows = encode_sources(self.tokenizers.source, self.surface.before(sources), limit, marks=self.marks)
        both = zip(rows, found, strict=True)
        pairs = [(row, self.tokenizers.target.ids_of(best.pieces)) for row, each in both for best in each.nbest]
        sizes = {i: max(map(len, pair)) + 1 for i, pair in enumerate(pairs) if any(pair)}
        alignments = [NOTHING] * len(pairs)
        for batch in batches_within(sizes, self.config.batch_tokens):
            given = ([pairs[i][side] for i in batch] for side in (0, 1))
            for index, alignment in zip(batch, align_pairs(self.attend, self.tokenizers, *given), strict=True):
                alignments[index] = alignment.without_first() if self.marks.tag else alignment
        return alignments

    def _batches(self, sources: list[list[int]]) -> Iterator[list[int]]:
        """Indices of the sources that are not blank, by length; pieces times hypotheses stay in `batch_tokens`."""
        count = self.config.hypotheses
        costs = {i: max(len(ids) + 1, SHORTEST) * count for i, ids in enumerate(sources) if ids}
        return batches_within(costs, self.config.batch_tokens)

    def _translate_batch(
        self, sources: list[list[int]], nbest: int, forced: list[list[int]] | None, by_pieces: bool
    ) -> Iterator[Translation]:
        lengths = np.array([len(source) for source in sources])
        limits = length_limits(lengths, self.config, self.search.max_length)
        if forced is None:
            found = self.search(pad_source(sources), limits)
        else:
            # pad_source ends each row with EOS, which the length leaves out.
            given = np.array([len(ids) for ids in forced], "int32")
            found = self.search(pad_source(sources), limits, Prefix(pad_source(forced), given))
        distinct = nbest > 1 and not by_pieces and not self.config.samples
        for row in zip(*found, strict=True):
            hypotheses = self._hypotheses(*row, most=len(row[0]) if distinct else nbest)
            if distinct:
                first = {best.text: best for best in reversed(hypotheses)}
                hypotheses = [best for best in hypotheses if best is first[best.text]][:nbest]
            yield Translation(hypotheses[0].text, hypotheses[0].score, tuple(hypotheses))

    def _hypotheses(
        self, ids: np.ndarray, lengths: np.ndarray, log_probs: np.ndarray, scores: np.ndarray, most: int
    ) -> list[Hypothesis]:
        """The first hypotheses of a row."""
        kept = [n for n in range(most) if lengths[n] > 0]
        pieces = [ids[n, : lengths[n] - 1] for n in kept]
        names = (tuple(self.tokenizers.target.pieces(own)) for own in pieces)
        return [
            Hypothesis(plain(text), float(scores[n]), named, float(log_probs[n]), int(lengths[n]))
            for text, named, n in zip(self.tokenizers.target.decode(pieces), names, kept, strict=True)
        ]


def _spelled(tokenizers: Tokenizers, phrases: Sequence[str]) -> list[list[int]]:
    return [ids for phrase in phrases for ids in tokenizers.target.spellings(plain(phrase))]


def _least_risk(search: Search, tokenizers: Tokenizers, config: DecodingConfig, language: str) -> Search:
    """The search, or what chooses among its hypotheses if the settings say so."""
    if config.mbr is None:
        return search
    from nmt_rl.decoding.mbr import MinimumRisk, sentence_utility

    if config.hypotheses < 2:
        raise UserError("mbr chooses among several translations; it needs a beam or samples of at least 2")
    return MinimumRisk(search, tokenizers.target, sentence_utility(config.mbr, language))


def override(config: DecodingConfig, overrides: Mapping[str, Any], name: Callable[[str], str] = str) -> DecodingConfig:
    """The settings with some keys replaced.

    Args:
        config: the settings.
        overrides: values by key.
        name: what messages call a key.

    Raises:
        UserError: for a value outside its range, or keys that do not go together.
    """
    try:
        return DecodingConfig.model_validate(config.model_dump() | dict(overrides))
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise UserError(message) from None
        key, found = str(first["loc"][0]), f"found {first['input']}".removesuffix(".0")
        numbers = allowed_numbers(DecodingConfig, key)
        what = f" takes numbers {numbers}" if numbers else f": {message}"
        raise UserError(f"{name(key)}{what}, {found}") from None
