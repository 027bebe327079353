"""Untrained models whose distributions differ by source and prefix."""

import numpy as np


def with_noise(model, scale, seed):
    """The model, normal noise added to all of its weights."""
    rng = np.random.default_rng(seed)
    model.set_weights([w + rng.normal(0, scale, w.shape) for w in model.get_weights()])
    return model
