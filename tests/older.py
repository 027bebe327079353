"""What older versions left on the disk."""

import json


def without_hashes(folder):
    """Make a model folder one as version 0.2.0 wrote it: without hashes, a mark or a format."""
    for name in ("hashes.json", ".nmt-rl"):
        (folder / name).unlink(missing_ok=True)
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.removeprefix("format: 2\n"))


def corpus_without_hashes(folder):
    """Make a corpus one as version 0.2.0 wrote it: the specs of its sources stand among the settings."""
    (folder / "hashes.json").unlink()
    record = json.loads((folder / "prepared.json").read_text())
    for split, several in record.pop("sources").items():
        specs = [each["spec"] for each in several]
        record["settings"]["corpus"][split] = specs if split == "train" else specs[0]
    (folder / "prepared.json").write_text(json.dumps(record))
