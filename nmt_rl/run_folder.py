"""The folder of a run: what in it is nmt-rl's, what its stages were begun with, and what --fresh sets aside."""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
from pathlib import Path
from typing import Any

import yaml

from nmt_rl.bundle import WEIGHTS, check_bundle
from nmt_rl.bundle.adapters import CONTENTS as ADAPTER
from nmt_rl.bundle.saving import CONTENTS
from nmt_rl.config import Config, parse_config
from nmt_rl.config.stages import LENGTH, have_grown, limits, stage_difference
from nmt_rl.corpus.prepared import (
    FILES,
    TOKENIZERS,
    UNFINISHED,
    Prepared,
    check_settings,
    check_text,
    is_prepared,
    looks_prepared,
    read_record,
)
from nmt_rl.errors import UserError
from nmt_rl.results import read_result
from nmt_rl.storage.hashes import file_hash
from nmt_rl.storage.ownership import RUN, is_marked, kind_of, mark, must_be_ours, strangers
from nmt_rl.storage.reading import must_be, read_json, read_text, read_yaml
from nmt_rl.storage.unfinished import BEGUN
from nmt_rl.storage.writing import PREFIX, write_json, write_text
from nmt_rl.storage.yaml_core import dump_yaml, load_yaml

logger = logging.getLogger("nmt_rl")

STAGES = ("corpus", "pretrain", "finetune")
STAGE = (
    "begun.json", "before.json", "result.json", "checkpoints/", "checkpoints/step-*.npz*", "snapshots/",
    "snapshots/weights-*.npz*", "model/", *(f"model/{name}" for name in CONTENTS),
    "adapter/", *(f"adapter/{name}" for name in ADAPTER),
)  # fmt: skip
FOLDERS = {
    "preparing": (BEGUN, *UNFINISHED), "corpus": FILES, "pretrain": STAGE, "finetune": STAGE, "model": CONTENTS,
    "tensorboard": ("events.out.*",),
}  # fmt: skip
"""Folders of a run, and what nmt-rl writes into them; see `ownership.must_be_ours`."""
MARKED = ("preparing", "corpus", "pretrain", "finetune", "model")
REPORT = ("report.html", "metrics.json", "pretraining.png", "finetuning.png", "calibration.png")
EVENTS = "metrics.jsonl"
CONFIG = "config.yaml"
REPLACED = "replaced"
"""What --fresh replaces, until a new stage is finished."""
NAMES = (CONFIG, *FOLDERS, EVENTS, *REPORT, REPLACED, *TOKENIZERS)
"""What nmt-rl writes into the folder of a run, and 0.2.0 wrote."""

HEAD = "# The resolved settings of this run: nmt-rl wrote them, and overwrites them. Edit a copy elsewhere.\n"
SECTIONS = {"name", "seed", "corpus", "tokenizer", "model", "pretrain", "finetune", "decoding", "evaluation"}


def check_run(config: Config, run: Path, stage: str, fresh: bool = False, whole: bool = False) -> None:
    """Look at everything that can be known before a stage begins; nothing is written.

    Args:
        config: the experiment.
        run: its folder, which may not exist.
        stage: of STAGES; with those before it.
        fresh: it and all later ones start over.
        whole: all stages will run, so that none needs to be there.

    Raises:
        UserError: if something in `run` is not nmt-rl's, a stage that has begun is bound to other settings, the text
            of the corpus is another one, or an earlier stage is missing.
    """
    _check_ownership(run)
    _check_sources(config, run)
    place = STAGES.index(stage)
    begun = [name for name in STAGES[1:] if has_begun(run, name)]
    if is_prepared(run) and not (fresh and stage == "corpus"):
        check_settings(config, run, read_record(run / "corpus"))
        prepares = stage == "corpus" and not whole
        check_text(config, run, ("text", "gone") if prepares else () if begun else ("text",))
    elif stage == "finetune" and not whole:
        raise UserError(f"{run} holds no prepared corpus; run nmt-rl prepare first")
    for name in begun:
        if STAGES.index(name) < place + (not fresh):
            _check_stage(config, run, name)
    if stage == "finetune" and not whole and not (run / "pretrain" / "model").is_dir():
        raise UserError(
            f"{run} holds no pretrained model; run nmt-rl pretrain with --out {shlex.quote(str(run))} first"
        )
    replaced = [*(STAGES[place:] if fresh else ()), *(["model"] if fresh or stage != "corpus" else [])]
    for name in [*replaced, *(["tensorboard"] if fresh else [])]:
        if (run / name).exists():
            _must_be_ours(run / name, name, "be replaced")


def _check_ownership(run: Path) -> None:
    if (kind := kind_of(run)) not in (None, RUN):
        whole = f"; give --out {shlex.quote(str(run.parent))}" if kind_of(run.parent) == RUN else ""
        raise UserError(f"{run} is a folder of kind {kind} that nmt-rl made, not a run{whole}")
    found = [name for name in NAMES if (run / name).exists() or (run / name).is_symlink()]
    ours = is_marked(run) or ("corpus" in found and (CONFIG not in found or _is_written(run / CONFIG)))
    for name in found:
        path = run / name
        foreign = name in MARKED and not _is_ours(path, name)
        if not ours or foreign or (name == REPLACED and not is_marked(path)):
            raise UserError(
                f"{path} is not nmt-rl's, which would write its own there; give --out another folder, or move it away"
            )
        if name == CONFIG and not _is_written(path):
            raise UserError(
                f"{path} would be overwritten, but somebody has edited it; move it out of {run} and give it as the "
                "recipe from there, or give --out another folder"
            )


def _is_ours(path: Path, name: str) -> bool:
    """Whether nmt-rl made a folder of a run: it has its mark, or is one of 0.2.0 with nothing else in it."""
    if is_marked(path):
        return True
    if not path.is_dir() or list(strangers(path, FOLDERS[name])):
        return False
    if name == "corpus":
        return looks_prepared(path)
    if name == "model":
        return (path / WEIGHTS).exists() and (path / "card.json").exists()
    return name == "tensorboard" or (path / "result.json").exists() or any(path.glob("checkpoints/step-*.npz"))


def _is_written(path: Path) -> bool:
    """Whether a config.yaml is as nmt-rl wrote it: complete, and without a comment or a change of form."""
    try:
        text = read_text(path)
        if text.startswith(HEAD):
            return dump_yaml(load_yaml(text)) == text.removeprefix(HEAD)
        tree = yaml.safe_load(text)
        return set(tree) >= SECTIONS and yaml.safe_dump(tree, sort_keys=False, allow_unicode=True) == text
    except (UserError, yaml.YAMLError, TypeError, ValueError, RecursionError):
        return False


def _must_be_ours(path: Path, name: str, what: str) -> None:
    """As `ownership.must_be_ours`; folders that 0.2.0 made have no mark."""
    if is_marked(path) or path.is_symlink() or not _is_ours(path, name):
        must_be_ours(path, FOLDERS[name], what)


def _check_sources(config: Config, run: Path) -> None:
    corpus = config.corpus
    splits = {"train": corpus.train, **{split: (spec,) for split, spec in corpus.held_out.items()}}
    for split, specs in splits.items():
        for spec in specs:
            for path in filter(None, (*spec.source, *spec.target, spec.prefix, spec.tsv, spec.hub)):
                _must_lie_elsewhere(path, f"corpus.{split}", run)
    if config.pretrain.start is not None:
        start = Path(config.pretrain.start)
        _must_lie_elsewhere(start if (start / WEIGHTS).exists() else start / "model", "pretrain.start", run)


def _must_lie_elsewhere(path: str | Path, key: str, run: Path) -> None:
    for name in FOLDERS:
        if Path(path).resolve().is_relative_to((run / name).resolve()):
            raise UserError(
                f"{key}: {path} lies in {run / name}, which nmt-rl replaces; move it, or give --out another folder"
            )


def has_begun(run: Path, stage: str) -> bool:
    """Whether there is something of a stage that settings bind: a result, or a checkpoint after an update."""
    checkpoints = {path.stem for path in (run / stage / "checkpoints").glob("step-*.npz")}
    return (run / stage / "result.json").exists() or bool(checkpoints - {"step-00000000"})


def goes_on(config: Config, run: Path, stage: str) -> bool:
    """Whether a stage has not ended, or has and may be longer now."""
    result = read_result(run / stage)
    return result is None or have_grown(result.get("limits"), limits(getattr(config, stage)))


def _check_stage(config: Config, run: Path, stage: str) -> None:
    """Raise UserError if a stage that has begun is bound to other settings."""
    running, finished = goes_on(config, run, stage), (run / stage / "result.json").exists()
    old, new = read_begun(run, stage)["settings"], config.model_dump(mode="json")
    remedy = f"set it back, give --out another folder, or nmt-rl {stage} --fresh starts {_LABELS[stage]} over"
    dependent = stage == "pretrain" and has_begun(run, "finetune")
    if dependent:
        remedy += ", and fine-tuning, which depends on it"
    if difference := stage_difference(stage, old, new, finished=not running):
        if not running and not dependent and not stage_difference(stage, old, new, finished=False):
            remedy += f"; with a larger {stage}.{LENGTH[0]} it would go on with them"
        state = "was begun" if running else "is finished,"
        raise UserError(f"{run / stage} {state} with other settings: {difference}; {remedy}")
    if running and finished and dependent:
        longer = stage_difference(stage, old, new, finished=True)
        raise UserError(
            f"{run / 'pretrain'} is finished and would go on ({longer}), but {run / 'finetune'} was made from its "
            f"model; move {run / 'finetune'} away, {remedy}"
        )


_LABELS = {"pretrain": "pretraining", "finetune": "fine-tuning"}


def read_begun(run: Path, stage: str) -> dict[str, Any]:
    """What a stage was begun with: `settings`, and hashes of `corpus` and `pretrained` model (null: not known)."""
    path = run / stage / "begun.json"
    if not path.exists():  # Of 0.2.0
        return {"settings": read_yaml(run / CONFIG) if (run / CONFIG).exists() else {}}
    begun: dict[str, Any] = read_json(path)
    must_be(begun.get("settings"), dict, f"{path}: settings")
    return begun


def begin_stage(config: Config, run: Path, stage: str, prepared: Prepared) -> None:
    """Note what a stage is begun, or goes on, with.

    Raises:
        UserError: if it was begun on another corpus, or from another pretrained model.
    """
    now: dict[str, Any] = {"settings": config.model_dump(mode="json"), "corpus": prepared.train.header.get("sha256")}
    if stage == "finetune":
        pretrained = run / "pretrain" / "model"
        try:
            check_bundle(pretrained)
        except UserError as error:
            raise UserError(f"{error}; delete {pretrained}, then nmt-rl pretrain writes it again") from error
        now["pretrained"] = file_hash(pretrained / WEIGHTS)
    if has_begun(run, stage):
        begun = read_begun(run, stage)
        for key, words in (("corpus", run / "corpus"), ("pretrained", run / "pretrain" / "model")):
            if begun.get(key) not in (None, now.get(key)):
                raise UserError(
                    f"{run / stage} was begun with another {words} than there is now; put that back, or nmt-rl {stage} "
                    f"--fresh starts {_LABELS[stage]} over"
                )
    elif (run / stage).exists():  # What failed before its first update binds nothing.
        _must_be_ours(run / stage, stage, "be replaced")
        shutil.rmtree(run / stage)
    if goes_on(config, run, stage):
        (run / stage).mkdir(exist_ok=True)
        mark(run / stage, stage)
        write_json(run / stage / "begun.json", now)


def read_config(run: Path) -> Config:
    """The settings that a run was last worked on with; raises UserError if the folder is no run."""
    if not (run / CONFIG).is_file():
        raise UserError(f"{run} is no run of nmt-rl: it holds no {CONFIG}")
    # As it was resolved: a key that an override has made idle is no mistake here.
    return parse_config(read_yaml(run / CONFIG), str(run / CONFIG))


def write_config(config: Config, run: Path, stage: str) -> None:
    """Make a folder the run's, and write config.yaml; later stages that have begun keep what they were begun with."""
    for name in STAGES[1:]:
        if has_begun(run, name) and not (run / name).is_symlink() and not (run / name / "begun.json").exists():
            write_json(run / name / "begun.json", read_begun(run, name))
    for name in MARKED:
        if (run / name).is_dir() and not (run / name).is_symlink() and not is_marked(run / name):
            mark(run / name, name)
    if not is_marked(run):
        mark(run, RUN)
    tree = config.model_dump(mode="json")
    for name in STAGES[STAGES.index(stage) + 1 :]:
        if has_begun(run, name):
            tree[name] = read_begun(run, name)["settings"].get(name, tree[name])
    write_text(run / CONFIG, HEAD + dump_yaml(tree))


def clear_leftovers(run: Path) -> None:
    """Delete what a killed preparation or stage has left half made; nobody else works in a run that is held."""
    for path in run.glob(f"{PREFIX}*"):
        if path.is_dir() and not path.is_symlink() and kind_of(path) == "corpus":
            shutil.rmtree(path)
    for stage in STAGES[1:]:
        if is_marked(run / stage) and not (run / stage).is_symlink():  # Another run may be working in what is linked.
            for path in [*(run / stage).glob(f"checkpoints/{PREFIX}*"), *(run / stage).glob(f"snapshots/{PREFIX}*")]:
                path.unlink()


def set_aside(run: Path, first: str) -> None:
    """Move a stage, all later ones and what was made of them to RUN/replaced.

    If a finished one is there already, it stays, and the one that is not finished goes.
    """
    stages = STAGES[STAGES.index(first) :]
    names = [n for n in (*stages, "model", "tensorboard", EVENTS, CONFIG, *REPORT) if (run / n).exists()]
    if not any(has_begun(run, name) for name in stages) and "model" not in names:
        return
    aside = run / REPLACED
    aside.mkdir(exist_ok=True)
    mark(aside, REPLACED)
    kept = [n for n in stages if (aside / n / "result.json").exists() and not (run / n / "result.json").exists()]
    shared = [n for n in names if n == CONFIG or (first == "finetune" and n in (EVENTS, "tensorboard"))]
    if first not in kept:
        for name in shared:  # Pretraining's stay. Before anything is moved: a copy may find the disk full.
            _copy(run / name, aside / name)
    for name in reversed([n for n in names if n not in shared]):
        # A kill on the way leaves the first stage, by which it is told what to keep.
        if first in kept or name in kept:
            _remove(run / name)
        else:
            _remove(aside / name)
            (run / name).rename(aside / name)
    if first == "finetune":
        from nmt_rl.training.events import EventLog

        EventLog(run).rewind(first, -1)
    logger.info("what was there of %s is in %s until it is finished anew", " and ".join(stages), aside)


def _copy(path: Path, to: Path) -> None:
    beside = to.with_name(PREFIX + to.name)
    _remove(beside)
    if path.is_dir():
        shutil.copytree(path, beside)
    else:
        shutil.copyfile(path, beside)
    _remove(to)
    beside.rename(to)


def put_back(run: Path, corpus: str | None) -> None:
    """Undo `set_aside`, if a new stage has failed before its first checkpoint.

    Args:
        run: the folder of the run.
        corpus: hash of its corpus; stages that were begun with another one are not put beside it.
    """
    aside = run / REPLACED
    for stage in STAGES[1:]:
        with contextlib.suppress(UserError):
            if read_begun(aside, stage).get("corpus") not in (None, corpus):
                return
    for old in sorted(aside.iterdir()) if is_marked(aside) else ():
        if old.name in NAMES:
            _remove(run / old.name)
            old.rename(run / old.name)
    drop_replaced(run)


def drop_replaced(run: Path) -> None:
    """Delete RUN/replaced if its first stage is finished anew, unless somebody has put something of their own there."""
    aside = run / REPLACED
    first = next((stage for stage in STAGES if (aside / stage).exists()), None)
    if not is_marked(aside) or (first and not (run / first / "result.json").exists()):
        return
    inside = [f"{name}/{pattern}" for name, patterns in FOLDERS.items() for pattern in patterns]
    names = [*(f"{name}/" for name in FOLDERS), *inside, EVENTS, CONFIG, *REPORT]
    if found := next(strangers(aside, names), None):
        logger.warning("%s stays: %s in it is not nmt-rl's", aside, found)
        return
    shutil.rmtree(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
