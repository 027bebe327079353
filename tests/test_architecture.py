"""The plan of the house (docs/architecture.md), checked on every import, those inside functions included."""

import ast
import itertools
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import nmt_rl

ROOT = Path(nmt_rl.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}

# What each room may import, besides itself; errors, config, storage and backend are open to all.
BELOW = {
    "errors": set(),
    "config": {"storage"},
    "backend": set(),
    "storage": set(),
    "corpus": set(),
    "models": {"corpus"},
    "bundle": {"models", "corpus"},
    "results": {"bundle"},
    "evaluation": {"corpus"},
    "retrieval": {"bundle", "models", "corpus"},
    "decoding": {"retrieval", "bundle", "models", "corpus"},
    "documents": {"decoding", "corpus"},
    "tuning": {"training", "results", "evaluation", "decoding", "bundle", "corpus"},
    "systems": {"evaluation", "decoding", "bundle", "corpus"},
    "inspection": {"rl", "evaluation", "retrieval", "decoding", "bundle", "models", "corpus"},
    "training": {"results", "evaluation", "decoding", "bundle", "models", "corpus"},
    "verification": {"retrieval", "bundle", "corpus"},
    "rl": {"training", "results", "evaluation", "decoding", "bundle", "models", "corpus"},
    "cluster": {"rl", "training", "decoding", "bundle", "models", "corpus"},
    "run_folder": {"results", "training", "bundle", "corpus"},
    "experiment": {
        "run_folder",
        "cluster",
        "rl",
        "training",
        "results",
        "retrieval",
        "evaluation",
        "decoding",
        "bundle",
        "models",
        "corpus",
    },
    "chain": {"experiment", "tuning", "results", "evaluation", "decoding", "bundle", "corpus"},
    "cli": {
        "chain",
        "cluster",
        "documents",
        "retrieval",
        "tuning",
        "systems",
        "inspection",
        "verification",
        "experiment",
        "rl",
        "training",
        "evaluation",
        "decoding",
        "bundle",
        "models",
        "corpus",
    },
}
OPEN = {"errors", "config", "storage", "backend"}
WITHOUT_KERAS = {"errors", "config", "storage", "corpus", "evaluation"}
KERAS = {"keras", "tensorflow", "jax", "tensorflow_text"}
HEAVY = KERAS | {"datasets", "matplotlib", "sacrebleu"}


def imports(path, runtime_only=False):
    """Dotted names that a file imports; `runtime_only` leaves out what only type checkers see."""
    skipped = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if runtime_only and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped.update(id(below) for below in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name):
    """The module of this package that an imported name lives in, or None."""
    if name.partition(".")[0] != "nmt_rl":
        return None
    return name if name in MODULES else name.rpartition(".")[0]


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down_only(module):
    here = room(module)
    for name in imports(MODULES[module]):
        target = own(name)
        if target in (None, "nmt_rl") or here in ("", "__init__", "__main__"):
            continue
        there = room(target)
        assert there == here or there in (BELOW[here] | (OPEN if here not in OPEN else {"errors"})), (
            f"{module} imports {name}: {here} must not know {there}"
        )


def test_every_module_has_its_room():
    rooms = {room(module) for module in MODULES} - {"", "__init__", "__main__", "recipes"}
    assert rooms == BELOW.keys()


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in WITHOUT_KERAS])
def test_text_and_numbers_know_no_keras(module):
    for name in imports(MODULES[module]):
        assert name.split(".")[0] not in KERAS, f"{module} imports {name}"
        assert not str(own(name)).startswith("nmt_rl.backend"), f"{module} imports {name}, and with it Keras"


def test_models_know_no_text():
    for module, path in MODULES.items():
        if room(module) == "models":
            text = {f"nmt_rl.corpus.{name}" for name in ("lines", "sources", "prepare", "cleaning")}
            found = {own(name) for name in imports(path)} & text
            assert not found, (module, found)


def test_only_the_backend_room_knows_the_backend():
    for module, path in MODULES.items():
        if room(module) != "backend":
            found = {name for name in imports(path) if name.split(".")[0] in {"tensorflow", "jax"}}
            assert not found, (module, found)
            assert "keras.backend.backend" not in path.read_text(encoding="utf-8"), module


def test_there_is_no_import_cycle():
    graph = {module: {own(name) for name in imports(path, runtime_only=True)} for module, path in MODULES.items()}
    order = TopologicalSorter({m: {t for t in targets if t and t != m} for m, targets in graph.items()}).static_order()
    assert set(order) >= MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_short(module):
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 450


def test_folders_have_no_catch_all():
    assert not {module.rpartition(".")[2] for module in MODULES} & {"utils", "util", "helpers", "misc", "common"}


@pytest.mark.parametrize(
    "module", ["nmt_rl.corpus.prepare", "nmt_rl.evaluation.report", "nmt_rl.experiment", "nmt_rl.cli.main"]
)
def test_importing_a_light_module_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(' '.join(sorted({{m.split('.')[0] for m in sys.modules}} & {HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", MODULES)
def test_commands_that_are_suggested_quote_their_paths(name):
    """A path with a blank in it must be copied whole."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for before, value in itertools.pairwise(node.values):
                text = before.value if isinstance(before, ast.Constant) else ""
                if re.search(r"nmt-rl [a-z]+( [a-z-]+)* $", text) and isinstance(value, ast.FormattedValue):
                    assert ast.unparse(value.value).startswith("shlex."), ast.unparse(node)
