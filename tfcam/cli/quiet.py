"""TensorFlow without its start-up log, so that the output of a command stays readable."""

from __future__ import annotations

import os
import sys
import tempfile

#: TensorFlow's own switch. Where the user has set it, all that TensorFlow says is shown.
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> None:
    """Import TensorFlow, and hold back what its libraries write meanwhile unless the import fails.

    They write past Python, before the log level that they are given has any effect.
    """
    if "tensorflow" in sys.modules or LOG_LEVEL in os.environ:
        return
    os.environ[LOG_LEVEL] = "3"
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            log.seek(0)
            os.write(terminal, log.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
