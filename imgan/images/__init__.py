"""Pictures in and out: what a file holds beside its pixels comes back with the result.

A picture is opened upright, as RGB in the file's own colour space and depth, with alpha as a plane
of its own. Networks see `to_srgb` of a tile and their answer goes back through `from_srgb`, so
pixels that no edit touches are never converted.
"""

from imgan.images.opening import MAX_PIXELS, open_picture, size_of
from imgan.images.picture import (
    FORMATS,
    SUFFIXES,
    Format,
    Picture,
    Source,
    format_of,
    from_srgb,
    pictures,
    to_srgb,
)
from imgan.images.saving import save_picture

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Format",
    "Picture",
    "Source",
    "format_of",
    "from_srgb",
    "open_picture",
    "pictures",
    "save_picture",
    "size_of",
    "to_srgb",
]
