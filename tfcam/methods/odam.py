"""ODAM."""

from __future__ import annotations

from tfcam.methods.hires_cam import HiResCAM


class ODAM(HiResCAM):
    r"""Which cells of its pyramid did this one detection come from?

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \frac{\partial S}{\partial A_k} \odot A_k\Big)

    HiRes-CAM of one prediction of a detector, its class or a side of its box, at the level of the pyramid that the
    prediction comes from: two objects of one class have each a map of its own. It is
    ``HiResCAM(model, operator="detection")`` by its name; any other method explains a detection in the same way.
    Cost: one forward pass, one backward pass through the detector's head.

    Warnings
    --------
    A map shows no more of the image than the head's convolutions see of the level, whatever the detector has learned:
    of one 1 x 1 convolution a single cell. A maximum within the box says little; how much of the map is on the object
    says more.

    Notes
    -----
    The gradient is not smoothed, as in the authors' code; the paper names that as a choice.

    References
    ----------
    Zhao and Chan, ODAM: Gradient-based Instance-Specific Visual Explanations for Object Detection, ICLR 2023,
    arXiv:2304.06354.
    """

    name = "odam"
    question = "which cells of its pyramid did this one detection come from?"
    paper = "Zhao and Chan, ICLR 2023"
    needs = "boxes"
    needs_operator = "detection"
