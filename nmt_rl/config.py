"""The experiment file as typed sections: every key with its default, unit and range.

A recipe is a YAML file of these sections. Unknown keys are errors; `--set section.key=value` overrides one key.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nmt_rl.errors import UserError


class Section(BaseModel):
    """Base of every section: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class SourceSpec(Section):
    """Where one split of a corpus comes from: text files, one TSV, a `datasets` hub set, or the embedded corpus.

    In a recipe it may be written as a string: a prefix (`data/train` means `data/train.de` and `data/train.en`,
    also with .txt, .gz or .xz), a path ending in .tsv, `hub:NAME`, or `embedded:SPLIT`.
    """

    source: tuple[str, ...] = ()
    """Source text files, one sentence per line (plain, .gz or .xz), read one after the other."""
    target: tuple[str, ...] = ()
    """Target text files; line n of file k belongs to line n of source file k."""
    prefix: str | None = None
    """Path without the language suffix: PREFIX.LANG, PREFIX.LANG.txt, .gz or .xz."""
    tsv: str | None = None
    """One tab-separated file: source, tab, target (plain, .gz or .xz)."""
    hub: str | None = None
    """Name of a data set on the Hugging Face hub, or the path of a local folder in the hub's layout."""
    hub_config: str | None = None
    """Configuration of the hub set, such as `de-en` of wmt14."""
    split: str | None = None
    """Split of the hub set: train, validation, test."""
    streaming: bool = False
    """Read the hub set as a stream instead of downloading it first."""
    embedded: Literal["train", "valid", "test"] | None = None
    """Split of the quickstart corpus that ships with nmt-rl."""
    name: str | None = None
    """Name under which scores on this set are reported; the file name if absent."""
    limit: int | None = Field(None, ge=1)
    """Use only the first pairs."""

    @property
    def label(self) -> str:
        """Name for reports: `name`, or the file's, the hub set's or the embedded split's."""
        if self.embedded:
            return self.name or f"quickstart/{self.embedded}"
        origin = self.prefix or self.tsv or self.hub or (self.target[0] if self.target else "")
        return self.name or Path(origin).name

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value.startswith("hub:"):
                return {"hub": value[4:]}
            if value.startswith("embedded:"):
                return {"embedded": value[9:]}
            stem = value.removesuffix(".gz").removesuffix(".xz")
            return {"tsv": value} if stem.endswith(".tsv") else {"prefix": value}
        if isinstance(value, dict):
            value = {k: (v,) if k in ("source", "target") and isinstance(v, str) else v for k, v in value.items()}
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSpec:
        kinds = [k for k in ("source", "prefix", "tsv", "hub", "embedded") if getattr(self, k)]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of source+target, prefix, tsv, hub, embedded; found {kinds or 'none'}")
        if len(self.source) != len(self.target):
            raise ValueError(f"{len(self.source)} source files but {len(self.target)} target files")
        return self


class CleaningConfig(Section):
    """Which training pairs are dropped; every drop is counted by its reason."""

    min_words: int = Field(1, ge=1)
    """Fewest whitespace-separated words on either side."""
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
    """Drop pairs with control characters (Unicode category Cc, other than tab) or U+FFFD."""


class CorpusConfig(Section):
    """The parallel text."""

    source_language: str = Field(min_length=1)
    """Language code of the source side; also the file suffix of prefixes and the field name of hub sets."""
    target_language: str = Field(min_length=1)
    """Language code of the target side."""
    train: tuple[SourceSpec, ...] = Field(min_length=1)
    """Training sources, read one after the other."""
    valid: SourceSpec
    """Validation source: never cleaned, used for early stopping and model choice."""
    test: SourceSpec | None = None
    """Test source: never cleaned, scored once, in the report."""
    cleaning: CleaningConfig = CleaningConfig()

    @model_validator(mode="before")
    @classmethod
    def _train_as_list(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("train"), str | dict | SourceSpec):
            value = {**value, "train": (value["train"],)}
        return value


class TokenizerConfig(Section):
    """SentencePiece subwords (Kudo and Richardson, 2018)."""

    type: Literal["unigram", "bpe"] = "unigram"
    vocabulary: int = Field(8000, ge=16)
    """Number of pieces, control symbols included."""
    shared: bool = True
    """One vocabulary for both languages; needed for three-way tied embeddings."""
    character_coverage: float = Field(1.0, gt=0.9, le=1.0)
    byte_fallback: bool = True
    """Unknown characters become UTF-8 bytes instead of <unk>, so every text can be written."""
    user_symbols: tuple[str, ...] = ()
    """Strings that are always one piece."""
    sample_lines: int = Field(200_000, ge=100)
    """Train on a random sample of this many lines (both sides together) if the corpus is larger."""
    sampling: bool = False
    """Subword regularisation in training: draw a segmentation anew each time (Kudo, 2018; BPE-dropout for bpe)."""
    sampling_alpha: float = Field(0.1, gt=0.0, le=1.0)
    """Smoothing of the unigram sampling, or merge dropout probability for bpe."""


class BatchConfig(Section):
    """How sentence pairs become batches."""

    type: Literal["tokens", "sentences"] = "tokens"
    """What `size` counts: padded tokens of the longer side, or sentence pairs."""
    size: int = Field(4096, ge=1)
    max_length: int = Field(128, ge=4)
    """Longest encoded side in training, pieces including the end symbol; longer pairs are left out and counted."""
    pool: int = Field(20_000, ge=1)
    """Sentence pairs that are sorted by length together; memory is bounded by it."""
    buckets: tuple[int, ...] = (8, 16, 24, 32, 48, 64, 96, 128)
    """Padded lengths when `pad` is `buckets`; a longer batch is padded to the next multiple of the last one."""
    pad: Literal["auto", "longest", "buckets"] = "auto"
    """Pad to the longest sentence of the batch, or up to a bucket and a full batch; auto: buckets on JAX only."""


class TransformerConfig(Section):
    """Transformer (Vaswani et al., 2017). The defaults are its base model."""

    type: Literal["transformer"] = "transformer"
    encoder_layers: int = Field(6, ge=1)
    decoder_layers: int = Field(6, ge=1)
    width: int = Field(512, ge=4)
    """Model dimension d; a multiple of `heads`."""
    heads: int = Field(8, ge=1)
    feed_forward: int = Field(2048, ge=4)
    norm: Literal["pre", "post"] = "pre"
    """Layer normalisation before each sub-layer (with final norms; Xiong et al., 2020) or after the residual."""
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_positions: int = Field(1024, ge=8)
    """Length of the position table; a longer sentence is cut."""
    activation: Literal["relu", "gelu", "swiglu"] = "relu"
    tie: Literal["none", "target", "all"] = "all"
    """Share the target embedding with the softmax (target), and with the source embedding too (all)."""
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    """After embeddings and sub-layers."""
    attention_dropout: float = Field(0.0, ge=0.0, lt=1.0)
    activation_dropout: float = Field(0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> TransformerConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(f"sinusoidal positions need an even width, found {self.width}")
        return self


class LSTMConfig(Section):
    """Bidirectional LSTM encoder, stacked LSTM decoder with attention and input feeding (Luong et al., 2015)."""

    type: Literal["lstm"] = "lstm"
    encoder_layers: int = Field(1, ge=1)
    decoder_layers: int = Field(1, ge=1)
    embedding: int = Field(256, ge=2)
    units: int = Field(512, ge=2)
    """LSTM units; even, half of them for each direction of the encoder."""
    attention: Literal["additive", "bilinear", "dot"] = "additive"
    """Score of state s and encoder state h: W2 tanh(W1 [s; h]) | s W h | s h."""
    attention_units: int = Field(256, ge=2)
    """Hidden units of the additive score."""
    coverage: bool = False
    """Feed the sum of past attention into the score (See et al., 2017)."""
    tie: Literal["none", "target", "all"] = "target"
    dropout: float = Field(0.3, ge=0.0, lt=1.0)
    """On embeddings, between layers and before the softmax."""

    @model_validator(mode="after")
    def _even(self) -> LSTMConfig:
        if self.units % 2:
            raise ValueError(f"units must be even, found {self.units}")
        return self


ModelConfig = Annotated[TransformerConfig | LSTMConfig, Field(discriminator="type")]


class OptimizerConfig(Section):
    """Adam (Kingma and Ba, 2015) or AdamW, with the learning-rate schedule."""

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(5e-4, gt=0.0)
    """Peak learning rate."""
    beta_1: float = Field(0.9, ge=0.0, lt=1.0)
    beta_2: float = Field(0.98, ge=0.0, lt=1.0)
    epsilon: float = Field(1e-9, gt=0.0)
    weight_decay: float = Field(0.0, ge=0.0)
    """Decoupled weight decay (adamw only)."""
    schedule: Literal["constant", "inverse-sqrt", "cosine", "plateau"] = "inverse-sqrt"
    """inverse-sqrt is Noam's, scaled so that the peak is `learning_rate`; plateau halves on stalled validation."""
    warmup: int = Field(4000, ge=0)
    """Updates of linear warm-up."""
    floor: float = Field(0.0, ge=0.0)
    """Lowest learning rate of cosine and plateau."""
    plateau_factor: float = Field(0.5, gt=0.0, lt=1.0)
    plateau_patience: int = Field(2, ge=1)
    """Validations without improvement before the plateau schedule lowers the rate."""
    clip_norm: float = Field(1.0, ge=0.0)
    """Global gradient norm; 0 turns clipping off."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are averaged into one update."""
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    """Momentum of the exponential moving average of the weights that is validated and saved; 0 turns it off."""


class ValidationConfig(Section):
    """When the model is validated, and what counts as better."""

    every: int = Field(1000, ge=1)
    """Updates between validations."""
    metric: Literal["bleu", "loss"] = "bleu"
    """Greedy BLEU on detokenised text, or cross-entropy per piece."""
    patience: int = Field(10, ge=1)
    """Stop after this many validations without improvement."""
    sentences: int | None = Field(None, ge=1)
    """Validate on the first sentences only."""


class PretrainConfig(Section):
    """Cross-entropy training on parallel text."""

    updates: int = Field(100_000, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    """Stop after this much training time, in minutes, kept across restarts."""
    batch: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    label_smoothing: float = Field(0.1, ge=0.0, lt=1.0)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the matrix products; weights, norms, softmax and loss stay float32; float16 scales the loss."""
    validation: ValidationConfig = ValidationConfig()
    checkpoint_every: int = Field(1000, ge=1)
    """Updates between checkpoints; a killed run resumes from the last one."""
    average: int = Field(1, ge=1)
    """The released model is the average of this many best validated checkpoints, if it validates better."""
    log_every: int = Field(50, ge=1)


class TrajectoryConfig(Section):
    """Soft TD with lambda-targets on replayed sequences (part B of the objective)."""

    samples: int = Field(2, ge=1)
    """Sampled translations per source and update."""
    temperatures: tuple[float, ...] = (0.7, 1.0, 1.2)
    """Ladder of the behaviour policy's temperatures."""
    top_k: int = Field(20, ge=0)
    """The behaviour policy draws among this many pieces; 0: all."""
    trace: float = Field(0.95, ge=0.0, le=1.0)
    """lambda of the return: 0 one-step TD, 1 Monte Carlo."""
    monte_carlo_updates: int = Field(200, ge=0)
    """Use lambda = 1 for the first updates, while V is untrained."""
    replay: int = Field(20_000, ge=1)
    """Sequences kept."""
    replay_share: float = Field(0.25, ge=0.0, lt=1.0)
    """Share of each batch that is drawn from the replay; the rest is fresh."""
    target_rate: float = Field(0.02, gt=0.0, le=1.0)
    """Polyak rate of the target network per update."""
    target_period: int = Field(0, ge=0)
    """Copy the target network every so many updates instead; 0: Polyak."""
    value_units: int = Field(256, ge=1)
    value_learning_rate: float = Field(1e-3, gt=0.0)
    privileged: bool = True
    """Show the value head the reference's length and the n-gram precision so far (training only)."""


class FinetuneOptimizerConfig(OptimizerConfig):
    """The optimizer with the defaults of fine-tuning: a small constant rate."""

    learning_rate: float = Field(5e-5, gt=0.0)
    schedule: Literal["constant", "inverse-sqrt", "cosine", "plateau"] = "constant"
    warmup: int = Field(100, ge=0)


class FinetuneValidationConfig(ValidationConfig):
    """Validation with the defaults of fine-tuning: often, and without early stopping."""

    every: int = Field(100, ge=1)
    patience: int = Field(1000, ge=1)


class FinetuneConfig(Section):
    """Token-level deep Q-network with a BLEU reward: Q = V + tau log(pi / prior)."""

    objective: Literal["fork", "trajectory", "both"] = "fork"
    updates: int = Field(1500, ge=1)
    minutes: float | None = Field(None, gt=0.0)
    """Stop after this much fine-tuning time, in minutes, kept across restarts."""
    sentences: int = Field(32, ge=1)
    """Source sentences per update."""
    max_length: int = Field(128, ge=4)
    """Longest side of a source or reference, pieces including the end symbol."""
    forks: int = Field(5, ge=1)
    """Most forks per source."""
    fork_probability: float = Field(0.05, ge=0.0, lt=1.0)
    """Fork only where the runner-up's probability exceeds this."""
    tau: float = Field(0.005, ge=0.0)
    """Strength of the pull to the prior, in BLEU of [0, 1] per nat."""
    huber: float = Field(0.5, ge=0.0)
    """Cut of the Huber loss on TD errors; 0: squared."""
    cross_entropy: float = Field(0.0, ge=0.0)
    """Weight of the cross-entropy anchor on the references."""
    trajectory: TrajectoryConfig = TrajectoryConfig()
    trajectory_weight: float = Field(1.0, gt=0.0)
    """Weight of the trajectory loss where objective is both."""
    optimizer: FinetuneOptimizerConfig = FinetuneOptimizerConfig()
    validation: FinetuneValidationConfig = FinetuneValidationConfig()
    average: int = Field(3, ge=1)
    """The candidate model is the average of the last so many validated checkpoints."""
    checkpoint_every: int = Field(100, ge=1)
    log_every: int = Field(10, ge=1)


class DecodingConfig(Section):
    """How text is translated."""

    beam: int = Field(5, ge=1)
    """Hypotheses kept; 1 is greedy."""
    length_penalty: float = Field(1.0, ge=0.0)
    """alpha of the length penalty ((5 + length) / 6)^alpha (Wu et al., 2016); 0 turns it off."""
    max_length_ratio: float = Field(2.0, gt=0.0)
    """Longest translation, pieces: ratio times source pieces plus `max_length_extra`."""
    max_length_extra: int = Field(20, ge=1)
    max_source_length: int = Field(512, ge=4)
    """A longer source, in pieces, is cut with a warning."""
    batch_tokens: int = Field(4096, ge=1)
    """Source pieces per batch, times the beam."""


class EvaluationConfig(Section):
    """The report's numbers."""

    bootstrap: int = Field(1000, ge=100)
    """Resamples of the paired bootstrap (Koehn, 2004)."""
    seed: int = Field(12345, ge=1)
    """Seed of the resampling (sacreBLEU's default)."""


class Config(Section):
    """A whole experiment."""

    name: str = Field(min_length=1)
    seed: int = Field(1, ge=0)
    corpus: CorpusConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig
    pretrain: PretrainConfig = PretrainConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    decoding: DecodingConfig = DecodingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _three_way_needs_one_vocabulary(self) -> Config:
        if self.model.tie == "all" and not self.tokenizer.shared:
            raise ValueError(
                "model.tie 'all' needs tokenizer.shared: true; use 'target' or 'none' with two vocabularies"
            )
        return self


def recipe_path(name: str) -> Path:
    """The file of a shipped recipe's name, or of a YAML path; raises UserError with the nearest names."""
    folder = Path(__file__).parent / "recipes"
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UserError(f"recipe file {name} does not exist")
        return path
    shipped = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped recipes: {', '.join(shipped)}; or give a .yaml path"
        raise UserError(f"there is no recipe {name!r}; {hint}")
    return folder / f"{name}.yaml"


def load_config(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """The validated experiment of a shipped recipe's name or a YAML path.

    Args:
        recipe: shipped name or path.
        overrides: `section.key=value` strings; values are YAML.

    Raises:
        UserError: for a missing file, bad YAML, an unknown key (with the nearest known one) or a bad value.
    """
    path = recipe_path(recipe)
    tree = read_yaml(path)
    for override in overrides:
        _apply_override(tree, override)
    return parse_config(tree, str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises UserError naming file and line."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where} is not valid YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path} should be a mapping of sections such as corpus and model, found {type(tree).__name__}")
    return tree


def parse_config(tree: dict[str, Any], where: str) -> Config:
    """Validate a mapping; `where` names its origin in the one-sentence UserError."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: {_explain(first)}") from None


def _explain(error: Any) -> str:
    location = [str(part) for part in error["loc"] if part not in ("transformer", "lstm")]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], _known_keys(location[:-1]), n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known keys: {', '.join(_known_keys(location[:-1]))}"
        return f"unknown key {key}{hint}"
    if error["type"] == "missing":
        return f"key {key} is missing"
    message = error["msg"].removeprefix("Value error, ")
    found = "" if isinstance(error["input"], dict | Section) else f", found {error['input']!r}"
    return f"{key or 'the experiment'}: {message[0].lower() + message[1:]}{found}"


def _known_keys(location: Sequence[str]) -> list[str]:
    """Field names of the section at a location; for `model`, of both model types."""
    sections: list[type[BaseModel]] = [Config]
    for part in location:
        if part.isdigit():
            continue
        sections = [s for section in sections if part in section.model_fields for s in _sections_in(section, part)]
    return sorted({name for section in sections for name in section.model_fields})


def _sections_in(section: type[BaseModel], field: str) -> Iterator[type[BaseModel]]:
    pending: list[Any] = [section.model_fields[field].annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        pending.extend(getattr(annotation, "__args__", ()))


def _apply_override(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override!r} should look like section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    *sections, last = key.strip().split(".")
    node = tree
    for part in sections:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    node[last] = value


def dump_config(config: Config) -> str:
    """The whole resolved experiment as YAML, defaults included; `parse_config` reads it back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def first_difference(old: Any, new: Any, key: str = "") -> str | None:
    """`key was OLD, now NEW` for the first difference between two JSON trees, or None."""
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        below = (first_difference(old.get(k), new.get(k), f"{key}.{k}" if key else k) for k in keys)
        return next(filter(None, below), None)
    return f"{key} was {json.dumps(old, ensure_ascii=False)}, now {json.dumps(new, ensure_ascii=False)}"
