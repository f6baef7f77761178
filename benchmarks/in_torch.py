"""pytorch-grad-cam on a Keras model: the same network of PyTorch, its weights copied array by array.

A process of its own, which perturbation_peers.py starts: TensorFlow and PyTorch do not load into one. It reads a .keras
file, an image ``(1, H, W, C)`` and the class; it writes the map, of the layer's size and not scaled, and prints the
seconds of a run and the peak of the memory in GiB.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn


class InTorch(nn.Module):
    """A functional Keras model of convolutions, normalisations, ReLUs, paddings, sums, one pooling and Dense layers.

    Parameters
    ----------
    model : keras.Model
        Its inputs are ``(N, H, W, C)``, those of the module ``(N, C, H, W)``.

    Attributes
    ----------
    layers : nn.ModuleDict
        By the names of the Keras layers.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        kept = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        self.layers = nn.ModuleDict({layer.name: _module(layer) for layer in kept})
        names = {id(model.inputs[0]): None} | {id(layer.output): layer.name for layer in kept}
        given = {layer.name: layer.input if isinstance(layer.input, list) else [layer.input] for layer in kept}
        self._given = {name: [names[id(tensor)] for tensor in tensors] for name, tensors in given.items()}
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the last layer puts out."""
        done: dict[str | None, torch.Tensor] = {None: x}
        for name, module in self.layers.items():
            done[name] = module(*(done[one] for one in self._given[name]))
        return done[name]


class _Sum(nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one + other


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def _module(layer: Any) -> nn.Module:
    """Return the module of a layer, with its weights."""
    weights = [torch.from_numpy(np.array(one, copy=True)) for one in layer.get_weights()]
    kind = type(layer).__name__
    if kind in ("Conv2D", "DepthwiseConv2D"):
        # Keras: (height, width, in, out), and (height, width, channels, 1).
        kernel = weights[0].permute(3, 2, 0, 1) if kind == "Conv2D" else weights[0].permute(2, 3, 0, 1)
        groups = 1 if kind == "Conv2D" else kernel.shape[0]
        size, ways = tuple(kernel.shape[2:]), kernel.shape[1] * groups
        module: nn.Module = nn.Conv2d(ways, kernel.shape[0], size, layer.strides, groups=groups, bias=layer.use_bias)
        _filled(module, weight=kernel, **({"bias": weights[1]} if layer.use_bias else {}))
        return nn.Sequential(nn.ZeroPad2d(_padding(layer)), module)
    if kind == "BatchNormalization":
        gamma, beta, mean, variance = weights
        module = nn.BatchNorm2d(len(gamma), eps=layer.epsilon)
        return _filled(module, weight=gamma, bias=beta, running_mean=mean, running_var=variance)
    if kind == "Dense":
        return _filled(nn.Linear(*layer.kernel.shape), weight=weights[0].T, bias=weights[1])
    if kind == "ReLU":
        return nn.ReLU() if layer.max_value is None else nn.Hardtanh(0.0, float(layer.max_value))
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = layer.padding
        return nn.ZeroPad2d((left, right, top, bottom))
    simple: dict[str, type[nn.Module]] = {"Add": _Sum, "GlobalAveragePooling2D": _Mean, "Dropout": nn.Identity}
    if kind not in simple:
        raise ValueError(f"{layer.name!r} is a {kind}, which is not translated.")
    return simple[kind]()


def _padding(layer: Any) -> tuple[int, ...]:
    """Return what a convolution pads with on the left, on the right, above and below."""
    if layer.padding == "valid":
        return (0, 0, 0, 0)
    padding: list[int] = []
    # At a stride, the larger half comes last. PyTorch begins with the last axis.
    for size, kernel, stride in list(zip(layer.input.shape[1:3], layer.kernel_size, layer.strides, strict=True))[::-1]:
        more = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        padding += [more // 2, more - more // 2]
    return tuple(padding)


def _filled(module: nn.Module, **tensors: torch.Tensor) -> nn.Module:
    for name, tensor in tensors.items():
        getattr(module, name).data = tensor.contiguous().clone()
    return module


def main() -> None:
    """Run a method, as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "image", "method", "layer", "output"):
        parser.add_argument(name)
    parser.add_argument("--target", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    module = InTorch(keras.models.load_model(arguments.model))
    x = torch.from_numpy(np.load(arguments.image).transpose(0, 3, 1, 2).copy())
    kind = {"ablation-cam": AblationCAM, "score-cam": ScoreCAM}[arguments.method]
    explainer, found = kind(module, [module.layers[arguments.layer]]), []
    explainer.batch_size, of_layer = 32, explainer.get_cam_image

    def kept(*given: Any, **named: Any) -> np.ndarray:
        found[:] = [of_layer(*given, **named)]
        return found[0]

    explainer.get_cam_image = kept
    times = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        explainer(x, [ClassifierOutputTarget(arguments.target)])
        times.append(time.perf_counter() - start)
    np.save(arguments.output, np.maximum(found[0][0], 0))
    print(np.median(times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, torch.__version__)


if __name__ == "__main__":
    main()
