"""A command gets options from a dataclass that others share."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from nmt_rl.cli.option_groups import with_groups
from nmt_rl.cli.search_options import SearchOptions
from nmt_rl.errors import UserError


@dataclass(frozen=True)
class Colours:
    sky: Annotated[str | None, typer.Option(help="Of the sky.")] = None
    sea: Annotated[list[str] | None, typer.Option("--sea", "--ocean")] = None


def test_the_fields_of_a_group_are_options():
    app = typer.Typer()

    @app.command()
    @with_groups
    def paint(
        name: Annotated[str, typer.Argument()], *, colours: Colours, twice: Annotated[bool, typer.Option()] = False
    ):
        typer.echo(f"{name} {colours} {twice}")

    run = CliRunner().invoke
    assert run(app, ["x"]).output == f"x {Colours()} False\n"
    words = ["x", "--sky", "red", "--sea", "a", "--ocean", "b", "--twice"]
    assert run(app, words).output == f"x {Colours('red', ['a', 'b'])} True\n"
    assert "Of the sky." in run(app, ["--help"]).output


def test_what_was_given_becomes_keys_of_the_decoding_section(tiny_run):
    options = SearchOptions(beam=3, sample_seed=0, mbr="none", ban=["Hund"], engine="ctranslate2")
    assert options.overrides() == {"beam": 3, "seed": 0, "mbr": None}
    assert options.given() == ["--beam", "--ban", "--sample-seed", "--mbr", "--engine"]
    with pytest.raises(UserError, match="--sample-seed is of samples"):
        options.request([tiny_run.folder / "model"])
    request = SearchOptions(beam=3, ban=["Hund"]).request([tiny_run.folder / "model"])
    assert (request.overrides, request.banned, request.engine) == ({"beam": 3}, ["Hund"], "auto")
