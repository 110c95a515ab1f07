"""Trained networks, and the checkpoints of other projects, as ONNX."""

from __future__ import annotations

from collections.abc import Iterable

from imgan.hookspecs import hookimpl
from imgan.recipes import Exporter, Importer

PUBLIC = ("checkpoints", "onnx")
"""Modules that other plugins may import: what importers need."""

_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")


@hookimpl
def register_exporters() -> Iterable[Exporter]:
    return [
        Exporter(
            name="onnx",
            suffix=".onnx",
            entry="imgan_exporters.onnx:write",
            pack="imgan_exporters.packing:pack",
        )
    ]


@hookimpl
def register_importers() -> Iterable[Importer]:
    return [
        Importer(
            name="reference",
            reads="generators of the reference CycleGAN and pix2pix code",
            suffixes=_CHECKPOINTS,
            entry="imgan_exporters.reference:convert",
        ),
        Importer(
            name="stylegan-pickle",
            reads="generators of the official StyleGAN2-ADA and StyleGAN3 code (StyleGAN2)",
            suffixes=(".pkl",),
            entry="imgan_exporters.stylegan:convert_pickle",
        ),
        Importer(
            name="stylegan-rosinality",
            reads="generators of rosinality's StyleGAN2",
            suffixes=_CHECKPOINTS,
            entry="imgan_exporters.stylegan:convert_checkpoint",
        ),
        Importer(
            name="spandrel",
            reads="super-resolution networks that spandrel knows",
            suffixes=_CHECKPOINTS,
            entry="imgan_exporters.super_resolution:convert",
        ),
    ]
