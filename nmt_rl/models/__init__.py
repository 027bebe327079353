"""Token ids to logits: one Seq2Seq interface; Transformer and LSTM behind it."""
