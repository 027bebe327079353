"""A search in its folder: trials by Optuna, which several processes may share and a later one goes on with.

SEARCH/study.journal   what was tried and found
SEARCH/begun.json      recipe, space and seed, which bind
SEARCH/trials/         runs of trials, their recipes and logs
SEARCH/best.yaml       the recipe with the best settings
SEARCH/trials.tsv, trials.png
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt_rl.config import Config
from nmt_rl.errors import RunError, UserError
from nmt_rl.storage.ownership import is_marked, mark, must_be_ours
from nmt_rl.storage.reading import read_json
from nmt_rl.storage.writing import write_json, write_text, written_folder
from nmt_rl.storage.yaml_core import dump_yaml
from nmt_rl.tuning.space import Space, setting
from nmt_rl.tuning.trials import DecodingTrials, Pruned, TrainingTrials

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

logger = logging.getLogger("nmt_rl")

JOURNAL, BEGUN = "study.journal", "begun.json"
NAMES = (JOURNAL, f"{JOURNAL}.lock", BEGUN, "trials/", "trials/*", "best.yaml", "trials.tsv", "trials.png")
FIRST = 5
"""Trials before any is given up by comparing it with the median."""

Load = Callable[[Sequence[str]], Config]
"""The experiment with some settings changed."""


@dataclass(frozen=True)
class Found:
    """One trial, as it ended."""

    number: int
    state: str
    """`complete`, `pruned` or `fail`."""
    bleu: float | None
    values: dict[str, Any]


class Search:
    """Searches a space for the settings with the best BLEU on validation.

    Args:
        folder: of the search; one that was begun with the same recipe, space and seed goes on.
        space: what is searched.
        load: makes experiments.
        trials: how one is measured.
        bound: what the search depends on besides the space, as JSON.
        seed: of what is tried.

    Raises:
        UserError: if the folder is of another search, or not nmt-rl's.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        load: Load,
        trials: DecodingTrials | TrainingTrials,
        bound: Mapping[str, Any],
        seed: int,
    ) -> None:
        """See the class docstring."""
        self.folder, self.space, self.load, self.trials, self.seed = folder, space, load, trials, seed
        record = {**bound, "seed": seed, "space": {key: repr(domain) for key, domain in space.items()}}
        begin(folder, record)
        self.study = self._open()

    def run(self, count: int, minutes: float | None = None) -> None:
        """Try until so many trials have ended, those of other processes too, or the minutes are used up."""
        began = time.monotonic()
        if not self.study.trials and (own := self._own()) is not None:
            self.study.enqueue_trial(own, skip_if_exists=True)
        while len(self.ended()) < count and (minutes is None or time.monotonic() - began < 60 * minutes):
            self._try(self.study.ask())

    def ended(self) -> list[Found]:
        """Trials that have ended, in their order; those that failed have no settings that could be used."""
        found = [self._found(trial) for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]
        if found and all(each.state == "fail" for each in found) and len(found) >= FIRST:
            raise RunError(f"the first {len(found)} trials failed; see {self.folder / 'trials'}")
        return found

    def best(self) -> Found | None:
        """The trial with the highest BLEU."""
        whole = [found for found in self.ended() if found.bleu is not None and found.state == "complete"]
        return max(whole, key=lambda found: (found.bleu or 0.0, -found.number), default=None)

    def settings(self, values: Mapping[str, Any]) -> list[str]:
        """`key=value` of a trial's values."""
        return [setting(key, value) for key, value in values.items()]

    def _try(self, trial: Trial) -> None:
        import optuna

        values = {key: domain.suggest(trial, key) for key, domain in self.space.items()}
        shown = " ".join(self.settings(values))

        def report(score: float, step: int) -> bool:
            trial.report(score, step)
            return trial.should_prune()

        state, bleu = optuna.trial.TrialState.COMPLETE, None
        try:
            bleu = self.trials.measure(self.load(self.settings(values)), trial.number, report)
        except Pruned:
            state = optuna.trial.TrialState.PRUNED
        except (UserError, RunError) as error:
            logger.warning("trial %d: %s", trial.number, error)
            state = optuna.trial.TrialState.FAIL
        except BaseException:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        self.study.tell(trial, bleu, state)
        ended = state.name.lower() if bleu is None else f"BLEU {bleu:.2f}"
        logger.info("trial %d  %s  %s", trial.number, ended, shown)

    def _own(self) -> dict[str, Any] | None:
        """The recipe's own settings as a trial, if the space holds them: what is found is then never worse."""
        tree, found = self.load([]).model_dump(mode="json"), {}
        for key, domain in self.space.items():
            value: Any = tree
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if not domain.holds(value):
                return None
            found[key] = domain.parameter(value)
        return found

    def _found(self, trial: FrozenTrial) -> Found:
        values = {key: self.space[key].value(number) for key, number in trial.params.items() if key in self.space}
        bleu = trial.value if trial.state.name == "COMPLETE" else None
        return Found(trial.number, trial.state.name.lower(), bleu, values)

    def _open(self) -> Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        decoding = isinstance(self.trials, DecodingTrials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner: optuna.pruners.BasePruner = (
                optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=4)
                if decoding
                else optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=2)
            )
        storage = JournalStorage(JournalFileBackend(str(self.folder / JOURNAL)))
        study = optuna.create_study(
            study_name="nmt-rl", storage=storage, pruner=pruner, direction="maximize", load_if_exists=True
        )
        # Another seed for a search that goes on, or what was tried first would be tried again.
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(study.trials))
        return study


def begin(folder: Path, record: dict[str, Any]) -> None:
    """Make the folder of a search, or see that it is of this one.

    Raises:
        UserError: if it is of another one, or not nmt-rl's.
    """
    if not folder.exists():
        with written_folder(folder) as made:
            mark(made, "search")
            (made / "trials").mkdir()
            write_json(made / BEGUN, record)
        return
    if not is_marked(folder):
        must_be_ours(folder, NAMES, "be searched in")
    old = read_json(folder / BEGUN)
    for key, value in record.items():
        if old.get(key) != value:
            raise UserError(f"{folder} is of a search with another {key}; give --out another folder")


def write_best(search: Search, base: str, given: Sequence[str]) -> Path:
    """Write SEARCH/best.yaml: what extends the recipe by what was given and by the best settings; its path.

    Args:
        search: with a trial that is complete.
        base: the recipe.
        given: `key=value` that the search was begun with.
    """
    best = search.best()
    assert best is not None
    tree: dict[str, Any] = {"base": base, "name": f"{search.load([]).name}-tuned"}
    changed = search.load([*search.settings(best.values)]).model_dump(mode="json")
    for key in [*(text.partition("=")[0] for text in given), *best.values]:
        parts, node, value = key.split("."), tree, changed
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            value = value[part]
        node[parts[-1]] = value[parts[-1]]
    path = search.folder / "best.yaml"
    write_text(path, dump_yaml(tree))
    return path
