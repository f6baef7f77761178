"""KerasHub's models, small and of random weights. In an environment: ``make peers``."""

import keras
import pytest

WHERE = "KerasHub is in the environment of the peers: make peers"
MODELS = pytest.importorskip("keras_hub", reason=WHERE).models
SHAPE = (64, 64, 3)
TOKENS = {"image_shape": SHAPE, "num_layers": 2, "num_heads": 2, "hidden_dim": 8}


def resnet(block="basic_block", stem=(64,), depth=4):
    return MODELS.ResNetBackbone(
        input_conv_filters=list(stem),
        input_conv_kernel_sizes=[7 if len(stem) == 1 else 3] * len(stem),
        stackwise_num_filters=[64, 128, 256, 512][:depth],
        stackwise_num_blocks=[1] * depth,
        stackwise_num_strides=[1, 2, 2, 2][:depth],
        block_type=block,
        use_pre_activation=False,
        image_shape=SHAPE,
    )


def swin():
    return MODELS.SwinTransformerBackbone(
        image_shape=SHAPE, patch_size=4, embed_dim=8, depths=[1, 2], num_heads=[2, 2], window_size=4
    )


def mix_transformer():
    return MODELS.MiTBackbone(
        image_shape=SHAPE,
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        num_layers=2,
        layerwise_depths=[1, 1],
        hidden_dims=[8, 16],
        max_drop_path_rate=0.1,
    )


def hgnet():
    return MODELS.HGNetV2Backbone(
        depths=[1, 1],
        embedding_size=8,
        hidden_sizes=[16, 16],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[[8, 8, 16, 1, 2, 3], [16, 8, 16, 1, 2, 3]],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        image_shape=SHAPE,
    )


def deeplab():
    return MODELS.DeepLabV3Backbone(
        image_encoder=resnet(),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        dilation_rates=[2, 4],
        upsampling_size=4,
        image_shape=SHAPE,
    )


def deeplab_segmenter():
    return MODELS.DeepLabV3ImageSegmenter(deeplab(), num_classes=4)


def segformer_segmenter():
    backbone = MODELS.SegFormerBackbone(image_encoder=mix_transformer(), projection_filters=16)
    return MODELS.SegFormerImageSegmenter(backbone, num_classes=4)


def clip():
    image = MODELS.CLIPVisionEncoder(8, 16, 2, 2, 32, image_shape=SHAPE)
    return MODELS.CLIPBackbone(image, MODELS.CLIPTextEncoder(50, 16, 16, 2, 2, 32), projection_dim=12)


def segment_anything():
    return MODELS.ViTDetBackbone(
        hidden_size=8,
        num_layers=2,
        intermediate_dim=16,
        num_heads=2,
        global_attention_layer_indices=[1],
        image_shape=SHAPE,
        patch_size=16,
        num_output_channels=8,
        window_size=2,
    )


def retinanet():
    """Return a RetinaNet of random weights, whose boxes lie about their anchors, and whose classes differ."""
    keras.utils.set_random_seed(0)
    backbone = MODELS.RetinaNetBackbone(resnet(), min_level=3, max_level=5, use_p5=False, image_shape=SHAPE)
    detector = MODELS.RetinaNetObjectDetector(backbone, num_classes=4, bounding_box_format="yxyx")
    for head, scale in ((detector.box_head, 0.02), (detector.classification_head, 0.3)):
        for weight in head.prediction_layer.weights if hasattr(head, "prediction_layer") else head.weights[-2:]:
            weight.assign(weight * scale)
    return detector


def d_fine():
    """Return a D-FINE of random weights, of two levels and twenty queries, that are sure of an object."""
    keras.utils.set_random_seed(0)
    image = {"image_shape": (128, 128, 3), "out_features": ["stage3", "stage4"]}
    encoder = MODELS.HGNetV2Backbone(
        depths=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[16, 16, 32, 32],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[[8, 8, 16, 1, 2, 3], [16, 8, 16, 1, 2, 3], [16, 8, 32, 1, 2, 3], [32, 8, 32, 1, 2, 3]],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, True, True, True],
        **image,
    )
    backbone = MODELS.DFineBackbone(
        backbone=encoder,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=10,
        num_labels=4,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=20,
        anchor_image_size=(128, 128),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[32, 32],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=16,
        num_encoder_layers=1,
        hidden_expansion=0.5,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=2,
        **image,
    )
    detector = MODELS.DFineObjectDetector(backbone=backbone, num_classes=4, bounding_box_format="xyxy")
    for weight in detector.weights:
        if "class_embed" in weight.path and weight.path.endswith("bias"):
            weight.assign(weight + 6.0)
    return detector


BUILDERS = {
    "ViT": lambda: MODELS.ViTBackbone(patch_size=8, mlp_dim=16, **TOKENS),
    "DeiT": lambda: MODELS.DeiTBackbone(patch_size=8, intermediate_dim=16, **TOKENS),
    "DINOv2": lambda: MODELS.DINOV2Backbone(patch_size=8, intermediate_dim=16, num_register_tokens=2, **TOKENS),
    "DINOv3": lambda: MODELS.DINOV3Backbone(patch_size=8, intermediate_dim=16, **TOKENS),
    "ViT without a class token": lambda: MODELS.ViTBackbone(patch_size=16, mlp_dim=16, use_class_token=False, **TOKENS),
    "Swin": swin,
    "MiT": mix_transformer,
    "HGNetV2": hgnet,
    "ResNet": resnet,
    "ResNet-vd": lambda: resnet("bottleneck_block_vd", (64, 64, 64), 2),
    "DenseNet": lambda: MODELS.DenseNetBackbone(stackwise_num_repeats=[1, 1], image_shape=SHAPE),
    "VGG": lambda: MODELS.VGGBackbone([1, 1], [8, 8], image_shape=SHAPE),
    "DeepLabV3": deeplab,
    "RetinaNet": lambda: MODELS.RetinaNetBackbone(resnet(), min_level=3, max_level=5, use_p5=False, image_shape=SHAPE),
    "SAM": segment_anything,
}
