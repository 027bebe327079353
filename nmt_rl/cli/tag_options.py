"""What sources begin with, for models of several languages or domains: the options --tag and --to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt_rl.cli.options import Tag, Through, To

if TYPE_CHECKING:
    from nmt_rl.evaluation.testsets import TestSet


@dataclass(frozen=True)
class TagOptions:
    """The options, as the user gave them; see `SearchOptions`."""

    tag: Tag = None
    to: To = None
    through: Through = None

    def of(self, models: Sequence[Path]) -> str:
        """The tag that is meant, or none; arguments and errors as of `chosen_tag`."""
        return chosen_tag(models, self.tag, self.to)

    def between(self, models: Sequence[Path]) -> str:
        """That of the language between, or none; arguments and errors as of `tag_between`."""
        return tag_between(models, self.through, [self.of(models)])


@dataclass(frozen=True)
class SetTagOptions:
    """The same for several test sets."""

    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            help="What every source begins with: a tag that the model was trained with (<2de>); once, or repeated for "
            "each test set in their order.",
        ),
    ] = None
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="LANGUAGE",
            help="Of models that know several by tags: translate into it (de); once, or for each test set.",
        ),
    ] = None
    through: Through = None

    def of(self, models: Sequence[Path], sets: Sequence[TestSet]) -> list[str]:
        """A tag for each test set, or none.

        Raises:
            UserError: if there are more or fewer than test sets; and see `chosen_tag`.
        """
        from nmt_rl.errors import UserError

        tags, languages = self.tag or [], self.to or []
        if tags and languages:
            raise UserError(BOTH)
        chosen = [chosen_tag(models, tag, None) for tag in tags] or [chosen_tag(models, None, to) for to in languages]
        if len(chosen) > 1 and len(chosen) != len(sets):
            raise UserError(
                f"{'--tag' if tags else '--to'} is given {len(chosen)} times for {len(sets)} test "
                f"set{'s' if len(sets) > 1 else ''}; give it once, or once for each in their order"
            )
        return chosen if len(chosen) > 1 else (chosen or [""]) * len(sets)

    def between(self, models: Sequence[Path], tags: Sequence[str]) -> str:
        """The tag of the language between, or none; arguments and errors as of `tag_between`."""
        return tag_between(models, self.through, tags)


BOTH = "--to LANGUAGE gives the tag of a language; leave out --tag, or --to"


def chosen_tag(models: Sequence[Path], tag: str | None, to: str | None) -> str:
    """The tag that is meant, or an empty text.

    Args:
        models: their folders.
        tag: itself, if it was given.
        to: the code of the language whose tag is meant, if it was given.

    Raises:
        UserError: for both, without a model, or if a model does not know it.
    """
    from nmt_rl.decoding.marks import must_know_tag, tag_to
    from nmt_rl.errors import UserError

    if tag is None and to is None:
        return ""
    if tag is not None and to is not None:
        raise UserError(BOTH)
    if not models:
        raise UserError(f"{'--to' if tag is None else '--tag'} is of models, but only files of translations are given")
    for folder in models:
        if tag is not None:
            must_know_tag(folder, tag)
        else:
            assert to is not None
            found = tag_to(folder, to)
    return found if tag is None else tag


def tag_between(models: Sequence[Path], through: str | None, tags: Sequence[str]) -> str:
    """The tag of the language that is translated through, or an empty text.

    Args:
        models: their folders.
        through: the language's code, if it was given.
        tags: what the sources begin with then.

    Raises:
        UserError: if there is nothing to translate into from there, or a model does not know it.
    """
    from nmt_rl.errors import UserError

    if through is None:
        return ""
    if not all(tags):
        raise UserError("--through LANGUAGE is on the way to another one; give --to LANGUAGE, too")
    from nmt_rl.decoding.marks import tag_to

    found = {tag_to(folder, through, "--through") for folder in models}.pop()
    if found in tags:
        raise UserError(f"--through {through} is where --to leads already; leave it out")
    return found
