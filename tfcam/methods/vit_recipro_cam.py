"""ViT-Recipro-CAM."""

from __future__ import annotations

from typing import Any

from tfcam.methods.recipro_cam import ReciproCAM


class ViTReciproCAM(ReciproCAM):
    r"""What is the score when the last block of a transformer sees one patch alone, beside its class token?

    .. math:: L_p = S(X \odot \delta_p) - S(0)

    where X are the patches that enter the last block, and :math:`\delta_p` is 1 at a patch, less at those around it,
    and 0 elsewhere. A class token, and registers, stay as they are. No gradient and no attention is looked at.
    Cost: one forward pass and the last block for each patch.

    Parameters
    ----------
    gaussian : bool
        Whether the block sees the patches around as well, weighted by 1/4, 1/2, 1/4 along each axis.

    Warnings
    --------
    The class token has seen all patches in earlier blocks, so that the score is high with none; what is shown is what
    a patch adds to that.

    Notes
    -----
    It is Recipro-CAM at the last layer that ends a skip connection before the last attention. The paper scales the
    scores from their lowest to their highest; here they are less the score without a patch.

    References
    ----------
    Byun and Lee, ViT-ReciproCAM: gradient and attention-free visual explanations for vision transformer, 2023,
    arXiv:2310.02588.
    """

    name = "vit-recipro-cam"
    question = "what is the score when the last block sees one patch alone, beside its class token?"
    cost = "one forward pass, the last block for each patch"
    paper = "Byun and Lee, 2023"
    needs = "attention"
    default_layers = "block"

    def __init__(self, *arguments: Any, gaussian: bool = True, **named: Any) -> None:
        super().__init__(*arguments, gaussian=gaussian, **named)
