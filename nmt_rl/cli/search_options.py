"""How models translate: the options that translate, evaluate and compare share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import typer

from nmt_rl.cli.options import LengthNormalization, LengthPenalty, Precision, Threads, WordReward, option_name

if TYPE_CHECKING:
    from nmt_rl.config import DecodingConfig
    from nmt_rl.decoding.request import Request


@dataclass(frozen=True)
class SearchOptions:
    """The options, as the user gave them; None where not. Fields named like keys of the decoding section override them.

    A verb takes them by a parameter of this type, and the decorator `with_groups`.
    """

    seed_option: ClassVar[str] = "--sample-seed"
    lists: ClassVar[bool] = False
    """Whether the verb has --nbest."""

    beam: Annotated[int | None, typer.Option(min=1, help="Hypotheses kept; 1 is greedy.")] = None
    length_penalty: LengthPenalty = None
    length_normalization: LengthNormalization = None
    word_reward: WordReward = None
    coverage_penalty: Annotated[
        float | None, typer.Option(min=0.0, help="Prefers translations that look at all of the source; 0: none.")
    ] = None
    diverse_groups: Annotated[
        int | None, typer.Option(min=1, help="Divide the beam into groups that avoid each other's words.")
    ] = None
    diversity: Annotated[float | None, typer.Option(min=0.0, help="How much they avoid them, nats.")] = None
    stopping: Annotated[
        Literal["early", "exact"] | None,
        typer.Option(help="End when the beam is full of finished translations, or when none can be better (slower)."),
    ] = None
    no_repeat_ngram: Annotated[
        int | None, typer.Option(min=0, help="No N-gram of pieces twice in a translation; 0: allowed.")
    ] = None
    repetition_penalty: Annotated[
        float | None, typer.Option(min=1.0, help="Makes pieces that were said before less likely; 1: none.")
    ] = None
    ban: Annotated[
        list[str] | None,
        typer.Option(metavar="PHRASE", help="What no translation may say, cut as text is; repeatable."),
    ] = None
    glossary: Annotated[
        Path | None,
        typer.Option(
            help="Table of terms and their translations, by a tab, that the model is told; it must be trained so, or "
            "--force-terms be given."
        ),
    ] = None
    force_terms: Annotated[
        bool,
        typer.Option(
            "--force-terms",
            help="Any model: translations of --glossary's terms stand in the translation as they are (constrained beam "
            "search, slower).",
        ),
    ] = False
    memory: Annotated[
        Path | None, typer.Option(help="Folder that nmt-rl remember made: pairs that this model remembers.")
    ] = None
    samples: Annotated[int | None, typer.Option(min=0, help="Draw so many translations; 0: search.")] = None
    temperature: Annotated[float | None, typer.Option(min=0.01, help="Of samples; small: near the best.")] = None
    top_k: Annotated[int | None, typer.Option(min=0, help="Samples take one of the K most probable pieces.")] = None
    top_p: Annotated[float | None, typer.Option(min=0.01, max=1.0, help="Samples take one of the nucleus P.")] = None
    sample_seed: Annotated[int | None, typer.Option(min=0, help="Of the samples.")] = None
    mbr: Annotated[
        Literal["bleu", "chrf", "none"] | None,
        typer.Option(help="Of the hypotheses or samples take the one most alike to all (minimum Bayes risk)."),
    ] = None
    recase: Annotated[
        bool | None,
        typer.Option("--recase/--no-recase", help="Lines in capitals: read in small letters, written in capitals."),
    ] = None
    copy_unknown: Annotated[
        bool | None,
        typer.Option("--copy-unknown/--no-copy-unknown", help="Copy lines in a script that the model does not know."),
    ] = None
    min_length: Annotated[int | None, typer.Option(min=0, help="Fewest pieces of a translation.")] = None
    max_length_ratio: Annotated[
        float | None, typer.Option(min=0.01, help="Longest translation, pieces: so many times the source's,")
    ] = None
    max_length_extra: Annotated[int | None, typer.Option(min=1, help="plus so many.")] = None
    max_source_length: Annotated[
        int | None, typer.Option(min=4, help="Pieces after which a source is cut, with a warning.")
    ] = None
    batch_tokens: Annotated[int | None, typer.Option(min=1, help="Source pieces per batch, times beam or samples.")] = (
        None
    )
    engine: Annotated[
        Literal["auto", "keras", "ctranslate2"],
        typer.Option(help="What computes; auto: CTranslate2 where it finds what Keras would, faster."),
    ] = "auto"
    quantization: Annotated[
        Literal["float32", "int8", "int16", "float16"] | None,
        typer.Option(help="Of CTranslate2's matrices; int8 is faster and nearly the same. Default: float32."),
    ] = None
    precision: Precision = None
    threads: Threads = None

    def given(self) -> list[str]:
        """The options that the user gave, as he wrote them."""
        return [self._option(field.name) for field in fields(self) if getattr(self, field.name) != field.default]

    def _option(self, name: str) -> str:
        return self.seed_option if name in ("seed", "sample_seed") else option_name(name)

    def overrides(self) -> dict[str, Any]:
        """Keys of the decoding section, and the values they get."""
        from nmt_rl.config import DecodingConfig

        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given["seed"] = given.pop("sample_seed")
        found = {key: given[key] for key in DecodingConfig.model_fields if given.get(key) is not None}
        return {key: None if value == "none" else value for key, value in found.items()}

    def request(
        self,
        models: Sequence[Path],
        nbest: int | None = None,
        prefixes: bool = False,
        scores: bool = False,
        tag: str = "",
        through: str = "",
    ) -> Request:
        """What is asked of the translators of some models.

        Args:
            models: their folders.
            nbest: hypotheses that are wanted of each line; None: the best one's text.
            prefixes: whether translations shall begin with given text.
            scores: whether the best one's score is wanted.
            tag: what sources begin with, which the models know.
            through: the tag of a language between.

        Raises:
            UserError: for an option that has no effect with the others or a model's own settings, or excludes one.
        """
        from nmt_rl.corpus.glossary import read_glossary
        from nmt_rl.decoding.request import Request

        if not models and (options := self.given()):
            _refuse(f"{options[0]} is of models, but only files of translations are given")
        overrides = self.overrides()
        if any(not phrase.strip() for phrase in self.ban or ()):
            _refuse("--ban needs a phrase, found a blank one")
        if self.glossary is not None:
            read_glossary(self.glossary)
            if through:
                _refuse("--glossary is of one translation, and --through makes two; leave out one of them")
        elif self.force_terms:
            _refuse("--force-terms needs the terms; give --glossary FILE, too")
        request = Request(
            overrides,
            self.ban or (),
            prefixes=prefixes,
            scores=scores or nbest is not None,
            engine=self.engine,
            quantization=self.quantization,
            precision=self.precision,
            threads=self.threads,
            tag=tag,
            through=through,
            glossary=self.glossary,
            force_terms=self.force_terms,
            memory=self.memory,
        )
        if self.memory is not None and len(models) > 1:
            _refuse(f"--memory is of one model, found {len(models)}")
        for folder in models:
            self._look_at(folder, request, nbest, scores)
        return request

    def _look_at(self, folder: Path, request: Request, nbest: int | None, scores: bool) -> None:
        """Raise a UserError for what a model cannot do, or what does nothing with its settings."""
        from nmt_rl.bundle import read_bundle_config
        from nmt_rl.decoding.engines import check_engine
        from nmt_rl.decoding.marks import must_know_terms, must_spell_terms
        from nmt_rl.decoding.mbr import sentence_utility
        from nmt_rl.decoding.translator import override
        from nmt_rl.retrieval.record import must_belong

        config = read_bundle_config(folder)[0]
        settings = override(config.decoding, request.overrides, self._option)
        self._refuse_what_does_nothing(request.overrides, settings, nbest, scores)
        _refuse_what_excludes_another(settings, request.prefixes)
        check_engine([folder], config, settings, request)
        if self.memory is not None:
            must_belong(self.memory, folder)
        if self.force_terms and self.glossary is not None:
            _refuse_what_may_keep_terms_out(settings, request)
            must_spell_terms(folder, self.glossary)
        elif self.glossary is not None:
            must_know_terms(folder)
        if settings.mbr is not None:  # What the utility needs is found missing before a model is loaded.
            sentence_utility(settings.mbr, request.target_language(config.corpus.target_language))

    def _refuse_what_does_nothing(
        self, given: Mapping[str, Any], settings: DecodingConfig, nbest: int | None, scores: bool
    ) -> None:
        """Raise a UserError for an option that has no effect with the others."""

        def refuse(keys: tuple[str, ...], why: str) -> None:
            for key in keys:
                if key in given:
                    _refuse(f"{self._option(key)} {why}")

        if nbest is not None and nbest > settings.hypotheses:
            _refuse(f"--nbest {nbest} needs --beam {nbest} or more, or --samples, found {settings.hypotheses}")
        if settings.samples:
            refuse(("beam", "stopping", "coverage_penalty", "diverse_groups"), "is of a search; --samples 0 searches")
            if given.get("samples", 0) > 1 and nbest is None and settings.mbr is None:
                needs, used = ("--nbest or --mbr", "printed") if self.lists else ("--mbr", "taken")
                _refuse(f"--samples {settings.samples} needs {needs}: without, only the first is {used}")
        else:
            refuse(("temperature", "top_k", "top_p", "seed"), "is of samples; give --samples N, too")
        if settings.diverse_groups == 1:
            refuse(("diversity",), "is of several groups; give --diverse-groups N, too")
        if settings.beam == 1:
            refuse(("stopping",), "is of a beam; give --beam N, too")
            if settings.coverage_penalty:
                refuse(("coverage_penalty",), "is of a beam; give --beam N, too")
        if settings.hypotheses == 1 or settings.samples:
            penalty = ("length_penalty", "length_normalization")
            if nbest is None and not scores:
                listed = ", and is in the scores of --nbest; give --beam N or --nbest N, too"
                refuse(penalty, f"chooses among a beam{listed if self.lists else '; give --beam N, too'}")
            if settings.mbr is not None:
                refuse(penalty, "is not in the utilities of --mbr")


def _refuse_what_may_keep_terms_out(settings: DecodingConfig, request: Request) -> None:
    reasons = {
        "searches with a beam of 2 or more; give --beam N, too": settings.beam == 1 and not settings.samples,
        "searches, and does not draw; give --samples 0, too": settings.samples > 0,
        "searches in one group; give --diverse-groups 1, too": settings.diverse_groups > 1,
        "goes by the whole of a translation; leave out --prefix": request.prefixes,
        "may need what --ban forbids; leave out one of them": bool(request.banned),
        "may need an n-gram twice; give --no-repeat-ngram 0, too": settings.no_repeat_ngram > 0,
    }
    for why, holds in reasons.items():
        if holds:
            _refuse(f"--force-terms {why}")


def _refuse_what_excludes_another(settings: DecodingConfig, prefixes: bool) -> None:
    if settings.mbr is not None and settings.hypotheses < 2:
        _refuse("--mbr chooses among several translations; give --beam N or --samples N, or --mbr none")
    if prefixes and settings.coverage_penalty:
        _refuse("a coverage penalty does not know what --prefix has looked at; give --coverage-penalty 0, too")


def _refuse(sentence: str) -> None:
    from nmt_rl.errors import UserError

    raise UserError(sentence)
