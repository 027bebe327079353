"""The two ways a command can end badly."""


class UserError(Exception):
    """Wrong input: one sentence naming file, line or key, what was found and what would be right (exit 2)."""


class RunError(Exception):
    """The run itself failed (NaN loss, full disk): one sentence with what was kept and how to go on (exit 1)."""
