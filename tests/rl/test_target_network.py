import keras
import numpy as np
import pytest

from nmt_rl.rl.target_network import TargetNetwork

pytestmark = pytest.mark.jax


def layer(value):
    """A network of the weights [value, 2 value] and the bias 10 value."""
    dense = keras.layers.Dense(1)
    dense.build((None, 2))
    dense.set_weights([np.array([[value], [2 * value]], np.float32), np.array([10 * value], np.float32)])
    return dense


def numbers(dense):
    return np.concatenate([w.ravel() for w in dense.get_weights()]).tolist()


def test_it_begins_as_a_copy_that_does_not_follow_by_itself():
    online, target = layer(1.0), layer(7.0)
    TargetNetwork([(online, target)], 0.1)
    assert numbers(target) == [1.0, 2.0, 10.0]
    online.set_weights(layer(3.0).get_weights())
    assert numbers(target) == [1.0, 2.0, 10.0]


def test_polyak_steps_by_hand():
    """From 1 towards 3 at the rate 1/4: 1.5, then 1.875."""
    online, target = layer(1.0), layer(0.0)
    network = TargetNetwork([(online, target)], 0.25)
    online.set_weights(layer(3.0).get_weights())
    network.move()
    assert numbers(target) == [1.5, 3.0, 15.0]
    network.move()
    assert numbers(target) == [1.875, 3.75, 18.75]
    network.move(1.0)
    assert numbers(target) == [3.0, 6.0, 30.0] == numbers(online)


def test_every_pair_moves_and_only_targets_are_its_state():
    pairs = [(layer(1.0), layer(0.0)), (layer(2.0), layer(0.0))]
    network = TargetNetwork(pairs, 0.5)
    for online, _ in pairs:
        online.set_weights(layer(0.0).get_weights())
    network.move()
    assert [numbers(target)[0] for _, target in pairs] == [0.5, 1.0]
    assert [numbers(online)[0] for online, _ in pairs] == [0.0, 0.0]
    assert [float(v.value[0]) for v in network.variables if len(v.shape) == 1] == [5.0, 10.0]


def test_what_is_frozen_online_has_no_target():
    online, target = layer(1.0), layer(0.0)
    online.trainable = target.trainable = False
    assert TargetNetwork([(online, target)], 0.5).variables == []
