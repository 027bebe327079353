"""A whole experiment in a run folder: prepare, pretrain, finetune, choose the released model, report."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.config import Config, DecodingConfig, dump_config, first_difference, parse_config, read_yaml
from nmt_rl.errors import UserError

if TYPE_CHECKING:
    from nmt_rl.corpus.prepared import Prepared
    from nmt_rl.evaluation.comparison import Choice, Translations
    from nmt_rl.evaluation.report import Report

logger = logging.getLogger("nmt_rl")

STAGES = ("corpus", "pretrain", "finetune")
LENGTH_KEYS = ("updates", "minutes")
"""May change while a stage is running: they say when it ends, not what it does."""


def prepare_stage(config: Config, run: Path, fresh: bool = False) -> Prepared:
    """Prepare the corpus, or open what was prepared before; `fresh` deletes the whole run first."""
    from nmt_rl.corpus.prepare import prepare

    open_run(config, run, "corpus" if fresh else None)
    return prepare(config, run)


def pretrain_stage(config: Config, run: Path, fresh: bool = False) -> dict[str, Any]:
    """Pretrain (preparing first if needed) and release the pretrained model; `fresh` starts the stage over."""
    from nmt_rl.corpus.prepare import prepare
    from nmt_rl.training.pretrain import pretrain

    open_run(config, run, "pretrain" if fresh else None)
    result = pretrain(config, prepare(config, run), run)
    release(run)
    return result


def finetune_stage(config: Config, run: Path, fresh: bool = False) -> dict[str, Any]:
    """Fine-tune the run's pretrained model and release the better one; `fresh` starts the stage over."""
    from nmt_rl.corpus.prepared import open_prepared
    from nmt_rl.rl.finetune import finetune

    open_run(config, run, "finetune" if fresh else None)
    result = finetune(config, open_prepared(config, run), run)
    release(run)
    return result


def run_stages(config: Config, run: Path, fresh: bool = False) -> Report:
    """All stages that are not finished yet, then the report."""
    _load_metrics(config)
    prepare_stage(config, run, fresh)
    pretrain_stage(config, run)
    finetune_stage(config, run)
    return report_stage(config, run)


def _load_metrics(config: Config) -> None:
    """A user's function that cannot be loaded is said before days of pretraining, not after."""
    from nmt_rl.rl.sentence_metrics import load_metric

    for name in config.finetune.reward.metrics:
        if ":" in name:
            load_metric(name)


def open_run(config: Config, run: Path, fresh_from: str | None = None) -> None:
    """Make the run folder, or check that it was begun with the same settings; then write config.yaml.

    Args:
        config: the experiment.
        run: its folder.
        fresh_from: delete this stage and all later ones first.

    Raises:
        UserError: if `run` is a file or a folder with other things, or a started stage had other settings (names the
            key and both values).
    """
    path = run / "config.yaml"
    _check_folder(run)
    if fresh_from != "corpus" and (run / "corpus" / "prepared.json").exists():
        from nmt_rl.corpus.prepared import open_prepared

        open_prepared(config, run)
    if fresh_from:
        for stage in (*STAGES[STAGES.index(fresh_from) :], "model"):
            shutil.rmtree(run / stage, ignore_errors=True)
    if path.exists():
        _check_unchanged(parse_config(read_yaml(path), str(path)), config, run)
    run.mkdir(parents=True, exist_ok=True)
    new = path.with_name("config.yaml.new")
    new.write_text(dump_config(config), encoding="utf-8")
    new.replace(path)


def _check_folder(run: Path) -> None:
    """Preparing and --fresh delete folders of RUN: they must not be somebody's own."""
    if run.exists() and not run.is_dir():
        raise UserError(f"{run} is a file; --out needs a folder")
    foreign = [name for name in (*STAGES, "model") if (run / name).exists()]
    if foreign and not (run / "config.yaml").exists():
        raise UserError(f"{run} holds {foreign[0]} but no config.yaml, so it is no run; give --out another folder")


def _check_unchanged(old: Config, new: Config, run: Path) -> None:
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    sections = {"pretrain": ("seed", "model", "tokenizer", "pretrain"), "finetune": ("finetune",)}
    for stage, names in sections.items():
        if not (run / stage).exists():
            continue
        keys = LENGTH_KEYS if not (run / stage / "result.json").exists() else ()
        for tree in (before, after):
            for key in keys:
                tree[stage].pop(key, None)
        difference = first_difference({n: before[n] for n in names}, {n: after[n] for n in names})
        if difference:
            raise UserError(f"{run} was begun with other settings: {difference}; --fresh starts the stage over")


def results(run: Path) -> dict[str, dict[str, Any]]:
    """The results of the stages that are finished, by name."""
    paths = {stage: run / stage / "result.json" for stage in ("pretrain", "finetune")}
    return {stage: json.loads(path.read_text(encoding="utf-8")) for stage, path in paths.items() if path.exists()}


def better_stage(run: Path) -> str:
    """The stage whose model validates better in BLEU: `pretrain` or `finetune`."""
    finetuned = results(run).get("finetune")
    return "finetune" if finetuned and finetuned["valid"]["bleu"] > finetuned["before"]["bleu"] else "pretrain"


def release(run: Path) -> None:
    """Copy the model that validates better to RUN/model, beside and renamed."""
    made, old = run / "model.new", run / "model.old"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(run / better_stage(run) / "model", made)
    shutil.rmtree(old, ignore_errors=True)
    if (run / "model").exists():
        (run / "model").rename(old)
    made.rename(run / "model")
    shutil.rmtree(old, ignore_errors=True)


def report_stage(config: Config, run: Path) -> Report:
    """Translate validation (greedy) and test (beam) with both models and write the report."""
    from nmt_rl.corpus.prepared import open_prepared
    from nmt_rl.evaluation.comparison import Comparison
    from nmt_rl.evaluation.report import write_report

    prepared, finished = open_prepared(config, run), results(run)
    corpus, greedy = config.corpus, config.decoding.greedy()
    test = None
    if prepared.test and corpus.test is not None:
        test = _translations(run, "test", corpus.test.label, prepared.test, config.decoding)
    comparison = Comparison(
        name=config.name,
        source_language=corpus.source_language,
        target_language=corpus.target_language,
        released="finetuned" if better_stage(run) == "finetune" else "pretrained",
        validation=_translations(run, "validation", corpus.valid[0].label, prepared.valid, greedy),
        further=[
            _translations(run, "further validation", name, pairs, greedy) for name, pairs in prepared.further.items()
        ],
        choice=_choice(config, finished, len(prepared.valid)),
        test=test,
        config=dump_config(config),
        cleaning=prepared.report.to_json(),
        seed=config.seed,
        wall_seconds={stage: result["seconds"] for stage, result in finished.items()},
        resamples=config.evaluation.bootstrap,
        bootstrap_seed=config.evaluation.seed,
    )
    return write_report(run, comparison)


def _choice(config: Config, finished: dict[str, dict[str, Any]], lines: int) -> Choice | None:
    """On what the released model was chosen, if not on all validation lines."""
    from nmt_rl.evaluation.comparison import Choice

    validated = min(config.finetune.validation.sentences or lines, lines)
    if "finetune" not in finished or validated == lines:
        return None
    result = finished["finetune"]
    return Choice(validated, result["before"]["bleu"], result["valid"]["bleu"])


def _translations(
    run: Path, split: Any, name: str, pairs: list[tuple[str, str]], decoding: DecodingConfig
) -> Translations:
    """One split translated by every finished model."""
    from nmt_rl.bundle import load_bundle
    from nmt_rl.decoding.translator import Translator
    from nmt_rl.evaluation.comparison import Translations

    sources = [source for source, _ in pairs]
    texts = {}
    for stage in results(run):
        bundle = load_bundle(run / stage / "model")
        language = bundle.config.corpus.target_language
        translator = Translator.of_model(bundle.model, bundle.tokenizers, decoding, language=language)
        texts[stage] = [t.text for t in translator.translate(sources)]
    references = [reference for _, reference in pairs]
    return Translations(split, name, decoding.summary(), sources, references, texts["pretrain"], texts.get("finetune"))
