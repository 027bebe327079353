"""Logits to weights: the compiled update, schedules, checkpoints, the loop."""
