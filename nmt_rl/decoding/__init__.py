"""Search and translation: weights in, sentences out."""

import nmt_rl.backend  # noqa: F401  imports Keras without its greetings on stderr
