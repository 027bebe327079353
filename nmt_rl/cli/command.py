"""A verb of the command line."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand

from nmt_rl.errors import UserError


class Verb(TyperCommand):
    """A command that refuses an option of one value given twice: the first would count for nothing."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does; raises UserError naming the option."""
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(order).items():
            once = not getattr(parameter, "multiple", False) and not getattr(parameter, "is_flag", False)
            if times > 1 and once and parameter.param_type_name == "option":
                raise UserError(f"{max(parameter.opts, key=len)} takes one value, but it is given {times} times")
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            found = given.get(getattr(error.param, "name", None) or "")
            if isinstance(found, str):  # Typer says what would be right; of a word it repeats it, too.
                message = error.message.removeprefix("Value error, ")
                error.message = message if repr(found) in message else f"{message.rstrip('.')}, found {found!r}"
            raise
