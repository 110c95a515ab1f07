"""`imgan evaluate latents` and `reconstruction`: what a generator's code tells, and keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgan.errors import Failure
from imgan.images import pictures
from imgan.images.tensors import Bytes, Floats, decode, encode
from imgan.metrics import fidelity
from imgan.metrics.disentanglement import Disentanglement, cosines, directions, disentanglement
from imgan.models.sessions import Session
from imgan.models.store import Models
from imgan.operations import Runtime
from imgan.training.celeba import ATTRIBUTES_FILE, HELD_OUT, read_attributes, read_faces
from imgan_generate import GENERATOR, LATENT, encoder_of
from imgan_generate.style import StyleGenerator, is_style_based
from imgan_invert.heat import heat_map

GENERATED = 500
"""Pictures of known codes, which tell how far the encoder errs."""

SEED = 0

HEADER = (
    "attribute",
    "faces",
    "mutual information",
    "of the entropy",
    "gap",
    "nearest direction",
    "cosine",
)


def evaluate(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[list[str]], Bytes]:
    """A header, rows, and the cosines of all directions as a heat map.

    The code of a face is what the generator's encoder says: z of a DCGAN, z and y of an IcGAN, the
    mean of its styles w of a StyleGAN. The faces are the last 500 of `data`, or as many as the
    generator's card says were held out. Each number of a code is taken as normal, as
    `disentanglement` wants, about what the encoder says and with the deviation that its errors have
    on generated pictures, whose codes are known.

    Of each attribute: the faces that have it; the mutual information of it and the number that
    tells most of it, in nats and of the attribute's entropy; by how much the number that tells
    second most is behind, likewise of the entropy; and the attribute whose direction is nearest to
    its own, or to the opposite, with the cosine. Then the means, of which the gap's is the mutual
    information gap, and what they are when attributes are shuffled among the faces: chance.

    Raises Misuse for a model that is no generator or has no encoder, Failure without attributes.
    """
    runtime = Runtime(device, Models.installed())
    card = runtime.models.find(model or GENERATOR, "generate")
    encoder = runtime.session(encoder_of(runtime.models, card))
    space = Space(runtime.session(card), encoder)
    paths = pictures(data)[-int(card.number("held_out", HELD_OUT)) :]
    names, has = _attributes(data, paths)
    codes, deviations = space.codes(read_faces(paths, space.side)), space.deviations()
    told = disentanglement(codes, deviations, has)
    similar = cosines(directions(codes, has))
    nearest = np.where(np.eye(len(names), dtype=bool), -1, np.abs(similar)).argmax(1)
    rows = [
        [name, str(has[:, k].sum()), *_figures(told, k), names[other], f"{similar[k, other]:.2f}"]
        for k, (name, other) in enumerate(zip(names, nearest, strict=True))
    ]
    by_chance = disentanglement(codes, deviations, np.random.default_rng(SEED).permutation(has))
    for name, measured in (("mean", told), ("mean by chance", by_chance)):
        rows.append([name, str(len(has)), *_figures(measured, slice(None)), "", ""])
    return HEADER, rows, heat_map(similar, names)


def evaluate_reconstruction(
    data: Path, model: str | None, device: str
) -> tuple[tuple[str, ...], list[list[str]]]:
    """A header and rows: how like photos are what a generator makes of the codes that its encoder
    says, without any search. The photos are those of `evaluate`; PSNR (dB) and SSIM are means, on
    luma.

    Raises Misuse for a model that is no generator or has no encoder, Failure without a picture.
    """
    runtime = Runtime(device, Models.installed())
    card = runtime.models.find(model or GENERATOR, "generate")
    encoder = runtime.session(encoder_of(runtime.models, card))
    space = Space(runtime.session(card), encoder)
    faces = read_faces(pictures(data)[-int(card.number("held_out", HELD_OUT)) :], space.side)
    figures = np.mean([fidelity(space.again(face), face, 0) for face in faces], axis=0)
    names = zip(("PSNR", "SSIM"), figures, (".2f", ".3f"), strict=True)
    rows = [[name, f"{figure:{form}}"] for name, figure, form in names]
    return ("figure", card.name), [["pictures", str(len(faces))], *rows]


def _figures(measured: Disentanglement, which: Any) -> list[str]:
    columns = measured.information.max(0), measured.share, measured.gap
    return [f"{column[which].mean():.3f}" for column in columns]


def _attributes(data: Path, paths: list[Path]) -> tuple[list[str], NDArray[np.bool_]]:
    """Names [K] of the attributes that some of the pictures have and others have not, and which
    have them, [N, K]. Raises Failure when there is none."""
    listing = data / ATTRIBUTES_FILE
    if not listing.exists():
        raise Failure(f"{listing} is missing: the attributes of the pictures, as CelebA lists them")
    names, table = read_attributes(listing)
    try:
        has = np.stack([table[path.name] for path in paths]) > 0.5
    except KeyError as missing:
        raise Failure(f"{listing}: no line for {missing.args[0]}") from None
    varied = np.flatnonzero(has.any(0) & ~has.all(0))
    if not len(varied):
        raise Failure(f"{listing}: no attribute that some of the faces have, and others have not")
    return [names[k].lower().replace("_", "-") for k in varied], has[:, varied]


@dataclass(frozen=True)
class Space:
    """A generator and its encoder. A code is [D]."""

    generator: Session
    encoder: Session

    @property
    def side(self) -> int:
        """Of the pictures, in pixels."""
        side = self.encoder.shapes[self._port][-1]
        assert isinstance(side, int)
        return side

    @property
    def _port(self) -> str:
        return "face" if "face" in self.encoder.shapes else "input"

    def codes(self, faces: Bytes) -> Floats:
        """What the encoder says of faces [N, S, S, 3]: [N, D]."""
        return np.concatenate([self._code(encode(face[None])) for face in faces])

    def again(self, face: Bytes) -> Bytes:
        """What the generator makes of the code of a face: both [S, S, 3]."""
        said = self._said(encode(face[None]))
        if "w" in said:
            style = StyleGenerator(self.generator)
            return style.pictures(said["w"], np.zeros((1, style.noise), np.float32))[0]
        if "y" not in said:
            return decode(self.generator.run(said["z"]))[0]
        given = {name: said[name] for name in ("z", "y")}
        return decode(self.generator.run_many(given)["output"])[0]

    def _code(self, planes: Floats) -> Floats:
        said = self._said(planes)
        if "w" in said:
            return said["w"].mean(1)
        return np.concatenate([said[name] for name in ("z", "y") if name in said], 1)

    def _said(self, planes: Floats) -> dict[str, Floats]:
        given = {self._port: planes}
        if "change" in self.encoder.shapes:  # of an editor, which is to change nothing
            change = self.encoder.shapes["change"][-1]
            given["change"] = np.zeros((len(planes), int(change or 0)), np.float32)
        return self.encoder.run_many(given)

    def deviations(self) -> Floats:
        """How far the encoder errs on generated pictures, [D]: root mean squares."""
        errors = [
            self._code(planes)[0] - code for code, planes in map(self._made, range(GENERATED))
        ]
        deviations: Floats = np.sqrt(np.square(errors).mean(0)).clip(1e-6)
        return deviations

    def _made(self, number: int) -> tuple[Floats, Floats]:
        """A random code and the picture of it, [1, 3, S, S] in -1..1."""
        draw = np.random.default_rng([SEED, number])
        if is_style_based(self.generator):
            style = StyleGenerator(self.generator)
            w = style.styles(draw.standard_normal((1, style.z), np.float32))
            noise = draw.standard_normal((1, style.noise), np.float32)
            return w[0], encode(style.pictures(style.wide(w), noise))
        z = draw.standard_normal((1, LATENT), np.float32)
        if "y" not in self.generator.shapes:
            return z[0], self.generator.run(z)
        y = draw.choice([-1, 1], (1, int(self.generator.shapes["y"][-1] or 0))).astype(np.float32)
        planes = self.generator.run_many({"z": z, "y": y})["output"]
        return np.concatenate([z, y], 1)[0], planes
