"""Sections of decoding and of the report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nmt_rl.config.section import Section


class DecodingConfig(Section):
    """How text is translated."""

    beam: int = Field(5, ge=1, le=10_000)
    """Hypotheses kept; 1 is greedy."""
    length_penalty: float = Field(1.0, ge=0.0, le=10.0)
    """alpha, the exponent of the length penalty; 0 turns it off, a larger one prefers longer translations."""
    length_normalization: Literal["average", "gnmt"] = "average"
    """Divide log-probabilities by length^alpha, or by ((5 + length) / 6)^alpha (Wu et al., 2016)."""
    word_reward: float = Field(0.0, ge=-100.0, le=100.0)
    """What the logit of the end loses before the softmax, nats, in every way of decoding and in scoring: a bias against
    ending. Greedily the same as He et al.'s (2016) word reward and Marian's word penalty; below 0: shorter."""
    tune_length: bool = True
    """End `pretrain` and `finetune` by choosing the word reward and the length penalty that translate validation best;
    the model keeps them. One that is set here, other than its default, is kept."""
    coverage_penalty: float = Field(0.0, ge=0.0, le=1000.0)
    """beta of the coverage penalty, which prefers translations that have looked at all of the source (Wu et al., 2016,
    equation 14); 0: none."""
    diverse_groups: int = Field(1, ge=1, le=10_000)
    """Groups the beam is divided into, each of which avoids what those before it say (Vijayakumar et al., 2018)."""
    diversity: float = Field(0.5, gt=0.0, le=1000.0)
    """What a piece loses for every hypothesis of an earlier group that has it at the same place, nats."""
    stopping: Literal["early", "exact"] = "early"
    """End a search when `beam` hypotheses are finished, or when no other could be better than them."""
    no_repeat_ngram: int = Field(0, ge=0, le=100)
    """No n-gram of so many pieces twice in a translation (Paulus et al., 2018); 0: they may be."""
    repetition_penalty: float = Field(1.0, ge=1.0, le=1000.0)
    """Divides the positive logits of pieces that were chosen before, and multiplies the negative ones (Keskar et al.,
    2019); 1: none. Scores are those after it."""
    samples: int = Field(0, ge=0, le=10_000)
    """Translations drawn at random for each source, instead of a search; 0: a search."""
    temperature: float = Field(1.0, ge=0.001, le=1000.0)
    """Of samples: they are drawn from softmax(logits / temperature)."""
    top_k: int = Field(0, ge=0, le=2**31 - 1)
    """Samples take one of so many most probable pieces (Fan et al., 2018); 0: any."""
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    """Samples take one of the fewest pieces with this probability together (Holtzman et al., 2020); 1: any."""
    seed: int = Field(1, ge=0)
    """Of the samples: a source gets the same ones whatever stands around it."""
    mbr: Literal["bleu", "chrf"] | None = None
    """Minimum Bayes risk: of the hypotheses or samples take the one most alike to all of them by this metric."""
    min_length: int = Field(0, ge=0, le=100_000)
    """Fewest pieces of a translation."""
    max_length_ratio: float = Field(2.0, gt=0.0, le=1000.0)
    """Longest translation, pieces: ratio times source pieces plus `max_length_extra`."""
    max_length_extra: int = Field(20, ge=1, le=100_000)
    max_source_length: int = Field(512, ge=4, le=1_000_000)
    """A longer source, in pieces, is cut with a warning."""
    recase: bool = False
    """Translate lines in capitals as if they were in small letters, and give their translations in capitals."""
    copy_unknown: bool = False
    """Copy lines none of whose letters is in the tokenizer's pieces: what is in another script."""
    batch_tokens: int = Field(4096, ge=1, le=10**9)
    """Source pieces per batch, times the beam or the samples; one sentence at least."""

    @model_validator(mode="after")
    def _groups_divide_the_beam(self) -> DecodingConfig:
        if self.beam % self.diverse_groups:
            raise ValueError(f"beam {self.beam} is not a multiple of diverse_groups {self.diverse_groups}")
        return self

    def greedy(self) -> DecodingConfig:
        """The same limits and restrictions, without a beam, samples or a choice among them."""
        return self.model_copy(update={"beam": 1, "diverse_groups": 1, "samples": 0, "mbr": None})

    @property
    def tunable(self) -> tuple[str, ...]:
        """Of the word reward and the length penalty those that training may choose."""
        keys = ("word_reward", "length_penalty") if self.tune_length else ()
        return tuple(key for key in keys if not self._differs(key))

    def tuned_as(self, other: DecodingConfig) -> DecodingConfig:
        """These settings with what training has chosen for a model, whose own are `other`."""
        return self.model_copy(update={key: getattr(other, key) for key in self.tunable})

    @property
    def is_plain_beam(self) -> bool:
        """Whether translations are the best of a beam by their scores."""
        return self.beam > 1 and not self.samples and self.mbr is None

    def summary(self) -> str:
        """How text is translated: every setting with an influence on it that a plain search has not.

        For example `greedy`, `beam 5, length penalty 1 (average), coverage penalty 0.2, mbr chrf`, or
        `8 samples at temperature 1, seed 1, top-k 10, mbr bleu`.
        """
        searches = self.beam > 1 and not self.samples
        groups = searches and self.diverse_groups > 1
        notes = {
            f"word reward {self.word_reward:g}": self.word_reward,
            f"coverage penalty {self.coverage_penalty:g}": searches and self.coverage_penalty,
            f"{self.diverse_groups} groups, diversity {self.diversity:g}": groups,
            f"{self.stopping} stopping": searches and self.stopping != "early",
            f"top-k {self.top_k}": self.samples and self.top_k,
            f"top-p {self.top_p:g}": self.samples and self.top_p < 1,
            f"no {self.no_repeat_ngram}-gram twice": self.no_repeat_ngram,
            f"repetition penalty {self.repetition_penalty:g}": self.repetition_penalty > 1,
            "capitals recased": self.recase,
            "unknown scripts copied": self.copy_unknown,
            f"mbr {self.mbr}": self.mbr is not None and self.hypotheses > 1,
            f"at least {self.min_length} pieces": self.min_length,
            f"at most {self.max_length_ratio:g} times the source + {self.max_length_extra} pieces": self._differs(
                "max_length_ratio", "max_length_extra"
            ),
            f"sources cut after {self.max_source_length} pieces": self._differs("max_source_length"),
        }
        return ", ".join([self._choice(), *(note for note, applies in notes.items() if applies)])

    def _choice(self) -> str:
        if self.samples:
            several = f"{self.samples} sample{'s' if self.samples > 1 else ''}"
            return f"{several} at temperature {self.temperature:g}, seed {self.seed}"
        if self.beam == 1:
            return "greedy"
        normalization = f" ({self.length_normalization})" if self.length_penalty else ""
        return f"beam {self.beam}, length penalty {self.length_penalty:g}{normalization}"

    def _differs(self, *keys: str) -> bool:
        return any(getattr(self, key) != type(self).model_fields[key].default for key in keys)

    @property
    def hypotheses(self) -> int:
        """How many translations of each source are found."""
        return self.samples or self.beam


class EvaluationConfig(Section):
    """The report's numbers."""

    bootstrap: int = Field(1000, ge=100)
    """Resamples of the paired bootstrap (Koehn, 2004)."""
    seed: int = Field(12345, ge=1)
    """Seed of the resampling (sacreBLEU's default)."""
    metrics: tuple[Literal["chrf++", "ter", "language"], ...] = ()
    """Told of every validation and test set besides those of the task; `language`: the share of lines that are in the
    target language, or in that of the set's tag."""
