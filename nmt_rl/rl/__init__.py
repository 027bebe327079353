"""Episodes to weights: token-level deep Q-network with a BLEU reward."""

import nmt_rl.backend  # noqa: F401  imports Keras without its greetings on stderr
