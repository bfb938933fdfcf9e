"""A module's weights side by side in one tensor, their gradients in another: one kernel moves them all."""

from torch import Tensor, nn

ALIGNED = 16
"""Each weight begins at a multiple of so many numbers, 64 bytes, as if it had been allocated by itself; what is between is 0."""


class Flat:
    """The weights of a module, which become views, and so do their gradients.

    Args:
        module: on its device; from now on it stays there, and its gradients are set to zero, never to ``None``.
    """

    def __init__(self, module: nn.Module) -> None:
        self.spans: dict[str, slice] = {}
        self._shapes = {name: weight.shape for name, weight in module.named_parameters()}
        size = 0
        for name, shape in self._shapes.items():
            self.spans[name] = slice(size, size + shape.numel())
            size += -(-shape.numel() // ALIGNED) * ALIGNED
        first = next(module.parameters())
        self.weights, self.gradients = first.new_zeros(size), first.new_zeros(size)
        self.views, gradients = self.named(self.weights), self.named(self.gradients)
        for name, weight in module.named_parameters():
            self.views[name].copy_(weight.data)
            weight.data, weight.grad = self.views[name], gradients[name]

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of a tensor like ``weights``, in the shapes of these and by their names."""
        return {name: flat[span].view(self._shapes[name]) for name, span in self.spans.items()}
