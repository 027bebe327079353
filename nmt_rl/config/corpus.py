"""Sections of the text: where it comes from, cleaning, subwords, batches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from nmt_rl.config.section import Section
from nmt_rl.storage.streams import from_home

RESERVED = re.compile("<pad>|<unk>|<s>|</s>|<0x[0-9A-F]{2}>")
"""Names of control symbols and bytes."""


def source_fields(text: str) -> dict[str, str]:
    """What a source that is written as a string stands for: the key and value of a `SourceSpec`."""
    if text.startswith("hub:"):
        return {"hub": text[4:]}
    if text.startswith("embedded:"):
        return {"embedded": text[9:]}
    stem = text.removesuffix(".gz").removesuffix(".xz").removesuffix(".bz2")
    return {"tsv": text} if stem.endswith(".tsv") else {"prefix": text}


def symbol(text: str) -> str:
    """A word that can be a piece of its own; raises ValueError if it cannot."""
    if RESERVED.fullmatch(text):
        raise ValueError(f"{text!r} is SentencePiece's own name of a control symbol or byte; choose another")
    if not text or "▁" in text or "\0" in text or any(map(str.isspace, text)):
        raise ValueError(f"{text!r} is no symbol: one is a word without blanks and ▁ (U+2581)")
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        raise ValueError(f"{text!r} is no text")
    return text


def _expand_home(path: str) -> str:
    return str(from_home(path)) if path.startswith("~") else path


class MadeConfig(Section):
    """Pairs made by a rule, whose answers are known."""

    algorithm: Literal["copy", "repeat-copy", "recall", "sort", "facts", "registers"]
    """Symbols as they are; so many times over; the item that followed the one that is asked for; by priorities, the
    highest first; the last place of somebody in a story; the last value of a key."""
    sizes: tuple[int, int] = (1, 20)
    """Fewest and most symbols, items, facts or assignments."""
    pairs: int = Field(10_000, ge=1, le=10**9)
    seed: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _sizes_rise(self) -> MadeConfig:
        if not 1 <= self.sizes[0] <= self.sizes[1] <= 1000:
            raise ValueError(f"sizes are two numbers from 1 to 1000, the smaller first, found {list(self.sizes)}")
        return self


class SourceSpec(Section):
    """Where one split of a corpus comes from: text files, one TSV, a hub set, the embedded corpus, or a rule.

    In a recipe it may be written as a string: a prefix (`data/train` means `data/train.de` and `data/train.en`,
    also with .txt, .gz, .xz or .bz2), a path ending in .tsv, `hub:NAME`, or `embedded:SPLIT`.
    """

    source: tuple[str, ...] = ()
    """Source text files, one sentence per line (plain, gzip, xz or bzip2), read one after the other."""
    target: tuple[str, ...] = ()
    """Target text files; line n of file k belongs to line n of source file k."""
    prefix: str | None = None
    """Path without the language suffix: PREFIX.LANG, PREFIX.LANG.txt, .gz, .xz or .bz2."""
    tsv: str | None = None
    """One tab-separated file: source, tab, target (plain, gzip, xz or bzip2)."""
    hub: str | None = None
    """Name of a data set on the Hugging Face hub, or the path of a local folder in the hub's layout."""
    hub_config: str | None = None
    """Configuration of the hub set, such as `de-en` of wmt14."""
    revision: str | None = None
    """Commit, tag or branch of the hub set: a commit is always the same text."""
    split: str | None = None
    """Split of the hub set: train, validation, test."""
    streaming: bool = False
    """Read the hub set as a stream instead of downloading it first."""
    embedded: Literal["train", "valid", "test"] | None = None
    """Split of the quickstart corpus that ships with nmt-rl."""
    made: MadeConfig | None = None
    """Pairs made by a rule."""
    alignment: tuple[str, ...] = ()
    """Of training text in files of one's own: word alignments that `pretrain.guided_alignment` teaches, `0-0 1-2` in
    line n for the words between blanks of pair n, source before target, from 0; a file for each source file. Where none
    is given, `nmt-rl prepare` aligns the text itself."""
    name: str | None = None
    """Name under which scores on this set are reported; the file name if absent."""
    limit: int | None = Field(None, ge=1, le=10**15)
    """Use only the first pairs."""
    weight: float = Field(1.0, gt=0.0, le=10**6)
    """Of training text: how often an epoch goes through it, before `corpus.temperature`. It may change in a running
    job."""
    tag: str | None = None
    """A word such as `<2de>` that is put before every source line, and is one piece of a tokenizer that is trained: the
    language that is wanted, or the domain. `nmt-rl translate --tag` gives it."""

    @property
    def label(self) -> str:
        """Name for reports: `name`, or the file's, the hub set's or the embedded split's."""
        if self.embedded:
            return self.name or f"quickstart/{self.embedded}"
        if self.made:
            return self.name or f"{self.made.algorithm} {self.made.sizes[0]}-{self.made.sizes[1]}"
        return self.name or Path(self.target[0] if self.target else self.origin).name

    @property
    def origin(self) -> str:
        """The files, prefix, hub set or embedded split, for messages."""
        files = " and ".join((*self.source, *self.target))
        own = f"made:{self.made.algorithm}" if self.made else f"embedded:{self.embedded}"
        return self.prefix or self.tsv or self.hub or files or own

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = source_fields(value)
        if isinstance(value, dict):
            value = {
                k: (v,) if k in ("source", "target", "alignment") and isinstance(v, str) else v
                for k, v in value.items()
            }
        return value

    @field_validator("source", "target", "alignment", "prefix", "tsv", "hub")
    @classmethod
    def _from_home(cls, value: Any) -> Any:
        """`~/text`, which no shell expands behind `--set corpus.train=`."""
        if isinstance(value, tuple):
            return tuple(map(_expand_home, value))
        return None if value is None else _expand_home(value)

    @field_validator("tag")
    @classmethod
    def _tag_is_a_symbol(cls, tag: str | None) -> str | None:
        return None if tag is None else symbol(tag)

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSpec:
        kinds = [k for k in ("source", "prefix", "tsv", "hub", "embedded", "made") if getattr(self, k)]
        if len(kinds) != 1:
            raise ValueError(
                f"needs exactly one of source+target, prefix, tsv, hub, embedded, made; found {kinds or 'none'}"
            )
        if len(self.source) != len(self.target):
            raise ValueError(f"{len(self.source)} source files but {len(self.target)} target files")
        if self.alignment and kinds[0] not in ("source", "prefix", "tsv"):
            raise ValueError(f"alignment is of text in files: source+target, prefix or tsv; found {kinds[0]}")
        if self.alignment and len(self.alignment) != max(len(self.source), 1):
            raise ValueError(f"{max(len(self.source), 1)} source files but {len(self.alignment)} alignment files")
        return self


class CleaningConfig(Section):
    """Which training pairs are dropped; every drop is counted by its reason.

    A word is what stands between blanks. In scripts without blanks two characters count as one (Chinese, Japanese),
    or three letters without their signs (Thai, Lao, Burmese, Khmer, Tibetan).
    """

    min_words: int = Field(1, ge=1)
    """Fewest words on either side."""
    max_words: int = Field(175, ge=1)
    """Most words on either side (175: Moses and fairseq's WMT14 scripts use 175 or 250)."""
    max_characters: int = Field(4000, ge=1)
    """Most characters on either side."""
    max_ratio: float = Field(3.0, ge=1.0)
    """Largest ratio of the two word counts plus one (so 1:3 words is a ratio of 2)."""
    drop_identical: bool = True
    """Drop pairs whose sides are the same."""
    drop_duplicates: bool = True
    """Drop every pair that occurred before."""
    drop_control: bool = True
    """Drop pairs with control characters (Unicode category Cc, other than tab), or with U+FFFD, which bytes that are
    not UTF-8 become; counted apart."""

    @model_validator(mode="after")
    def _some_length_passes(self) -> CleaningConfig:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}")
        return self


class TermsConfig(Section):
    """Terms whose translations stand behind them in some of the training sources, so that a model learns to take what
    `nmt-rl translate --glossary` gives it (Dinu et al., 2019)."""

    file: str
    """A table: term, tab, translation."""
    share: float = Field(0.5, gt=0.0, le=1.0)
    """Of the pairs that hold a term and its translation."""

    @field_validator("file")
    @classmethod
    def _from_home(cls, value: str) -> str:
        return _expand_home(value)


class CorpusConfig(Section):
    """The parallel text."""

    source_language: str = Field(min_length=1)
    """Language code of the source side; also the file suffix of prefixes and the field name of hub sets."""
    target_language: str = Field(min_length=1)
    """Language code of the target side."""
    train: tuple[SourceSpec, ...] = Field(min_length=1)
    """Training sources, read one after the other."""
    valid: tuple[SourceSpec, ...] = Field(min_length=1)
    """Validation sources, never cleaned: the first is used for early stopping and model choice, others are scored
    beside it, and may be added or changed at any time."""
    test: SourceSpec | None = None
    """Test source: never cleaned, scored once, in the report."""
    cleaning: CleaningConfig = CleaningConfig()
    terms: TermsConfig | None = None
    temperature: float = Field(1.0, ge=1.0, le=100.0)
    """Of several training sources of n pairs each: they are drawn as n^(1 / temperature), so that above 1 small ones
    come up more often (Arivazhagan et al., 2019: 5); an epoch stays as long as it is."""

    @model_validator(mode="before")
    @classmethod
    def _one_as_several(cls, value: Any) -> Any:
        if isinstance(value, dict):
            one = {key: (value[key],) for key in ("train", "valid") if isinstance(value.get(key), str | dict | Section)}
            value = {**value, **one}
        return value

    @model_validator(mode="after")
    def _validation_sets_are_told_apart(self) -> CorpusConfig:
        labels = [spec.label for spec in self.valid]
        if len(set(labels)) < len(labels):
            raise ValueError(f"validation sets need different names (key name), found {', '.join(labels)}")
        return self

    @model_validator(mode="after")
    def _only_what_is_trained_on_has_a_weight(self) -> CorpusConfig:
        for split, spec in self.held_out.items():
            if spec.weight != 1.0:
                raise ValueError(f"{split}: weight is of corpus.train, found {spec.weight}; leave it out")
            if spec.alignment:
                raise ValueError(f"{split}: alignment is of corpus.train, found {spec.alignment[0]}; leave it out")
        return self

    @model_validator(mode="after")
    def _words_of_alignments_stay(self) -> CorpusConfig:
        given = [file for spec in self.train for file in spec.alignment]
        if given and self.terms is not None:
            raise ValueError(f"terms are written into sources, whose words {given[0]} counts; leave out one of them")
        return self

    @property
    def tags(self) -> tuple[str, ...]:
        """Of all sources, each once."""
        specs = (*self.train, *self.held_out.values())
        return tuple(dict.fromkeys(spec.tag for spec in specs if spec.tag is not None))

    @property
    def held_out(self) -> dict[str, SourceSpec]:
        """What is not trained on, by split: `valid`, by which models are chosen, `valid2`, ... and `test`."""
        return {"valid": self.valid[0], **self.further, **({} if self.test is None else {"test": self.test})}

    @property
    def further(self) -> dict[str, SourceSpec]:
        """The validation sets that are only scored, by split: `valid2`, ..."""
        return {f"valid{number}": spec for number, spec in enumerate(self.valid[1:], start=2)}


class TokenizerConfig(Section):
    """SentencePiece subwords (Kudo and Richardson, 2018)."""

    model: tuple[str, ...] = ()
    """A SentencePiece model of one's own, for both languages; or two, of source and target, with `shared: false`. Then
    none is trained. Its pad, unk, bos and eos must be 0, 1, 2 and 3."""
    type: Literal["unigram", "bpe"] = "unigram"
    vocabulary: int = Field(8000, ge=16, le=10**7)
    """Number of pieces, control symbols included."""
    vocabulary_is_bound: bool = False
    """Take the most pieces that the training text permits if they are fewer, instead of an error."""
    shared: bool = True
    """One vocabulary for both languages; needed for three-way tied embeddings."""
    character_coverage: float = Field(1.0, ge=0.98, le=1.0)
    """Share of the text's characters that have a piece; the rarest others become bytes, or <unk>."""
    byte_fallback: bool = True
    """Unknown characters become UTF-8 bytes instead of <unk>, so every text can be written."""
    normalization: Literal["nfc", "nfkc", "nmt_nfkc"] = "nfc"
    """Of the text that is cut into pieces, and so of what models write: Unicode's NFC; NFKC, which also makes one of
    letters that look alike (ﬁ and fi, full width and half); or that with SentencePiece's rules for blanks and signs."""
    user_symbols: tuple[str, ...] = ()
    """Strings that are always one piece."""
    sample_lines: int = Field(200_000, ge=100)
    """Train on a random sample of this many lines (both sides together) if the corpus is larger."""
    sampling: bool = False
    """Subword regularisation in training: draw a segmentation anew each time (Kudo, 2018; BPE-dropout for bpe)."""
    sampling_alpha: float = Field(0.1, gt=0.0, le=1.0)
    """Smoothing of the unigram sampling, or merge dropout probability for bpe."""

    @field_validator("model", mode="before")
    @classmethod
    def _one_or_two_files(cls, value: Any) -> Any:
        files = [value] if isinstance(value, str) else value or ()
        return [_expand_home(file) if isinstance(file, str) else file for file in files]

    @field_validator("user_symbols")
    @classmethod
    def _symbols_are_new(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for text in symbols:
            symbol(text)
        if twice := [text for text in symbols if symbols.count(text) > 1]:
            raise ValueError(f"{twice[0]!r} stands there twice")
        return symbols

    @model_validator(mode="after")
    def _own_model_is_trained(self) -> TokenizerConfig:
        if not self.model:
            return self
        if len(self.model) != (1 if self.shared else 2):
            wanted = "one file, or two with shared: false" if self.shared else "two files with shared: false"
            raise ValueError(f"model takes {wanted}; found {len(self.model)}")
        fields = type(self).model_fields
        if useless := [key for key in TRAINING_KEYS if getattr(self, key) != fields[key].default]:
            raise ValueError(f"model is trained already; leave out {', '.join(useless)}")
        return self


TRAINING_KEYS = (
    "type", "vocabulary", "vocabulary_is_bound", "character_coverage", "byte_fallback", "normalization", "user_symbols",
    "sample_lines",
)  # fmt: skip
"""Keys of the tokenizer section that say how a model is trained."""


class BatchConfig(Section):
    """How sentence pairs become batches."""

    type: Literal["tokens", "sentences", "packed"] = "tokens"
    """What `size` counts: padded tokens of the longer side, or sentence pairs. `packed` counts tokens of either side,
    too, and puts several pairs into a row (Transformer only): one shape for all batches, and almost no padding."""
    size: int = Field(4096, ge=1)
    packed_length: int = Field(256, ge=4)
    """Tokens of either side that a packed row has room for."""
    max_length: int = Field(128, ge=4)
    """Longest encoded side in training, pieces including the end symbol; longer pairs are left out and counted."""
    pool: int = Field(20_000, ge=1)
    """Sentence pairs that are shuffled, or sorted by length, together; memory is bounded by it."""
    sort: bool = True
    """Batches of sentences of similar length, so that little is padded; or of sentences drawn at random."""
    buckets: tuple[PositiveInt, ...] = Field((8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128), min_length=1)
    """Padded lengths when `pad` is `buckets`, each side its own, the shorter's at most one bucket below the longer's; a
    longer batch is padded to the next multiple of the last one."""
    pad: Literal["auto", "longest", "buckets"] = "auto"
    """Pad to the longest sentence of the batch, or up to a bucket and a full batch; auto: buckets on JAX only."""

    @model_validator(mode="after")
    def _packed_rows_hold_every_pair(self) -> BatchConfig:
        if self.type != "packed":
            return self
        if self.max_length > self.packed_length:
            raise ValueError(f"max_length {self.max_length} is above packed_length {self.packed_length}")
        if self.size < self.packed_length:
            raise ValueError(f"size {self.size} is less than one packed row of {self.packed_length} tokens")
        return self
