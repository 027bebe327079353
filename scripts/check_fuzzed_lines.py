"""Whether `nmt-rl translate` answers any bytes with as many lines, in order, and exit code 0.

    python scripts/check_fuzzed_lines.py MODEL SOURCE [--lines 10000] [--seed 1] [OPTION ...]

A line is random bytes, random characters of all planes, separators and control characters, shuffled words of SOURCE,
very long, or blank, each by chance. OPTIONs go to `nmt-rl translate`. Prints what was counted; exit code 1 if the exit
code is not 0, the number of lines differs, or a blank line gets words.
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import subprocess
import sys
import time
from pathlib import Path

SEPARATORS = "\r\t\v\f\x00\x1c\x1d\x1e\x85\u2028\u2029\ufeff\u200b\u202e\u00a0"


def main() -> None:
    """Write the lines, translate them and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("source", type=Path)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    args, options = parser.parse_known_args()
    draw, words = random.Random(args.seed), args.source.read_text(encoding="utf-8").split()
    lines = [fuzzed_line(draw, words) for _ in range(args.lines)]
    start = time.monotonic()
    command = [sys.executable, "-m", "nmt_rl", "translate", args.model, *options]
    result = subprocess.run(command, input=b"".join(line + b"\n" for line in lines), capture_output=True, check=False)
    found = result.stdout.split(b"\n")[:-1]
    # What is no UTF-8 becomes U+FFFD, which is no blank.
    blank = [not line.decode("utf-8", "replace").strip() for line in lines]
    pairs = zip(blank, found, strict=False)
    wrong = sum(was and bool(text.decode().strip()) for was, text in pairs)
    print(f"{time.strftime('%Y-%m-%d')}, seed {args.seed}, {sum(map(len, lines)):,} bytes, {' '.join(options)}")
    print(f"exit code {result.returncode} after {time.monotonic() - start:.0f} s")
    print(f"{len(lines):,} lines in, {len(found):,} out; {sum(blank):,} blank, {wrong} of them with words")
    messages = collections.Counter(_kind(line) for line in result.stderr.decode().splitlines())
    print("\n".join(f"{count:,} x {message}" for message, count in messages.most_common(10)))
    sys.exit(int(result.returncode != 0 or len(found) != len(lines) or wrong > 0))


def fuzzed_line(draw: random.Random, words: list[str]) -> bytes:
    """One line without its end."""
    kind = draw.random()
    if kind < 0.25:
        return bytes(draw.choice(range(256)) for _ in range(draw.randint(1, 60))).replace(b"\n", b"")
    if kind < 0.45:
        points = (draw.choice((0x80, 0x800, 0x3000, 0xD800, 0x20000)) for _ in range(draw.randint(1, 20)))
        return "".join(chr(draw.randrange(1, top)) for top in points).replace("\n", "").encode("utf-8", "surrogatepass")
    if kind < 0.55:
        return "".join(draw.choice(SEPARATORS + "ab ") for _ in range(draw.randint(1, 20))).encode("utf-8")
    if kind < 0.95:
        return " ".join(draw.choices(words, k=draw.randint(1, 15))).encode("utf-8")
    if kind < 0.952:
        return " ".join(draw.choices(words, k=1000)).encode("utf-8")
    return b" " * draw.randint(0, 3)


def _kind(message: str) -> str:
    """A message with its line numbers left out, so that equal ones are counted together."""
    return re.sub(r"(?<= )[0-9][0-9,]*", "#", message)


if __name__ == "__main__":
    main()
