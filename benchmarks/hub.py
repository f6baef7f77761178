"""Explain models of KerasHub, with random weights, at sizes of their published presets.

Run ``make hub``, or ``python benchmarks/hub.py NAME ...`` for some of them. Prints a table of their default layers and what
maps cost and, with ``--write``, puts it into docs/transformers.md. What does not work stands there with its reason.
"""

from __future__ import annotations

import argparse
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
from pages import publish

import tfcam

MODELS = keras_hub.models
SHAPE, CLASSES, IMAGES, RUNS = (224, 224, 3), 5, 4, 7
TINY = {"num_layers": 12, "num_heads": 3, "hidden_dim": 192, "image_shape": SHAPE}


def by_token(backbone: Any, index: int = 0) -> keras.Model:
    """Return a classifier that reads one token of a backbone."""
    tokens = backbone.output
    tokens = tokens["sequence_output"] if isinstance(tokens, dict) else tokens
    return keras.Model(backbone.input, keras.layers.Dense(CLASSES, name="classes")(tokens[:, index]))


def by_mean(backbone: Any) -> keras.Model:
    """Return a classifier of the mean of what a backbone puts out."""
    output = backbone.output
    pool = keras.layers.GlobalAveragePooling1D if len(output.shape) == 3 else keras.layers.GlobalAveragePooling2D
    return keras.Model(backbone.input, keras.layers.Dense(CLASSES, name="classes")(pool(name="mean")(output)))


def vit(pooling: str) -> keras.Model:
    backbone = MODELS.ViTBackbone(patch_size=16, mlp_dim=768, **TINY)
    return MODELS.ViTImageClassifier(backbone, CLASSES, pooling=pooling)


def deit() -> keras.Model:
    return MODELS.DeiTImageClassifier(MODELS.DeiTBackbone(patch_size=16, intermediate_dim=768, **TINY), CLASSES)


def dino(registers: int, head: Callable[[Any], keras.Model]) -> keras.Model:
    return head(MODELS.DINOV2Backbone(patch_size=14, intermediate_dim=768, num_register_tokens=registers, **TINY))


def dino3() -> keras.Model:
    return by_token(MODELS.DINOV3Backbone(patch_size=16, intermediate_dim=768, num_register_tokens=4, **TINY))


def swin() -> keras.Model:
    return by_mean(
        MODELS.SwinTransformerBackbone(
            image_shape=SHAPE, patch_size=4, embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7
        )
    )


def mix_transformer() -> Any:
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
    backbone = MODELS.SegFormerBackbone(image_encoder=mix_transformer(), projection_filters=64)
    return MODELS.SegFormerImageSegmenter(backbone=backbone, num_classes=CLASSES)


def clip() -> keras.Model:
    return by_token(
        MODELS.CLIPVisionEncoder(32, 384, 6, 6, 1536, "quick_gelu", image_shape=SHAPE)
    )


def resnet() -> keras.Model:
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
    backbone = MODELS.CSPNetBackbone(
        stem_filters=32,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2, 8, 8, 4],
        stackwise_strides=[2, 2, 2, 2, 2],
        stackwise_num_filters=[64, 128, 256, 512, 1024],
        bottle_ratio=[0.5],
        block_ratio=[0.5],
        expand_ratio=[2.0, 1.0, 1.0, 1.0, 1.0],
        stage_type="csp",
        block_type="dark_block",
        down_growth=True,
        activation="leaky_relu",
        image_shape=SHAPE,
    )
    return MODELS.CSPNetImageClassifier(backbone, CLASSES)


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
    "EfficientNetB0": lambda: by_mean(_efficientnet()),
    "HGNetV2-B0": hgnet,
    "CSPDarkNet53": csp,
    "MobileNet": lambda: by_mean(_mobilenet()),
    "Xception": lambda: by_mean(_xception()),
    "DenseNet121": lambda: by_mean(MODELS.DenseNetBackbone(stackwise_num_repeats=[6, 12, 24, 16], image_shape=SHAPE)),
    "VGG16": lambda: by_mean(MODELS.VGGBackbone([2, 2, 3, 3, 3], [64, 128, 256, 512, 512], image_shape=SHAPE)),
}
