"""Token ids to logits: one Seq2Seq interface; Transformer and LSTM behind it."""

import nmt_rl.backend  # noqa: F401  imports Keras without its greetings on stderr
