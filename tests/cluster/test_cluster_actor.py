"""Players of Ray against the actor in this process, on the tiny run."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest

from nmt_rl.bundle import load_bundle
from nmt_rl.config import load_config
from nmt_rl.corpus.prepared import open_prepared
from nmt_rl.experiment import finetune_stage
from nmt_rl.rl.episode import to_arrays
from nmt_rl.rl.family import build_family
from nmt_rl.rl.finetune import make_agent
from nmt_rl.rl.reward import make_reward

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    from nmt_rl.cluster.session import ray_session

    with ray_session(2) as module:
        yield module


@pytest.fixture(scope="module")
def parts(tiny_run):
    """The experiment, its family, and two batches of sentences."""
    config = load_config(str(tiny_run.recipe), ["finetune.sentences=7"])
    prepared = open_prepared(config, tiny_run.folder)
    prior = load_bundle(tiny_run.folder / "pretrain" / "model").model
    prior.trainable = False
    reward = make_reward(config.finetune.reward, prepared.tokenizers.target, "en")
    family = build_family(config, prior, prepared, reward)
    sentences = make_agent(family).sentences
    return config, family, [sentences.next() for _ in range(2)]


@pytest.fixture
def cluster(ray, parts):
    from nmt_rl.cluster.cluster_actor import ClusterActor

    made = []

    def make(players, **options):
        config, family, _ = parts
        made.append(ClusterActor(family, config, ray, players, **options))
        return made[-1]

    yield make
    for actor in made:
        actor.close()


def same(found, expected):
    one, other = to_arrays(found), to_arrays(expected)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_one_player_in_lock_step_is_the_actor_in_this_process(cluster, parts):
    _, family, batches = parts
    actor = cluster(1)
    for version, batch in enumerate(batches):
        expected, numbers = family.actor.play(batch, version, np.random.default_rng(version))
        episodes, told = actor.play(batch, version, np.random.default_rng(version))
        same(episodes, expected)
        assert told == numbers
        family.model.trainable_variables[0].assign_add(0.1 * np.ones(family.model.trainable_variables[0].shape))


def process_of(ray, actor):
    """Of the first player, once it is there again: it loads its backend anew, on a busy machine for a while."""
    for _ in range(120):
        try:
            return ray.get(actor.players.handles[0].begin.remote(actor._orders))
        except ray.exceptions.ActorUnavailableError:
            time.sleep(1.0)
    return pytest.fail("the player did not come back")


def test_a_player_that_is_killed_costs_nothing_but_time(cluster, ray, parts, caplog):
    _, _, batches = parts
    actor = cluster(2)
    expected, _ = actor.play(batches[0], 3, np.random.default_rng(5))
    victim = ray.get(actor.players.handles[0].begin.remote(actor._orders))
    threading.Timer(0.02, os.kill, (victim, signal.SIGKILL)).start()
    episodes = [actor.play(batches[0], 3, np.random.default_rng(5))[0] for _ in range(3)]
    for number, found in enumerate(episodes, start=1):
        assert [episode.id for episode in found] == [7 * number + i for i in range(1, 8)]
        assert [e.tokens.tolist() for e in found] == [e.tokens.tolist() for e in expected]
        assert [e.forks.values.tolist() for e in found] == [e.forks.values.tolist() for e in expected]
    assert process_of(ray, actor) != victim


def test_ahead_every_sentence_is_played_once_and_late(cluster, parts):
    _, _, batches = parts
    actor, found, lags = cluster(2, ahead=True), [], []
    for version, batch in enumerate(batches * 2):
        episodes, numbers = actor.play(batch, version, np.random.default_rng(version))
        found += [(episode.source_id, episode.policy_version) for episode in episodes]
        lags.append(numbers["lag"])
    played = [(int(i), version) for version, batch in enumerate(batches * 2) for i in batch.rows.indices]
    assert len(found) == len(set(found)) and set(found) < set(played)
    assert lags[0] == 0 and max(lags) > 0
    assert len(played) - len(found) <= 4 + 7  # What is still being played: one unit, and those that were held back.


def test_fine_tuning_with_one_actor_ends_with_the_same_bits(tiny_run, tmp_path):
    """In a process of its own, whose Ray nothing else uses, and which leaves nothing in the user's home."""
    runs = []
    for actors in (0, 1):
        run = shutil.copytree(tiny_run.folder, tmp_path / f"run{actors}")
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "nmt_rl", "finetune", str(tiny_run.recipe), "--out", str(run), "--fresh"]
        done = subprocess.run(
            [*command, "--set", f"finetune.actors={actors}"],
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": str(home)},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        runs.append(weights(run / "finetune" / "model"))
        assert not list(home.rglob("*ray*"))
    assert runs[0] == runs[1]


def weights(folder):
    found = {}
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


def test_without_ray_it_is_one_sentence(tiny_run, monkeypatch, tmp_path):
    from nmt_rl.cluster import session
    from nmt_rl.errors import UserError

    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    run = shutil.copytree(tiny_run.folder, tmp_path / "run")
    with pytest.raises(UserError, match=r"finetune\.actors needs Ray: pip install 'nmt-rl\[ray\]'"):
        finetune_stage(load_config(str(tiny_run.recipe), ["finetune.actors=2"]), run, fresh=True)


def test_nothing_else_loads_ray():
    code = "import sys, nmt_rl.cli.main, nmt_rl.experiment, nmt_rl.rl.finetune; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
