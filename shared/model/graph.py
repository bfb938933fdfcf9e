"""The scoring graph: the dense weights as an ONNX model, made from a template whose names are ours.

Only who publishes builds graphs and needs ``onnx``; a reader gives the bytes to ONNX Runtime. With S = hidden[0] + dim + 1 columns
(the first layer's sums, the field vectors' sum, and all that is linear), n candidates and C candidate features:

    user        float32 (1, S)    the user side, once a request
    items       float32 (n, S)    the item side, gathered
    candidate   float32 (n, C+1)  normalised candidate features, then the cosine of text and profile
    log_odds    float32 (n, 1)
    logits      float32 (n, L)    one column a label
    scores      float32 (n, L)    sigmoid of the logits

``README.md`` has the formula; ``scorer.py`` makes the sides.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper

from shared.bundles.files import BIN_PARTS, bins_of
from shared.messages import Inputs
from shared.model.dense import BinWeights, candidate_weights

OPSET = 18
IR_VERSION = 9
F4 = NDArray[np.float32]


class GraphTemplate:
    """Turns dense weights into a graph's bytes in about a millisecond; equal weights make equal bytes."""

    def __init__(self, inputs: Inputs, labels: int, dim: int, hidden: tuple[int, ...], bins: int) -> None:
        """A template for one shape of model.

        Args:
            inputs: names of the dense features; only their counts matter here.
            labels: L, the number of heads.
            dim: width of the field vectors.
            hidden: widths of the layers, at least one.
            bins: of each dense feature.
        """
        self._dim, self._inputs = dim, inputs
        shapes = _shapes(len(inputs.candidate), labels, dim, hidden, bins)
        self._model = _model(shapes, dim, hidden, labels)
        self._slots = {tensor.name: tensor for tensor in self._model.graph.initializer}
        checker.check_model(self._model)

    def fill(self, weights: Mapping[str, F4]) -> bytes:
        """The graph with these dense weights (all of ``shared.bundles.files.dense_shapes``) in it.

        Raises:
            ValueError: a weight does not have the template's shape.
        """
        constants = {"candidate_weights": candidate_weights(weights, self._dim, self._inputs), **_layers(weights)}
        if bins_of(weights):
            users = len(self._inputs.user)
            own = BinWeights.of(weights, self._dim, slice(users, users + len(self._inputs.candidate)))
            constants |= {
                "bins_low": own.bins.low, "bins_slope": own.bins.slope, "bins_sums": own.sums, "bins_columns": own.columns,
            }  # fmt: skip
        for name, value in constants.items():
            slot = self._slots[name]
            if tuple(slot.dims) != value.shape:
                raise ValueError(f"{name} is {value.shape}, the graph's is {tuple(slot.dims)}")
            slot.raw_data = value.astype("<f4", copy=False).tobytes()
        return bytes(self._model.SerializeToString(deterministic=True))


def _layers(weights: Mapping[str, F4]) -> dict[str, F4]:
    """The later layers and the heads, as (in, out) matrices."""
    later = [name for name in weights if name.startswith(("layers.", "heads.")) and not name.startswith("layers.0.")]
    return {name: weights[name].T if name.endswith(".weight") else weights[name] for name in later}


def _shapes(candidates: int, labels: int, dim: int, hidden: tuple[int, ...], bins: int) -> dict[str, tuple[int, ...]]:
    side = hidden[0] + dim + 1
    shapes: dict[str, tuple[int, ...]] = {"candidate_weights": (candidates + 1, side)}
    if bins:
        parts = BIN_PARTS + 1
        shapes |= {"bins_low": (candidates, bins), "bins_slope": (candidates, bins)}
        shapes |= {"bins_sums": (candidates * bins, parts), "bins_columns": (parts, side)}
    for layer, (before, after) in enumerate(pairwise(hidden), start=1):
        shapes |= {f"layers.{layer}.weight": (before, after), f"layers.{layer}.bias": (after,)}
    return shapes | {"heads.weight": (hidden[-1], labels), "heads.bias": (labels,)}


def _model(shapes: Mapping[str, tuple[int, ...]], dim: int, hidden: tuple[int, ...], labels: int) -> ModelProto:
    side, candidates = hidden[0] + dim + 1, shapes["candidate_weights"][0]
    constants = [_constant(name, np.zeros(shape, np.float32)) for name, shape in shapes.items()]
    constants += [_constant("widths", np.array([hidden[0], dim, 1])), _constant("half", np.array(0.5, np.float32))]
    constants.append(_constant("columns", np.array([1])))
    if "bins_low" in shapes:
        constants += [
            _constant("features", np.array([candidates - 1, 1])), _constant("last", np.array([-1])),
            _constant("flat", np.array([-1, shapes["bins_sums"][0]])),
            _constant("least", np.array(0, np.float32)), _constant("most", np.array(1, np.float32)),
        ]  # fmt: skip
    graph = helper.make_graph(
        _nodes(len(hidden), binned="bins_low" in shapes),
        "freshet",
        [_value("user", 1, side), _value("items", "n", side), _value("candidate", "n", candidates), _value("log_odds", "n", 1)],
        [_value("logits", "n", labels), _value("scores", "n", labels)],
        constants,
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="freshet")


def _bins() -> list[Any]:
    """What the candidates' numbers add by the bins they fall into: (n, S)."""
    node = helper.make_node
    return [
        node("Split", ["candidate", "features"], ["numbers", "cosine"], axis=1),
        node("Unsqueeze", ["numbers", "last"], ["each"]),  # (n, C, 1)
        node("Sub", ["each", "bins_low"], ["above"]),  # (n, C, B)
        node("Mul", ["above", "bins_slope"], ["share"]),
        node("Clip", ["share", "least", "most"], ["passed"]),
        node("Reshape", ["passed", "flat"], ["bins"]),
        node("MatMul", ["bins", "bins_sums"], ["parts"]),
        node("MatMul", ["parts", "bins_columns"], ["bent"]),
    ]


def _nodes(layers: int, *, binned: bool) -> list[Any]:
    node = helper.make_node
    nodes = [
        node("Add", ["items", "user"], ["both"]),
        node("MatMul", ["candidate", "candidate_weights"], ["own"]),
        *(_bins() if binned else []),
        node("Sum", ["both", "own", *(["bent"] if binned else [])], ["all"]),  # (n, S)
        node("Split", ["all", "widths"], ["sum_0", "vectors", "linear"], axis=1),
        node("Relu", ["sum_0"], ["hidden_0"]),
    ]
    for layer in range(1, layers):
        nodes += [
            node("Gemm", [f"hidden_{layer - 1}", f"layers.{layer}.weight", f"layers.{layer}.bias"], [f"sum_{layer}"]),
            node("Relu", [f"sum_{layer}"], [f"hidden_{layer}"]),
        ]
    return [
        *nodes,
        node("Gemm", [f"hidden_{layers - 1}", "heads.weight", "heads.bias"], ["heads"]),  # (n, L)
        node("ReduceSumSquare", ["vectors", "columns"], ["square"], keepdims=1),
        node("Mul", ["square", "half"], ["pairs"]),  # the other half of FM is in the sides' linear column
        node("Add", ["linear", "pairs"], ["shared"]),
        node("Add", ["shared", "log_odds"], ["offset"]),
        node("Add", ["heads", "offset"], ["logits"]),
        node("Sigmoid", ["logits"], ["scores"]),
    ]


def _constant(name: str, value: NDArray[Any]) -> TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor(name, kind, value.shape, value.tobytes(), raw=True)


def _value(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
