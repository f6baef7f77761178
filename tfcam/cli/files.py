"""Files written completely or not at all, and digests that identify their contents."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

#: What no later file of the same run would overcome: a full disk, a spent quota, a disk that takes no files.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class DiskFull(OSError):
    """A disk that takes no more files."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a hidden name to write to, which becomes `path` once that is done; of a failure nothing stays.

    The name is short, whatever the length of `path`, and of this run alone, so that two runs may write the same file.

    Raises
    ------
    DiskFull
        Where the disk takes no more files.
    """
    part = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        with refusing_a_full_disk(path):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def refusing_a_full_disk(path: Path) -> Iterator[None]:
    """Raise `DiskFull`, which names the file, where the disk takes no more of it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise DiskFull(error.errno, f"{path} cannot be written: {os.strerror(error.errno)}") from error


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Refuse to work in a folder that another run works in.

    Raises
    ------
    ValueError
        Where another run does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"Another run writes to {folder}: wait until it has ended, or give another --output."
        ) from None
    try:
        yield
    finally:
        lock.release()


def digest(path: Path) -> str:
    """Return what tells the contents of a file from any other."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()[:32]
