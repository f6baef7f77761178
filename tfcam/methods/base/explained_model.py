"""What an explainer tells of the model that it explains."""

from __future__ import annotations

from typing import Any

from tfcam.data.validation import require_end
from tfcam.engine import ModelSession
from tfcam.layers import EffectiveField, LayerInfo
from tfcam.layers.listing import layer_infos
from tfcam.operators import Operator


class ExplainedModel:
    """A model, its layers and the score that is explained: what a session holds, as users read it.

    Attributes
    ----------
    session : ModelSession
        What is computed of the model.
    """

    session: ModelSession

    @property
    def model(self) -> Any:
        """The explained model."""
        return self.session.model

    @property
    def batch_size(self) -> int | None:
        """Images per forward pass."""
        return self.session.batch_size

    @property
    def operator(self) -> Operator:
        """The score that is explained."""
        return self.session.operator

    @property
    def conv_layer(self) -> str | list[str] | None:
        """Path of the explained layer, or paths; None before an unbuilt model has seen its first batch."""
        return self.session.conv_layer

    @property
    def trace_count(self) -> int:
        """How many functions were compiled to compute maps."""
        return self.session.trace_count

    def reset(self) -> None:
        """Forget what is known of the model, for this explainer, and for those that are made from now on.

        New weights need no reset, and a layer that was replaced, or given other settings, is seen. What only a list or
        an object of your own tells, new explainers see, and this one does not; what a function reads that your layers
        call, none does.
        """
        self.session.forget()

    def __repr__(self) -> str:
        name, task = self.model.name, self.operator.name
        return f"{type(self).__name__}(model={name!r}, conv_layer={self.conv_layer!r}, operator={task!r})"

    def effective_fields(self, inputs: Any, samples: int = 8, seed: int = 0) -> list[EffectiveField]:
        """Return where the cells of each explained layer look on images in effect, as the gradient has it.

        The energy of the gradient of random mixtures of a cell's channels, summed over the channels of the input: its
        middle and its spread. Training moves the weight inside of a receptive field, so that the middle may not be
        where arithmetic has it, and most of a field hardly counts.

        Parameters
        ----------
        inputs : as for `explain`
        samples : int
            How many cells of each image are looked at, a forward and a backward pass each; they are drawn from the
            middle of the grid, where no border cuts off what they see.
        seed : int
            What cells and mixtures are drawn from.

        Raises
        ------
        ValueError
            Where the input has no gradient, or no cell of a layer has one.
        """
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}.")
        require_end(inputs)
        return self.session.effective_fields((x for x, _ in self.session.batches(inputs)), samples, seed)

    def list_layers(self) -> list[LayerInfo]:
        """Return every layer that can be explained, in the order the model calls them."""
        known = self.session.known
        levels = known.instrumented.layers if self.session.takes_levels else ()
        return layer_infos(known.trace, known.instrumented.output, levels=levels)
