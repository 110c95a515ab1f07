"""Fields of dataclasses as options: read from a command line, from Python or from a file."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from typer import CallbackParam

from imgan.errors import Misuse
from imgan.references import Reference
from imgan.words import spelled

T = TypeVar("T")

_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    Reference: "a picture",
}

_METAVARS: Mapping[type, str] = {
    int: "N",
    float: "NUMBER",
    str: "TEXT",
    Path: "PATH",
    Reference: "PICTURE",
}


WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


NO_DEFAULTS: Mapping[str, Any] = types.MappingProxyType({})


@dataclass(frozen=True)
class Field:
    """One option: a field of a dataclass, annotated with a typer `Option`."""

    name: str
    hint: Any
    """As annotated, with its `Option`."""
    default: Any
    """`MISSING` where there is none."""

    @property
    def option(self) -> str:
        """As it is typed: "keep_color" is "--keep-color"."""
        return option(self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """All ways to type it: "--output" and "-o"."""
        extras = get_args(self.hint)[1:] if get_origin(self.hint) is Annotated else ()
        told = [extra for extra in extras if hasattr(extra, "param_decls")]
        if any(type(extra).__name__ == "ArgumentInfo" for extra in told):
            return ()
        # typer takes the first name for a default, and mends that itself.
        declared = [name for extra in told for name in (extra.default, *(extra.param_decls or ()))]
        typed = [part for name in declared if isinstance(name, str) for part in name.split("/")]
        return tuple(typed) or (self.option,)

    @property
    def base(self) -> Any:
        """The hint without its `Option`."""
        return get_args(self.hint)[0] if get_origin(self.hint) is Annotated else self.hint

    @property
    def many(self) -> bool:
        """Whether it has several values: as many as are given, or `count`."""
        return get_origin(self._one_hint) in (list, tuple)

    @property
    def count(self) -> int | None:
        """How many values follow each other: 2 of `tuple[Reference, Reference]`; None where a list
        has as many as are given, each after the option again."""
        one = self._one_hint
        return len(get_args(one)) if get_origin(one) is tuple else None

    @property
    def kind(self) -> type:
        """What one value is: bool, int, float, str, Path, an Enum, Reference."""
        one = self._one_hint
        kind: type = get_args(one)[0] if self.many else one
        return kind

    @property
    def _one_hint(self) -> Any:
        """The hint without None."""
        (one,) = (one for one in _members(self.base) if one is not types.NoneType)
        return one

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The least and the largest value, None where there is none."""
        extras = get_args(self.hint)[1:] if get_origin(self.hint) is Annotated else ()
        found = [(extra.min, extra.max) for extra in extras if hasattr(extra, "min")]
        return found[0] if found else (None, None)

    @property
    def metavar(self) -> str | None:
        """What stands for the value in the help; None for a flag."""
        kind, (least, largest) = self.kind, self.limits
        if issubclass(kind, Enum):
            return "|".join(str(member.value) for member in kind)
        if least is not None and largest is not None:
            return f"{least:g}..{largest:g}"
        return _METAVARS.get(kind)

    def read(self, value: Any) -> Any:
        """The value as the field wants it. Raises Misuse."""
        if value is None and types.NoneType in _members(self.base):
            return None
        if not self.many:
            return self._one(value)
        several = value if isinstance(value, list | tuple) else [value]
        if self.count is None:
            return [self._one(one) for one in several]
        if len(several) != self.count:
            raise Misuse(f"{self.option} takes {self.count} values, not {len(several)}")
        return tuple(self._one(one) for one in several)

    def typed(self, text: str) -> Any:
        """The text as a value of the field's kind, or itself where it is none, for `read`; of a
        field that has several values, what stands between commas."""
        if self.many:
            return [_typed_as(self.kind, part.strip()) for part in text.split(",")]
        return _typed_as(self.kind, text)

    def given(self, words: Sequence[Any]) -> list[Any]:
        """The values of a command line, each text or a default. Raises Misuse."""
        return [
            one if isinstance(one, self.kind) else self._one(_typed_as(self.kind, one))
            for one in words
        ]

    def _one(self, value: Any) -> Any:
        kind: Any = self.kind
        if kind is Reference:
            return Reference.of(value)
        if kind is Path and isinstance(value, str | Path):
            return Path(value)
        if issubclass(kind, Enum):
            known = [str(member.value) for member in kind]
            word = spelled(str(value), known)
            if word not in known:
                near = get_close_matches(word, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise Misuse(f"{self.option} {value}: {hint}")
            return kind(word)
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or type(value) is not kind:
            raise Misuse(f"{self.option} {value!r}: it must be {_KINDS[kind]}")
        least, largest = self.limits
        if not (least is None or value >= least) or not (largest is None or value <= largest):
            wanted = [f"{least:g} or more"] if least is not None else []
            wanted += [f"{largest:g} or less"] if largest is not None else []
            raise Misuse(f"{self.option} {value:g}: it must be {' and '.join(wanted)}")
        return value


def _typed_as(kind: type, text: str) -> Any:
    if kind is bool:
        return WORDS.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    return text


@cache
def fields_of(kind: type[Any]) -> tuple[Field, ...]:
    """The fields of a dataclass, in order."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(Field(field.name, hints[field.name], field.default) for field in fields(kind))


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """A dataclass from values by name. Raises Misuse for unknown names and unfit values."""
    known = {field.name: field for field in fields_of(kind)}  # type: ignore[arg-type]
    values = {spelled(name, known): value for name, value in values.items()}
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise Misuse(f"there is no option {name}; {hint}")
    for field in known.values():
        if field.default is MISSING and field.name not in values:
            raise Misuse(f"{field.option} is missing")
    return kind(**{name: known[name].read(value) for name, value in values.items()})


def canonical(value: Any) -> Any:
    """A field's value for a fingerprint, JSON-able: of a picture its SHA-256."""
    if isinstance(value, Reference):
        return value.sha256
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [canonical(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def field_words(message: str, after: str = "") -> str:
    """A message of the command line with fields by their names: "--keep-color" is "keep_color".

    `after` is put behind each name.
    """
    words = r"--([a-z]+(?:-[a-z]+)*)"
    return re.sub(words, lambda found: found[1].replace("-", "_") + after, message)


def option(name: str) -> str:
    """A field's name as it is typed: "checkpoint_every" is "--checkpoint-every"."""
    return "--" + name.replace("_", "-")


def unfold(
    command: Callable[..., None],
    *,
    without: Collection[str] = (),
    defaults: Mapping[str, Any] = NO_DEFAULTS,
    panels: Mapping[str, str] | None = None,
    **kinds: type,
) -> Callable[..., None]:
    """A typer command in which parameters that are dataclasses are given field by field.

    `unfold(train, place=Place, settings=Settings)` becomes a command with one option for each field
    of both, in their order, and then the command's own. So options that many commands share stand
    once, as a type, and a command gets them as one value. Fields in `without` keep their defaults;
    those in `defaults` have others than their own.
    `panels` says under which title of the help fields stand.
    """
    signature = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    own = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, p in signature.parameters.items()
        if name not in kinds
    ]
    open_fields = {
        name: [field for field in fields_of(kind) if field.name not in without]
        for name, kind in kinds.items()
    }
    shared = [
        _parameter(field, defaults, (panels or {}).get(field.name))
        for some in open_fields.values()
        for field in some
    ]

    def unfolded(**given: Any) -> None:
        built = {}
        for name, kind in kinds.items():
            built[name] = kind(**{f.name: _value(f, given.pop(f.name)) for f in open_fields[name]})
        command(**built, **given)

    unfolded.__name__ = command.__name__
    unfolded.__doc__ = command.__doc__
    unfolded.__module__ = command.__module__
    parameters = [*shared, *own]
    unfolded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    unfolded.__annotations__ = {p.name: p.annotation for p in parameters}
    return unfolded


def _parameter(field: Field, defaults: Mapping[str, Any], panel: str | None) -> inspect.Parameter:
    default, hint = defaults.get(field.name, field.default), _shown(field, panel)
    if field.kind is Reference:
        default = _spelt(default)
    if default is True and field.default is False:
        hint = _reversible(hint)
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=_typed(hint),
    )


def _spelt(default: Any) -> Any:
    """Pictures as typer takes them: by their paths."""
    if isinstance(default, list | tuple):
        return type(default)(_spelt(one) for one in default)
    return str(default.source) if isinstance(default, Reference) else default


def _reversible(hint: Any) -> Any:
    """A flag that is on can be turned off, if its option has no name for that: `--no-overwrite`."""
    base, info, *others = get_args(hint)
    info = copy(info)
    # typer takes the first name for a default, and mends that itself.
    declared: list[Any] = [info.default, *(info.param_decls or ())]
    first, rest = declared[0], declared[1:]
    if not isinstance(first, str) or "/" in first:
        return hint
    off = first.removeprefix("--")
    off = off.removeprefix("no-") if off.startswith("no-") else f"no-{off}"
    info.default, info.param_decls = f"{first}/--{off}", rest
    return Annotated[(base, info, *others)]


def _shown(field: Field, panel: str | None) -> Any:
    """A field's hint whose option says in the help what it takes."""
    if get_origin(field.hint) is not Annotated:
        return field.hint
    base, *extras = get_args(field.hint)
    shown = [copy(extra) for extra in extras]
    for extra in shown:
        if hasattr(extra, "metavar"):
            extra.metavar = extra.metavar or field.metavar
            extra.rich_help_panel = extra.rich_help_panel or panel
            if field.count:
                extra.callback = _all_there
    return Annotated[(base, *shown)]


def _all_there(option: CallbackParam, values: tuple[str, ...] | None) -> Any:
    """An option of several values takes what follows it, be it the next option's name."""
    for given, value in enumerate(values or ()):
        if isinstance(value, str) and len(value) > 1 and value.startswith("-"):
            name = option.opts[0]
            raise Misuse(f"{name} takes {option.nargs} values, and {given} came before {value}")
    return values


def _value(field: Field, given: Any) -> Any:
    """A value of a command line, with what names a picture made one."""
    return field.read(given) if field.kind is Reference else given


def _typed(hint: Any) -> Any:
    """A hint for typer, which takes the paths of pictures as text."""
    if hint is Reference:
        return str
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_typed(arguments[0]), *arguments[1:])]
    if origin in (list, tuple):
        return origin[tuple(map(_typed, arguments))]
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_typed, arguments))]  # noqa: UP007
    return hint


def _members(hint: Any) -> tuple[Any, ...]:
    """What a union is made of, or the hint itself."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
