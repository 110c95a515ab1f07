"""How the runs of the built-in recipes, and the checkpoints of other projects, become ONNX."""

from __future__ import annotations

from collections.abc import Iterable

from imgan.hookspecs import hookimpl
from imgan.recipes import Exporter, Importer

_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")
_FACES = "faces aligned as CelebA's, RGB -1..1, 64x64"


@hookimpl
def register_exporters() -> Iterable[Exporter]:
    return [
        Exporter(
            name="upscale",
            entry="imgan_exporters.families:picture",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Lim et al. 2017, arXiv:1707.02921 (blocks); Shi et al. 2016, arXiv:1609.05158",
        ),
        Exporter(
            name="srresnet",
            entry="imgan_exporters.families:picture",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Ledig et al. 2017, arXiv:1609.04802",
        ),
        Exporter(
            name="srgan",
            entry="imgan_exporters.families:picture",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Ledig et al. 2017, arXiv:1609.04802",
        ),
        Exporter(
            name="upscale-perceptual",
            entry="imgan_exporters.families:picture",
            operation="upscale",
            input="RGB 0..1, any size",
            paper="Wang et al. 2018, arXiv:1809.00219 (losses); Lim et al. 2017, arXiv:1707.02921",
        ),
        Exporter(
            name="dcgan",
            entry="imgan_exporters.families:vanilla_generator",
            operation="generate",
            input="100 numbers from N(0, 1)",
            paper="Radford, Metz, Chintala 2016, arXiv:1511.06434",
        ),
        Exporter(
            name="stylegan",
            entry="imgan_exporters.families:style_generator",
            operation="generate",
            input="numbers from N(0, 1) and how far to truncate; or styles, and noise from N(0, 1)",
            paper="Karras et al. 2020, arXiv:1912.04958; Huang et al. 2024, arXiv:2501.05441",
        ),
        Exporter(
            name="edit",
            entry="imgan_exporters.families:editor",
            operation="edit",
            input=f"{_FACES}, and 40 changes of attributes",
            paper="Radford, Metz, Chintala 2016, arXiv:1511.06434 (section 6.3.2)",
        ),
        Exporter(
            name="edit-classifier",
            entry="imgan_exporters.families:classifier",
            operation="evaluate",
            input=_FACES,
        ),
        Exporter(
            name="edit-occlusion",
            entry="imgan_exporters.families:classifier",
            operation="evaluate",
            input=_FACES,
        ),
        Exporter(
            name="cyclegan",
            entry="imgan_exporters.families:translator",
            operation="translate",
            input="RGB -1..1, any size",
            paper="Zhu et al. 2017, arXiv:1703.10593",
        ),
        Exporter(
            name="pix2pix",
            entry="imgan_exporters.families:translator",
            operation="translate",
            input="RGB -1..1",
            paper="Isola et al. 2017, arXiv:1611.07004",
        ),
        Exporter(
            name="translate-classifier",
            entry="imgan_exporters.families:domain_classifier",
            operation="evaluate",
            input="RGB 0..1, 64 px on the shorter side",
        ),
        Exporter(
            name="features",
            entry="imgan_exporters.families:features",
            operation="features",
            input="RGB 0..1, any size of 16 px a side or more",
            paper="Simonyan, Zisserman 2015, arXiv:1409.1556; Zhang et al. 2018, arXiv:1801.03924",
        ),
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
