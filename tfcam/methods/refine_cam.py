"""RefineCAM."""

from __future__ import annotations

from tfcam.methods.grad_cam_plus_plus import GradCAMPlusPlus


class RefineCAM(GradCAMPlusPlus):
    r"""Which fine details lie where the deep layers say the object is?

    .. math:: L = \prod_l U\big(n(L^{(l)})\big)

    where :math:`L^{(l)}` is Grad-CAM++'s map at layer l, :math:`n` divides a map by its maximum, and :math:`U` resizes
    it; the paper scales the product once more, as ``normalize=True`` does. Where no layer is named, l runs over the
    last activation of each size of the grid, fine and coarse. Any other method does the same with
    ``conv_layer=[...], fuse="product"``.
    Cost: one forward pass, one backward pass to the finest layer.

    Warnings
    --------
    A place that one layer leaves dark is dark in the product. Early layers see edges everywhere: where the fine details
    matter less than the place, name later layers.

    References
    ----------
    Domeniconi et al., RefineCAM, 2026, arXiv:2605.14641.
    """

    name = "refine-cam"
    question = "which fine details lie where the deep layers say the object is?"
    cost = "one forward pass, one backward pass to the finest layer"
    paper = "Domeniconi et al., 2026"
    cost_class = "few"
    default_layers = "stages"
    fusion = "product"
