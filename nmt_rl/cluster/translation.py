"""A file translated by several processes, here or on other machines, in parts that are kept until all are done."""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nmt_rl.bundle import bundle_folder
from nmt_rl.cluster.players import IN_FLIGHT, Players
from nmt_rl.cluster.session import ray_session
from nmt_rl.corpus.inputs import open_binary
from nmt_rl.corpus.lines import read_lines
from nmt_rl.decoding.files import CHUNK, translate_stream
from nmt_rl.decoding.line_progress import line_progress
from nmt_rl.decoding.request import Request
from nmt_rl.storage.hashes import HASHES, file_hash
from nmt_rl.storage.unfinished import begin, delete
from nmt_rl.storage.writing import written_file

if TYPE_CHECKING:
    from nmt_rl.decoding.formats import Format

PARTS = ("*.part",)
"""What the folder of parts holds besides what `storage.unfinished` writes."""


@dataclass(frozen=True)
class Work:
    """How to translate: the same for all parts."""

    folders: tuple[Path, ...]
    """Models, whose folders every machine sees by these names."""
    request: Request
    output: Format
    is_json: bool
    """The lines are JSON."""


@dataclass(frozen=True)
class Part:
    """Some lines of the source."""

    number: int
    lines: list[str]
    work: Work


class PartPlayer:
    """Translates parts as `translate_stream` does; the models are loaded for the first one."""

    def __init__(self) -> None:
        """See the class docstring."""
        self._translator: Any = None

    def play(self, part: Part) -> bytes:
        """What is written of a part."""
        from nmt_rl.decoding.translator import Translator

        if self._translator is None:
            self._translator = Translator.from_folders(part.work.folders, part.work.request)
        source, sink = io.BytesIO("".join(f"{line}\n" for line in part.lines).encode()), io.BytesIO()
        options: dict[str, Any] = {"is_json": part.work.is_json, "first": part.number * CHUNK}
        translate_stream(self._translator, source, sink, part.work.output, f"part {part.number}", **options)
        return sink.getvalue()


def translate_on_cluster(work: Work, source: Path, sink: IO[bytes], parts: Path, actors: int) -> None:
    """Translate a file; the text is the one that one process would have written.

    Args:
        work: see Work.
        source: a regular file.
        sink: gets everything, in order, when all parts are there.
        parts: folder where parts stand until then, from which the same command goes on.
        actors: processes.

    Raises:
        UserError: if Ray is not installed, or another one's folder stands at `parts`.
        RunError: if Ray cannot be started, or reached.
    """
    begin(parts, "translation", PARTS, {"source": file_hash(source), "lines": CHUNK, "work": _described(work)})
    left = (part for part in _parts(source, work) if not _path(parts, part.number).exists())
    if (first := next(left, None)) is not None:
        _translate(itertools.chain([first], left), source, parts, actors)
    for number in itertools.count():
        if not _path(parts, number).exists():
            break
        with _path(parts, number).open("rb") as file:
            shutil.copyfileobj(file, sink)
    sink.flush()


def delete_parts(parts: Path) -> None:
    """When the file that they make up is in its place."""
    delete(parts, PARTS)


def _translate(left: Iterator[Part], source: Path, parts: Path, actors: int) -> None:
    """Translate parts, of which memory holds those that are under way."""
    with ray_session(actors) as ray, line_progress(source) as progress:
        players: Players[Part] = Players(ray, PartPlayer, actors)
        done = CHUNK * sum(1 for _ in parts.glob(PARTS[0]))

        def take() -> None:
            nonlocal done
            part, text = players.next()
            with written_file(_path(parts, part.number)) as file:
                file.write(text)
            done += len(part.lines)
            progress(done)

        for part in left:
            players.give(part)
            if len(players) >= actors * IN_FLIGHT:
                take()
        while len(players):
            take()
        players.close()


def _parts(source: Path, work: Work) -> Iterator[Part]:
    with open_binary(source) as stream:
        lines = read_lines(stream, str(source))
        for number in itertools.count():
            own = list(itertools.islice(lines, CHUNK))
            if not own:
                return
            yield Part(number, own, work)


def _path(parts: Path, number: int) -> Path:
    return parts / f"{number:07d}.part"


def _described(work: Work) -> dict[str, Any]:
    """What the text depends on besides the source, as JSON."""
    models = [file_hash(bundle_folder(folder) / HASHES) for folder in work.folders]
    return {"models": models, "request": asdict(work.request), "output": asdict(work.output), "json": work.is_json}
