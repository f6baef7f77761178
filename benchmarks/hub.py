"""Explain models of KerasHub, with random weights, at sizes of their published presets.

Run ``make hub``, or ``python benchmarks/hub.py NAME ...`` for some of them. Prints a table of the default layers and
of what maps cost and, with ``--write``, puts it into docs/transformers.md. What does not work stands there with its
reason.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from grad_cam import FORWARD, alternated, cost
from pages import publish_named

import tfcam

MODELS = keras_hub.models
SHAPE, CLASSES, IMAGES, RUNS = (224, 224, 3), 5, 4, 7
TINY = {"num_layers": 12, "num_heads": 3, "hidden_dim": 192, "image_shape": SHAPE}


def by_token(backbone: Any, index: int = 0) -> keras.Model:
    """Return a classifier that reads one token of a backbone."""
    tokens = backbone.output
    tokens = next(iter(tokens.values())) if isinstance(tokens, dict) else tokens
    return keras.Model(backbone.input, keras.layers.Dense(CLASSES, name="classes")(tokens[:, index]))


def by_mean(backbone: Any) -> keras.Model:
    """Return a classifier of the mean of what a backbone puts out."""
    output = backbone.output
    output = list(output.values())[-1] if isinstance(output, dict) else output
    pool = keras.layers.GlobalAveragePooling1D if len(output.shape) == 3 else keras.layers.GlobalAveragePooling2D
    return keras.Model(backbone.input, keras.layers.Dense(CLASSES, name="classes")(pool(name="mean")(output)))


def vit(pooling: str) -> keras.Model:
    """Return a ViT-Ti/16."""
    backbone = MODELS.ViTBackbone(patch_size=16, mlp_dim=768, **TINY)
    return MODELS.ViTImageClassifier(backbone, CLASSES, pooling=pooling)


def deit() -> keras.Model:
    """Return a DeiT-Ti/16."""
    return MODELS.DeiTImageClassifier(MODELS.DeiTBackbone(patch_size=16, intermediate_dim=768, **TINY), CLASSES)


def dino(registers: int, head: Callable[[Any], keras.Model]) -> keras.Model:
    """Return a DINOv2 of the size of ViT-Ti."""
    return head(MODELS.DINOV2Backbone(patch_size=14, intermediate_dim=768, num_register_tokens=registers, **TINY))


def dino3() -> keras.Model:
    """Return a DINOv3 of the size of ViT-Ti."""
    return by_token(MODELS.DINOV3Backbone(patch_size=16, intermediate_dim=768, num_register_tokens=4, **TINY))


def swin() -> keras.Model:
    """Return a Swin-T."""
    return by_mean(
        MODELS.SwinTransformerBackbone(
            image_shape=SHAPE, patch_size=4, embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7
        )
    )


def mix_transformer() -> Any:
    """Return the backbone MiT-B0."""
    return MODELS.MiTBackbone(
        image_shape=SHAPE,
        layerwise_num_heads=[1, 2, 5, 8],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        num_layers=4,
        layerwise_depths=[2, 2, 2, 2],
        hidden_dims=[32, 64, 160, 256],
        max_drop_path_rate=0.1,
    )


def segformer() -> keras.Model:
    """Return a SegFormer-B0."""
    backbone = MODELS.SegFormerBackbone(image_encoder=mix_transformer(), projection_filters=64)
    return MODELS.SegFormerImageSegmenter(backbone=backbone, num_classes=CLASSES)


def clip() -> keras.Model:
    """Return CLIP's vision encoder, small, under a classifier."""
    return by_token(MODELS.CLIPVisionEncoder(32, 384, 6, 6, 1536, image_shape=SHAPE))


def resnet() -> keras.Model:
    """Return a ResNet50."""
    backbone = MODELS.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        use_pre_activation=False,
        image_shape=SHAPE,
    )
    return MODELS.ResNetImageClassifier(backbone, CLASSES)


def hgnet() -> keras.Model:
    """Return an HGNetV2-B0."""
    return by_mean(
        MODELS.HGNetV2Backbone(
            depths=[1, 1, 2, 1],
            embedding_size=16,
            hidden_sizes=[64, 256, 512, 1024],
            stem_channels=[3, 16, 16],
            hidden_act="relu",
            use_learnable_affine_block=True,
            stackwise_stage_filters=[
                [16, 16, 64, 1, 3, 3],
                [64, 32, 256, 1, 3, 3],
                [256, 64, 512, 2, 3, 5],
                [512, 128, 1024, 1, 3, 5],
            ],
            apply_downsample=[False, True, True, True],
            use_lightweight_conv_block=[False, False, True, True],
            image_shape=SHAPE,
        )
    )


def csp() -> keras.Model:
    """Return a CSPDarkNet53."""
    backbone = MODELS.CSPNetBackbone(
        stem_filters=32,
        stem_kernel_size=3,
        stem_strides=1,
        stem_padding="same",
        stackwise_depth=[1, 2, 8, 8, 4],
        stackwise_strides=[2, 2, 2, 2, 2],
        stackwise_num_filters=[64, 128, 256, 512, 1024],
        bottle_ratio=[0.5, *[1.0] * 4],
        block_ratio=[1.0, *[0.5] * 4],
        expand_ratio=[2.0, 1.0, 1.0, 1.0, 1.0],
        stage_type="csp",
        block_type="dark_block",
        down_growth=True,
        activation="leaky_relu",
        image_shape=SHAPE,
    )
    return MODELS.CSPNetImageClassifier(backbone, CLASSES)


def efficientnet() -> keras.Model:
    """Return an EfficientNetB0."""
    return by_mean(
        MODELS.EfficientNetBackbone(
            stackwise_width_coefficients=[1.0] * 7,
            stackwise_depth_coefficients=[1.0] * 7,
            stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
            stackwise_num_repeats=[1, 2, 2, 3, 3, 4, 1],
            stackwise_input_filters=[32, 16, 24, 40, 80, 112, 192],
            stackwise_output_filters=[16, 24, 40, 80, 112, 192, 320],
            stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
            stackwise_squeeze_and_excite_ratios=[0.25] * 7,
            stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
            stackwise_block_types=["v1"] * 7,
            input_shape=SHAPE,
        )
    )


def mobilenet() -> keras.Model:
    """Return a MobileNetV3-Small of half the width."""
    return by_mean(
        MODELS.MobileNetBackbone(
            stackwise_expansion=[[40, 56], [64, 144, 144], [72, 72], [144, 288, 288]],
            stackwise_num_blocks=[2, 3, 2, 3],
            stackwise_num_filters=[[16, 16], [24, 24, 24], [24, 24], [48, 48, 48]],
            stackwise_kernel_size=[[3, 3], [5, 5, 5], [5, 5], [5, 5, 5]],
            stackwise_num_strides=[[2, 1], [2, 1, 1], [1, 1], [2, 1, 1]],
            stackwise_se_ratio=[[None, None], [0.25] * 3, [0.3, 0.3], [0.3, 0.25, 0.25]],
            stackwise_activation=[["relu", "relu"], ["hard_swish"] * 3, ["hard_swish"] * 2, ["hard_swish"] * 3],
            stackwise_padding=[[1, 1], [2, 2, 2], [2, 2], [2, 2, 2]],
            output_num_filters=288,
            depthwise_filters=16,
            depthwise_stride=2,
            depthwise_residual=False,
            squeeze_and_excite=0.5,
            last_layer_filter=288,
            image_shape=SHAPE,
        )
    )


def xception() -> keras.Model:
    """Return an Xception."""
    filters = [(32, 64), (128, 128), (256, 256), (728, 728), *[(728, 728, 728)] * 8, (728, 1024), (1536, 2048)]
    pooling = [False, True, True, True, *[False] * 8, True, False]
    return by_mean(MODELS.XceptionBackbone(filters, pooling, image_shape=SHAPE))


BUILDERS: dict[str, Callable[[], Any]] = {
    "ViT-Ti/16, class token": lambda: vit("token"),
    "ViT-Ti/16, all tokens pooled": lambda: vit("gap"),
    "DeiT-Ti/16": deit,
    "DINOv2-Ti/14, class token": lambda: dino(0, by_token),
    "DINOv2-Ti/14, four registers, pooled": lambda: dino(4, by_mean),
    "DINOv3-Ti/16, class token": dino3,
    "CLIP's vision encoder, class token": clip,
    "Swin-T": swin,
    "MiT-B0": lambda: MODELS.MiTImageClassifier(mix_transformer(), CLASSES),
    "SegFormer-B0": segformer,
    "ResNet50": resnet,
    "EfficientNetB0": efficientnet,
    "HGNetV2-B0": hgnet,
    "CSPDarkNet53": csp,
    "MobileNet": mobilenet,
    "Xception": xception,
    "DenseNet121": lambda: by_mean(MODELS.DenseNetBackbone(stackwise_num_repeats=[6, 12, 24, 16], image_shape=SHAPE)),
    "VGG16": lambda: by_mean(MODELS.VGGBackbone([2, 2, 3, 3, 3], [64, 128, 256, 512, 512], image_shape=SHAPE)),
}


def problems_of(model: Any, images: Any) -> str:
    """Return what is wrong with the maps of a model's classes; empty where nothing is."""
    explainer = tfcam.GradCAM(model, batch_size=IMAGES, signed=True)
    maps = explainer.explain_classes(images, np.arange(CLASSES), resize=False).numpy().swapaxes(0, 1)
    if not np.isfinite(maps).all():
        return "maps are not finite"
    scale = np.abs(maps).max()
    if min(np.ptp(one) for one in maps) < 1e-5 * scale:
        return "maps are constant"
    return "" if np.abs(maps - maps[:1])[1:].max(axis=(1, 2, 3, 4)).min() > 1e-5 * scale else "classes have one map"


def explained(name: str) -> str:
    """Return the row of a model."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = BUILDERS[name]()
    pixels = np.random.default_rng(0).uniform(-1, 1, (IMAGES, *SHAPE)).astype("float32")
    images = {name: pixels for name in model.input} if isinstance(model.input, dict) else pixels
    tensors = tf.nest.map_structure(tf.constant, images)
    start = time.perf_counter()
    explainer = tfcam.GradCAM(model, batch_size=IMAGES)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", tfcam.ExplanationWarning)
        explainer.explain(images, 1)
    first = time.perf_counter() - start
    forward = tf.function(lambda x: model(x, training=False))
    runs = {FORWARD: lambda: forward(tensors), "Grad-CAM": lambda: explainer.explain(images, 1)}
    _, ratio = cost(alternated(runs, RUNS, math.inf), "Grad-CAM", IMAGES)
    [default] = [layer for layer in explainer.list_layers() if layer.default]
    grid = " x ".join(map(str, default.grid))
    notes = [problems_of(model, images), *(str(one.message) for one in said)]
    note = "; ".join(one for one in notes if one) or "finite, of each class its own"
    size = f"{model.count_params() / 1e6:.1f}"
    return f"| {name} | {size} | `{default.path}` | {grid} | {note} | {ratio:.2f} | {first:.1f} s |"


def table(names: list[str]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| model | million parameters | default layer | its grid | Grad-CAM's maps | forward passes | first call |"
    yield "| --- " * 7 + "|"
    for name in names:
        try:
            yield explained(name)
        except Exception as error:
            yield f"| {name} | | | | {type(error).__name__}: {' '.join(str(error).split())} | | |"


if __name__ == "__main__":
    publish_named(table, BUILDERS, "transformers.md", "hub.py", __doc__)
