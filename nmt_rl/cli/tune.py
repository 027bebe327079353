"""nmt-rl tune: the settings that validate best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt_rl.cli.options import Overrides, Recipe, named_folder

if TYPE_CHECKING:
    from nmt_rl.config import Config
    from nmt_rl.tuning.search import Search
    from nmt_rl.tuning.space import Space, Stage
    from nmt_rl.tuning.trials import DecodingTrials, TrainingTrials


def tune(
    recipe: Recipe,
    space: Annotated[
        Path, typer.Option(help="YAML file: of each key a list of values, or {low: ..., high: ...} with log or step.")
    ],
    out: Annotated[
        Path, typer.Option("--out", parser=named_folder, metavar="FOLDER", help="Of the search; it goes on in there.")
    ],
    run: Annotated[
        Path | None,
        typer.Option(help="Run whose corpus trials share; its pretrained model for finetune, its model for decoding."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="In all, those of other processes in this folder too.")] = 30,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Begin no trial after so many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is tried.")] = 1,
    set_: Overrides = None,
) -> None:
    """Search settings of decoding, fine-tuning or pretraining by BLEU on validation; bad trials are given up early.

    What the recipe says itself is tried first, if the space holds it. The best settings are in FOLDER/best.yaml.
    """
    from nmt_rl.errors import RunError, printable_lines
    from nmt_rl.evaluation.tables import align_columns
    from nmt_rl.tuning.report import plot_trials, write_table
    from nmt_rl.tuning.search import write_best

    search, base = _search(recipe, space, out, run, seed, set_ or ())
    search.run(trials, minutes)
    found, best = search.ended(), search.best()
    write_table(out / "trials.tsv", found, list(search.space))
    plot_trials(out / "trials.png", found)
    if best is None:
        raise RunError(f"none of {len(found)} trials came to its end; see {out / 'trials.tsv'}")
    path = write_best(search, base, set_ or ())
    whole = sorted((f for f in found if f.bleu is not None), key=lambda f: -(f.bleu or 0.0))[:5]
    rows = [["trial", "BLEU", *search.space]]
    rows += [[str(f.number), f"{f.bleu:.2f}", *(str(f.values.get(key)) for key in search.space)] for f in whole]
    states = [f.state for f in found]
    count = f"{len(found)} trials, {states.count('pruned')} given up early, {states.count('fail')} failed"
    typer.echo(printable_lines(f"{align_columns(rows)}\n{count}\nbest settings: {path}"))


def _search(
    recipe: str, path: Path, out: Path, run: Path | None, seed: int, given: list[str] | tuple[()]
) -> tuple[Search, str]:
    """The search, and what its best settings extend; everything is looked at before anything is tried."""
    import importlib.util

    from nmt_rl.bundle.start import load_experiment
    from nmt_rl.config import dump_config, recipe_path
    from nmt_rl.errors import UserError
    from nmt_rl.tuning.search import Search
    from nmt_rl.tuning.space import read_space, setting, stage_of
    from nmt_rl.tuning.trials import must_have

    if importlib.util.find_spec("optuna") is None:
        raise UserError("tune needs Optuna: pip install 'nmt-rl[tune]'")
    space = read_space(path)
    stage = stage_of(space)

    for key, domain in space.items():
        for value in domain.ends():
            try:
                load_experiment(recipe, [*given, setting(key, value)])
            except UserError as error:
                raise UserError(f"{path}: {key}: {str(error).partition(': ')[2] or error}") from None
    own = _own_decoding(must_have(run, stage), load_experiment(recipe)) if stage == "decoding" else []

    def load(more: Any) -> Config:
        return load_experiment(recipe, [*own, *given, *more])

    config = load([])
    bound = {"recipe": dump_config(config), "run": None if run is None else str(run.resolve())}
    trials = _trials(stage, space, config, run, out)
    base = recipe if "/" not in recipe and "." not in recipe else str(recipe_path(recipe).resolve())
    return Search(out, space, load, trials, bound, seed), base


def _own_decoding(run: Path, config: Config) -> list[str]:
    """What a model's own settings have otherwise than the recipe, such as lengths that were tuned."""
    from nmt_rl.bundle import read_bundle_config
    from nmt_rl.tuning.space import setting

    plain = config.decoding.model_dump(mode="json")
    found = read_bundle_config(run / "model")[0].decoding.model_dump(mode="json")
    return [setting(f"decoding.{key}", value) for key, value in found.items() if value != plain[key]]


def _trials(stage: Stage, space: Space, config: Config, run: Path | None, out: Path) -> DecodingTrials | TrainingTrials:
    from nmt_rl.tuning.trials import DecodingTrials, TrainingTrials, must_have

    if stage == "decoding":
        return DecodingTrials(must_have(run, stage), config, out / "trials")
    if stage == "finetune":
        return TrainingTrials(stage, out / "trials", must_have(run, stage))
    prepares = any(key.startswith(("corpus.", "tokenizer.", "pretrain.batch.max_length")) for key in space)
    return TrainingTrials(stage, out / "trials", None if prepares else run)
