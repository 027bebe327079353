"""A whole experiment in a run folder: prepare, pretrain, finetune, choose the released model, report."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.bundle import copy_bundle, read_bundle_config
from nmt_rl.config import Config, DecodingConfig, dump_config
from nmt_rl.corpus.prepared import FILES, is_prepared
from nmt_rl.errors import UserError
from nmt_rl.results import read_result
from nmt_rl.run_folder import (
    EVENTS,
    begin_stage,
    check_run,
    clear_leftovers,
    drop_replaced,
    goes_on,
    has_begun,
    put_back,
    read_config,
    set_aside,
    write_config,
)
from nmt_rl.storage.lock import held
from nmt_rl.storage.outputs import folder_error
from nmt_rl.storage.ownership import must_be_ours

if TYPE_CHECKING:
    from nmt_rl.config import CorpusConfig, SourceSpec
    from nmt_rl.corpus.prepared import Prepared
    from nmt_rl.evaluation.comparison import Choice, Comparison, Translations
    from nmt_rl.evaluation.report import Report
    from nmt_rl.evaluation.status import Status

logger = logging.getLogger("nmt_rl")


def prepare_stage(config: Config, run: Path, fresh: bool = False, processes: int | None = None) -> Prepared:
    """Prepare the corpus, or open what was prepared before; `fresh` starts the whole run over."""
    with _working_in(run):
        return _prepare(config, run, fresh, processes)


def pretrain_stage(config: Config, run: Path, fresh: bool = False) -> dict[str, Any]:
    """Pretrain (preparing first if needed) and release the pretrained model; `fresh` starts the stage over."""
    _check_metrics(config)
    with _working_in(run):
        return _pretrain(config, run, fresh)


def finetune_stage(config: Config, run: Path, fresh: bool = False) -> dict[str, Any]:
    """Fine-tune the run's pretrained model and release the better one; `fresh` starts the stage over."""
    _load_metrics(config)
    with _working_in(run):
        return _finetune(config, run, fresh)


def run_stages(config: Config, run: Path, fresh: bool = False) -> Report:
    """All stages that are not finished yet, then the report."""
    _load_metrics(config)
    with _working_in(run):
        check_run(config, run, "corpus" if fresh else "finetune", fresh, whole=True)
        if fresh or not is_prepared(run):
            _tell_counts(_prepare(config, run, fresh))
        _pretrain(config, run)
        _finetune(config, run)
        return report_stage(config, run)


@contextlib.contextmanager
def _working_in(run: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(run))
        except OSError as error:
            raise folder_error(run, "--out", error) from error
        clear_leftovers(run)
        yield


def _load_metrics(config: Config) -> None:
    """A metric that cannot be made is said before days of pretraining, not after."""
    from nmt_rl.rl.sentence_metrics import load_metric

    for name in config.finetune.reward.metrics:
        if name not in ("bleu", "constant"):
            load_metric(name, config.corpus.target_language)
    _check_metrics(config)


def _check_metrics(config: Config) -> None:
    """The same of what the validation and test sets are scored by; a set's tag says what language it is in."""
    from nmt_rl.corpus.sources import target_language
    from nmt_rl.evaluation.metrics import TASKS, check_metrics

    names = [name for name in config.metrics if name in TASKS or name in config.evaluation.metrics]
    for spec in config.corpus.held_out.values() if names else ():
        check_metrics(names, target_language(spec, config.corpus))


def _prepare(config: Config, run: Path, fresh: bool, processes: int | None = None) -> Prepared:
    from nmt_rl.corpus.prepare import prepare

    check_run(config, run, "corpus", fresh)

    def replaceable(folder: Path) -> None:
        must_be_ours(folder, FILES, "be replaced")
        set_aside(run, "pretrain")  # Never a model beside another corpus.

    prepared = prepare(config, run, fresh, replaceable, processes)
    if fresh:
        set_aside(run, "pretrain")
    write_config(config, run, "corpus")
    return prepared


def _tell_counts(prepared: Prepared) -> None:
    """What nmt-rl prepare prints."""
    for line in str(prepared.report).splitlines():
        logger.info("%s", line)


def _pretrain(config: Config, run: Path, fresh: bool = False) -> dict[str, Any]:
    from nmt_rl.corpus.prepare import prepare
    from nmt_rl.training.pretrain import pretrain

    check_run(config, run, "pretrain", fresh)
    first = not is_prepared(run)
    prepared = prepare(config, run)
    if first:
        _tell_counts(prepared)
    with _begun(config, run, "pretrain", prepared, fresh):
        return pretrain(config, prepared, run)


def _finetune(config: Config, run: Path, fresh: bool = False) -> dict[str, Any]:
    from nmt_rl.corpus.prepare import prepare
    from nmt_rl.rl.finetune import finetune
    from nmt_rl.rl.reward import make_reward

    check_run(config, run, "finetune", fresh)
    prepared = prepare(config, run)
    make_reward(config.finetune.reward, prepared.tokenizers.target, config.corpus.target_language)
    with _begun(config, run, "finetune", prepared, fresh):
        if not config.finetune.actors or not goes_on(config, run, "finetune"):
            return finetune(config, prepared, run)
        from nmt_rl.cluster import cluster_actors

        with cluster_actors(config.finetune) as distribute:
            return finetune(config, prepared, run, distribute)


@contextlib.contextmanager
def _begun(config: Config, run: Path, stage: str, prepared: Prepared, fresh: bool) -> Iterator[None]:
    """What stands around a stage: its record before, release after; an old one is put back if the new one fails."""
    try:
        if fresh:
            set_aside(run, stage)
            if stage == "finetune":
                release(run)
        begin_stage(config, run, stage, prepared)
        write_config(config, run, stage)
        with _recalled(config, prepared):
            yield
    except BaseException:
        if fresh and not has_begun(run, stage):
            put_back(run, prepared.train.header.get("sha256"))
        raise
    release(run)
    drop_replaced(run)


def _recalled(config: Config, prepared: Prepared) -> contextlib.AbstractContextManager[None]:
    """Inside, a model with `model.memory` recalls training pairs, but for those of the source itself."""
    if config.model.memory is None:
        return contextlib.nullcontext()
    from nmt_rl.models.pair_memory import recalling
    from nmt_rl.retrieval.pairs import SimilarPairs

    return recalling(SimilarPairs(prepared.train, count=config.model.memory.pairs, without_itself=True))


def results(run: Path) -> dict[str, dict[str, Any]]:
    """The results of the stages that are finished, by name."""
    found = {stage: read_result(run / stage) for stage in ("pretrain", "finetune")}
    return {stage: result for stage, result in found.items() if result is not None}


def better_stage(run: Path) -> str:
    """The stage whose model validates better by the metric of the task: `pretrain` or `finetune`."""
    finetuned, metric = results(run).get("finetune"), read_config(run).score
    return "finetune" if finetuned and finetuned["valid"][metric] > finetuned["before"][metric] else "pretrain"


def release(run: Path) -> None:
    """Make the model that validates better RUN/model; what is the same already stays, with what was made from it.

    Raises:
        UserError: if that model is damaged; RUN/model stays as it is.
    """
    better = run / better_stage(run) / "model"
    try:
        copy_bundle(better, run / "model")
    except UserError as error:
        raise UserError(
            f"{error}; {run / 'model'} stays as it is; delete {better}, then the same command writes that model again "
            "from the last checkpoint"
        ) from error


def run_status(run: Path) -> Status | None:
    """How far the stage of a run is that has begun and is not finished, or None; nothing is written.

    Raises:
        UserError: if the folder is no run, or nothing has been trained in it.
    """
    from nmt_rl.evaluation.plots import read_events
    from nmt_rl.evaluation.status import stage_status

    config, events = read_config(run), read_events(run / EVENTS)
    begun = [stage for stage in ("pretrain", "finetune") if (run / stage / "begun.json").exists()]
    for stage in begun:
        if goes_on(config, run, stage):
            return stage_status(events, stage, getattr(config, stage).updates, config.score)
    if not begun:
        raise UserError(f"{run} holds no training that has begun; nmt-rl pretrain begins one")
    return None


def write_run_report(run: Path) -> Report:
    """Write the report of a run anew, by the settings it was run with."""
    config = read_config(run)
    with _working_in(run):
        return report_stage(config, run)


def report_stage(config: Config, run: Path) -> Report:
    """Translate validation (greedy) and test (beam) with both models and write the report."""
    from nmt_rl.corpus.prepared import open_prepared
    from nmt_rl.evaluation.report import write_report

    prepared = open_prepared(config, run)
    with _recalled(config, prepared):
        return write_report(run, _comparison(config, run, prepared))


def _comparison(config: Config, run: Path, prepared: Prepared) -> Comparison:
    from nmt_rl.evaluation.comparison import Comparison

    finished = results(run)
    own = {stage: read_bundle_config(run / stage / "model")[0].decoding for stage in finished}
    # As the last stage validated both, by which one is released: `decoding` may have changed since.
    validated = own[list(finished)[-1]].greedy()
    greedy = {s: validated.model_copy(update={"word_reward": each.word_reward}) for s, each in own.items()}
    corpus, test = config.corpus, None
    if prepared.test and corpus.test is not None:
        tuned = {stage: config.decoding.tuned_as(decoding) for stage, decoding in own.items()}
        test = _translations(run, "test", corpus.test, corpus, prepared.test, tuned)
    return Comparison(
        name=config.name,
        metrics=config.metrics,
        source_language=corpus.source_language,
        target_language=corpus.target_language,
        released="finetuned" if better_stage(run) == "finetune" else "pretrained",
        validation=_translations(run, "validation", corpus.valid[0], corpus, prepared.valid, greedy),
        further=[
            _translations(run, "further validation", spec, corpus, prepared.further[spec.label], greedy)
            for spec in corpus.further.values()
        ],
        choice=_choice(config, finished, len(prepared.valid)),
        test=test,
        config=dump_config(config),
        cleaning=prepared.report.to_json(),
        seed=config.seed,
        wall_seconds={stage: result["seconds"] for stage, result in finished.items()},
        q=finished.get("finetune", {}).get("q", {}),
        resamples=config.evaluation.bootstrap,
        bootstrap_seed=config.evaluation.seed,
    )


def _choice(config: Config, finished: dict[str, dict[str, Any]], lines: int) -> Choice | None:
    """On what the released model was chosen, if not on all validation lines, as in runs of 0.2.0."""
    from nmt_rl.evaluation.comparison import Choice

    result = finished.get("finetune", {"lines": lines})
    validated = result.get("lines", min(config.finetune.validation.sentences or lines, lines))
    if validated == lines:
        return None
    return Choice(validated, result["before"][config.score], result["valid"][config.score])


def _translations(
    run: Path,
    split: Any,
    spec: SourceSpec,
    corpus: CorpusConfig,
    pairs: list[tuple[str, str]],
    decoding: dict[str, DecodingConfig],
) -> Translations:
    """One split translated by every finished model; `decoding` is by stage."""
    from nmt_rl.corpus.sources import target_language
    from nmt_rl.decoding.request import Request
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.evaluation.comparison import Translations

    sources = [source for source, _ in pairs]
    texts = {}
    for stage, settings in decoding.items():
        translator = Translator.from_folders([run / stage / "model"], Request(settings.model_dump()))
        texts[stage] = [t.text for t in translator.translate(sources)]
    references = [reference for _, reference in pairs]
    how = _summary(decoding)
    language, both = target_language(spec, corpus), (texts["pretrain"], texts.get("finetune"))
    return Translations(split, spec.label, how, sources, references, *both, target_language=language)


def _summary(decoding: dict[str, DecodingConfig]) -> str:
    """How the models translate, by stage; once if that is the same."""
    found = {stage: settings.summary() for stage, settings in decoding.items()}
    if len(set(found.values())) == 1:
        return found["pretrain"]
    return f"pretrained: {found['pretrain']}; fine-tuned: {found['finetune']}"
