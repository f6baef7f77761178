"""Model files that are damaged: one line names the file."""

import io
import json
import zipfile

import keras
import numpy as np
import pytest

pytest.importorskip("typer")
from command_line import invoke
from PIL import Image

from tfcam import cli

L = keras.layers


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the bytes of a model file by its ending."""
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3, activation="relu"), L.Flatten(), L.Dense(2)])
    folder = tmp_path_factory.mktemp("models")
    for ending in ("keras", "h5"):
        model.save(folder / f"m.{ending}")
    return {ending: (folder / f"m.{ending}").read_bytes() for ending in ("keras", "h5")}


def entries(content, change):
    """Return a .keras file whose entries a function changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        kept = change({name: file.read(name) for name in file.namelist()})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, data in kept.items():
            file.writestr(name, data)
    return made.getvalue()


def without(name):
    return lambda content: entries(content, lambda parts: {key: one for key, one in parts.items() if key != name})


def with_(name, data):
    return lambda content: entries(content, lambda parts: parts | {name: data})


def flipped(place):
    def change(content):
        index = int(place * len(content))
        return content[:index] + bytes([content[index] ^ 0xFF]) + content[index + 1 :]

    return change


#: Files that no library loads; a flipped byte may leave a model that is loaded with another number in it.
DAMAGED = {
    "no config.json": ("keras", without("config.json")),
    "no weights": ("keras", without("model.weights.h5")),
    "metadata is a number": ("keras", lambda content: with_("metadata.json", b"5")(without("config.json")(content))),
    "config is null": ("keras", with_("config.json", b"null")),
    "config is a number": ("keras", with_("config.json", b"5")),
    "config has no class": ("keras", with_("config.json", json.dumps({"config": {}}).encode())),
    "weights are text": ("keras", with_("model.weights.h5", b"no HDF5")),
    "half": ("keras", lambda content: content[: len(content) // 2]),
    "empty": ("keras", lambda content: b""),
    "text": ("keras", lambda content: b"no model"),
    "directory byte": ("keras", flipped(0.995)),
    "h5, half": ("h5", lambda content: content[: len(content) // 2]),
    "h5, text": ("h5", lambda content: b"no model"),
    "h5, NULs": ("h5", lambda content: bytes(len(content))),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_model_file_is_named_in_one_line(name, saved, tmp_path, monkeypatch, capsys):
    ending, damage = DAMAGED[name]
    path = tmp_path / f"m.{ending}"
    path.write_bytes(damage(saved[ending]))
    Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(tmp_path / "a.png")
    monkeypatch.setattr(
        "sys.argv",
        ["tfcam", "explain", str(tmp_path / "a.png"), "--model", str(path), "--output", str(tmp_path / "out")],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"Error: --model {path} cannot be loaded: ") and said.count("\n") == 1


@pytest.mark.parametrize("option", ["--classes", "--weights"])
def test_other_files_of_a_model_are_named_too(option, tmp_path):
    path = tmp_path / "file.weights.h5"
    path.write_bytes(b"\xff\xfe no text")
    Image.fromarray(np.zeros((8, 8, 3), "uint8")).save(tmp_path / "a.png")
    model = ["--model", "MobileNetV2"] if option == "--weights" else []
    command = ["explain", str(tmp_path / "a.png"), *model, option, str(path), "--output", str(tmp_path / "out")]
    assert f"{option} {path} cannot be" in str(invoke(*command).exception)
