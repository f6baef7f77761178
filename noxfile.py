"""The tests on every supported Python, with the oldest and the newest supported TensorFlow: ``make test-matrix``."""

import nox

nox.options.default_venv_backend = "venv"
#: A Python that is not installed is left out, and said so.
nox.options.error_on_missing_interpreters = False

#: The oldest TensorFlow that tfcam supports and that there is for a Python.
OLDEST = {"3.10": "2.16", "3.11": "2.16", "3.12": "2.16", "3.13": "2.20"}


@nox.session(python=list(OLDEST))
@nox.parametrize("tensorflow", ["oldest", "newest"])
def tests(session: nox.Session, tensorflow: str) -> None:
    """Run the tests; what follows ``--`` goes to pytest."""
    versions = [f"{name}=={OLDEST[session.python]}.*" for name in ("tensorflow", "tf_keras")]
    session.install("--quiet", "--editable", ".[cli,test]", *(versions if tensorflow == "oldest" else []))
    session.run("python", "-m", "pip", "list", "--format=freeze")
    session.run("python", "-m", "pytest", *session.posargs)
