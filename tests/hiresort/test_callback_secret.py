"""The secret of the callbacks: made once, for its owner alone, never half."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from connect.callbacks import read_secrets
from hiresort import callback_secret


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "callback.secret"
    callback_secret.keep_in(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [first] = read_secrets(path)
    assert len(first) == 64
    callback_secret.keep_in(path)
    assert read_secrets(path) == [first]
    assert [file.name for file in path.parent.iterdir()] == ["callback.secret"]


def test_each_run_has_another(tmp_path: Path) -> None:
    for name in ("a", "b"):
        callback_secret.keep_in(tmp_path / name)
    assert read_secrets(tmp_path / "a") != read_secrets(tmp_path / "b")


def test_what_a_crash_left_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "callback.secret.new").write_text("half of")
    callback_secret.keep_in(tmp_path / "callback.secret")
    assert len(read_secrets(tmp_path / "callback.secret")[0]) == 64


def test_containers_make_it_by_a_command(tmp_path: Path) -> None:
    path = tmp_path / "callback.secret"
    command = [sys.executable, "-m", "hiresort.callback_secret", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout + done.stderr == b""
    assert read_secrets(path)


def test_where_nothing_can_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        callback_secret.keep_in(tmp_path / "file" / "callback.secret")
