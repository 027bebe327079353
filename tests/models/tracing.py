"""An update without its compilation, which takes JAX a second for each model."""

import jax

from nmt_rl.backend.compiled import _scaled_loss


def trace(learner, batch):
    """Look at the shapes of a gradient and of what is reported."""
    kinds = (learner.trainable_variables, learner.non_trainable_variables, learner.optimizer.variables)
    state = [[v.value for v in variables] for variables in kinds]
    found, (numbers, _) = jax.eval_shape(jax.grad(_scaled_loss(learner), has_aux=True), *state, batch)
    assert numbers["loss"].shape == () and [each.shape for each in found] == [each.shape for each in state[0]]
