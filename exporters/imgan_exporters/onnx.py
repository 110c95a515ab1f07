"""PyTorch to ONNX: one file, the parameters' own names, any size, and a proof that it is equal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.export import Dim

from imgan.errors import Failure
from imgan.files import whole_file
from imgan.models.cards import METADATA_KEY, Description, card_to_json
from imgan.training.ports import BATCHES, Form, Port

LIMIT = 1e-4
"""The largest difference from PyTorch, in the output's own units, that an export may have."""

EXAMPLE = {"batch": 2, "pictures": 4, "height": 24, "width": 20}
SIZES = (
    {"batch": 1, "pictures": 2, "height": 16, "width": 28},
    {"batch": 3, "pictures": 1, "height": 33, "width": 21},
)
"""The sizes of dynamic axes, to trace with and to measure with: not one of them the same."""


@dataclass(frozen=True)
class Parity:
    """How far an ONNX file is from its PyTorch twin: shapes of the inputs, largest difference."""

    measured: tuple[tuple[str, float], ...]
    half: bool

    @property
    def worst(self) -> float:
        """The largest difference of all."""
        return float(np.max([difference for _, difference in self.measured]))

    def __str__(self) -> str:
        figures = ", ".join(f"{value:.1e} at {shapes}" for shapes, value in self.measured)
        bound = "weights in fp16, no limit" if self.half else f"limit {LIMIT:.0e}"
        return f"parity with PyTorch in fp32: {figures} ({bound})"


def write(
    network: nn.Module,
    form: Form,
    target: Path,
    card: Description,
    *,
    half: bool = False,
    overwrite: bool = False,
) -> Parity:
    """Write a network in evaluation mode as one ONNX file with its card; return its parity.

    `half` stores the weights in half precision; they are cast when the file is loaded, and the
    network computes in float32 as before, so what is lost is rounding of the weights. That
    difference is reported, not limited.

    Raises Failure, with nothing written, when onnxruntime's result is more than 1e-4 from
    PyTorch's (never with `half`, unless it is not finite), or the file cannot be written.
    """
    network = network.cpu().eval()
    model = convert(network, form)
    if half:
        halve(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card_to_json(card)
    content = model.SerializeToString()
    parity = Parity(tuple(measure(network, content, form)), half)
    if not np.isfinite(parity.worst):
        raise Failure(f"{target} is not written: the ONNX network gives values that are not finite")
    if not half and parity.worst > LIMIT:
        raise Failure(f"{target} is not written: too far from PyTorch; {parity}")
    try:
        with whole_file(target, overwrite) as file:
            file.write(content)
    except Failure as failure:
        raise Failure(f"{target} {failure}") from None
    except OSError as error:
        raise Failure(f"{target}: {error.strerror or error}") from None
    return parity


def convert(network: nn.Module, form: Form) -> ModelProto:
    """The network as ONNX, every parameter and buffer under its own name."""
    shared: dict[str, Dim] = {}
    dynamic = tuple(_axes(port, shared) for port in form.inputs)
    with _quiet():
        program = torch.onnx.export(
            network,
            _drawn(form, EXAMPLE),
            dynamo=True,
            # The optimiser folds batch normalisation and merges equal tensors, and names are lost
            # that `--init-from` needs. onnxruntime does the same when it loads the file.
            optimize=False,
            input_names=[port.name for port in form.inputs],
            output_names=list(form.outputs),
            dynamic_shapes=dynamic,
            verbose=False,
        )
    assert program is not None
    model: ModelProto = program.model_proto
    for node in model.graph.node:
        # Stack traces: file names of the machine that exported.
        del node.metadata_props[:]
    return model


def halve(model: ModelProto) -> None:
    """Store matrices and kernels in half precision, each behind a cast to float32; in place.

    Vectors stay as they are: they weigh nothing, and the variances of batch normalisation may be
    smaller than half precision can hold. onnxruntime folds the casts when it loads the file.
    Raises Failure when a weight is too large for half precision.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise Failure(f"{tensor.name} has values too large for half precision: export in fp32")
        single = f"{tensor.name}.float32"
        for node in model.graph.node:
            for i, name in enumerate(node.input):
                if name == tensor.name:
                    node.input[i] = single
        casts.append(helper.make_node("Cast", [tensor.name], [single], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
    _forget_types(model, {cast.input[0] for cast in casts})
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _forget_types(model: ModelProto, names: set[str]) -> None:
    """The exporter states types for initialisers too; they are not true any more."""
    kept = [value for value in model.graph.value_info if value.name not in names]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)


def measure(network: nn.Module, content: bytes, form: Form) -> Iterator[tuple[str, float]]:
    """The largest absolute difference between the network and its ONNX twin, at two sizes, in parts
    of the form's magnitude."""
    options = ort.SessionOptions()
    options.log_severity_level = 4  # the exception says it all
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    for sizes in SIZES:
        inputs = _drawn(form, sizes)
        with torch.no_grad():
            result = network(*inputs)
        truth: list[NDArray[np.float32]] = [
            t.numpy() for t in ((result,) if isinstance(result, Tensor) else result)
        ]
        feeds = {port.name: t.numpy() for port, t in zip(form.inputs, inputs, strict=True)}
        outputs = session.run(list(form.outputs), feeds)
        shapes = " and ".join("x".join(map(str, t.shape)) for t in inputs)
        differences = [np.abs(a - b).max() for a, b in zip(outputs, truth, strict=True)]
        yield shapes, float(np.max(differences)) / form.magnitude


def _drawn(form: Form, sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    """An example of every input, noise in its port's range, always the same for the same sizes."""
    generator = torch.Generator().manual_seed(0)
    examples = []
    for port in form.inputs:
        shape = [axis if isinstance(axis, int) else _size(port, axis, sizes) for axis in port.shape]
        noise = torch.rand(shape, generator=generator)
        examples.append(noise * (port.high - port.low) + port.low)
    return tuple(examples)


def _size(port: Port, axis: str, sizes: Mapping[str, int]) -> int:
    if axis in BATCHES:
        return sizes[axis]
    steps = -(-sizes[axis] // port.step)
    if port.step > 1:
        steps = max(2, steps)  # inside, at its smallest, a side of 1 would be taken for fixed
    return steps * port.step


def _axes(port: Port, shared: dict[str, Dim]) -> dict[int, str | Dim]:
    """The dynamic axes, as PyTorch's exporter wants them: by name, or as multiples of `shared`."""
    found: dict[int, str | Dim] = {}
    for index, axis in enumerate(port.shape):
        if isinstance(axis, int):
            continue
        if axis in BATCHES or port.step == 1:
            found[index] = axis
        else:
            found[index] = port.step * shared.setdefault(axis, Dim(axis))
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's talk about itself (deprecations, no torchvision) off the terminal."""
    disabled = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
