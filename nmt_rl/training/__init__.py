"""Logits to weights: the compiled update, schedules, checkpoints, the loop."""

import nmt_rl.backend  # noqa: F401  imports Keras without its greetings on stderr
