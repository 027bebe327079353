"""What a command does when it is asked to end."""

import os
import signal

import pytest

from nmt_rl.cli.signals import raised_signals
from nmt_rl.errors import Terminated


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_command_says_so_and_tidies(command, monkeypatch, tmp_path, name):
    """The file that is being written goes, the old one stays; a second signal does not disturb that."""
    number = getattr(signal, name)

    def end(*_):
        from nmt_rl.storage.writing import written_file

        with written_file(tmp_path / "out") as stream:
            stream.write(b"half")
            try:
                os.kill(os.getpid(), number)
            finally:
                os.kill(os.getpid(), number)

    (tmp_path / "out").write_text("old\n")
    signal.signal(number, signal.SIG_DFL)  # The tests may run under nohup.
    monkeypatch.setattr("nmt_rl.bundle.bundle_folder", end)
    monkeypatch.setattr("nmt_rl.bundle.start.load_experiment", end)
    result = command("info", "model")
    assert (result.code, result.out, result.err) == (128 + number, "", f"nmt-rl: terminated by {name}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out").read_text() == "old\n"
    result = command("pretrain", "recipe", "--out", "run")
    assert result.err == f"nmt-rl: terminated by {name}; the same command goes on from what is saved\n"
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_was_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with pytest.raises(Terminated) as end, raised_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert end.value.code == 143
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
