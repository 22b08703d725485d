"""Settings: each declared once, and the lists that users write. Imports neither torch nor NumPy.

A config is a frozen dataclass whose fields are made by `setting`. Everything else that a setting
needs is derived from that one line: the option of the command line, the check of a config file,
what names a run, what makes two runs comparable, what can be tuned, how a reader is told of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from metaact.display import brief
from metaact.errors import LARGEST_FLOAT, UsageError, check_choice, check_int, check_rate

Role = Literal["arm", "seed", "rate", "data", "training", "observation", "computation"]
"""What a setting is for.

| role | names a run | runs that differ in it |
| --- | --- | --- |
| arm | yes | are the arms of one study |
| seed | yes | are the seeds of one arm |
| rate | yes | are one arm at several rates; can be tuned |
| data | yes | are of different studies; their data are loaded apart |
| training | yes | are of different studies |
| observation | yes | are watched otherwise, and are of one study |
| computation | no | are the same run |
"""

Group = Literal["Experiment", "Network", "Data", "Fairness", "Computation", "Output"]
"""Under which heading the help shows an option."""

GROUPS: Mapping[Role, Group] = {
    "arm": "Network",
    "seed": "Experiment",
    "rate": "Experiment",
    "data": "Data",
    "training": "Experiment",
    "observation": "Experiment",
    "computation": "Computation",
}

Words = str | Mapping[Any, str] | Callable[[Any], str]

LONGEST = 10_000_000
"""Iterations or epochs of a run: a larger number is taken for a typing error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: all that is known of it.

    Attributes:
        help: What it is, one or two sentences.
        role: What it is for; see `Role`.
        default: Its value unless asked otherwise.
        name: The field of the config; also its name in JSON.
        kind: Type of one value: int, float, bool or str.
        many: Whether its value is a tuple of such ("epochs" of a transfer).
        layers: Whether its value is pairs (layer, learning rate).
        choices: The texts that are allowed; empty allows all.
        known: Refuses a text that is not allowed, where a list of choices cannot say it.
        minimum: Least value of a number.
        below: Values of a number are less than this; None is no bound.
        most: Greatest whole number; a larger one is taken for a typing error.
        why: The reason for the minimum, or for the choices.
        why_most: The reason for the greatest number.
        option: How it is called on the command line; "" is `--name`.
        aliases: Further options that mean the same.
        off: The option that switches off what is on by default.
        unset: What leaving it out means, where the default is None.
        words: How a reader is told of a value: a template, a text per value, or a function; ""
            is the name and the value.
        always: Whether a reader is told of the default, too.
        contains: Whether a run with a greater value holds every run with a smaller one.
        undivided: Values with which a run depends on its planned length, so that it holds no
            shorter one.
        path: Whether it names data, by name or path; its last part names a run.
        notes: What a reader must know where it has a value, by the value.
        only: Another setting, and its values without which this one says nothing.
        implies: Settings that a value of this one stands for, by the value: others of theirs ask
            for another value of this one. Left out, it follows from them: the first that fits.
        stands_for: The argument of the command in place of which it is given; "" for none.
        added: Whether it came after runs had been made: at its default it does not name a run, so
            that those keep their names.
        group: The heading under which the help shows it; None goes by the role.
    """

    help: str
    role: Role
    default: Any = None
    name: str = ""
    kind: type = str
    many: bool = False
    layers: bool = False
    choices: tuple[str, ...] = ()
    known: Callable[[str], object] | None = None
    minimum: float | None = None
    below: float | None = None
    most: int | None = None
    why: str = ""
    why_most: str = ""
    option: str = ""
    aliases: tuple[str, ...] = ()
    off: str = ""
    unset: str = ""
    words: Words = ""
    always: bool = False
    only: tuple[str, tuple[str, ...]] | None = None
    implies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    contains: bool = False
    undivided: tuple[str, ...] = ()
    path: bool = False
    notes: Mapping[Any, str] = field(default_factory=dict)
    stands_for: str = ""
    added: bool = False
    group: Group | None = None

    @property
    def flag(self) -> str:
        """The option that sets it: "--inner-lr"."""
        return self.option or f"--{self.name.replace('_', '-')}"

    @property
    def label(self) -> str:
        """Its name as a reader sees it: "inner lr"."""
        return self.name.replace("_", " ")

    def in_words(self, value: object) -> str:
        """One value as a reader is told of it."""
        if isinstance(self.words, str) and self.words:
            return self.words.format(shown(value))
        if isinstance(self.words, Mapping):
            return self.words.get(value, f"{self.label} {shown(value)}")
        if callable(self.words):
            return self.words(value)
        return in_words(self.name, value)

    def check(self, value: object) -> None:
        """Refuse a value that is not allowed.

        Raises:
            UsageError: If it is not; one sentence with what is.
        """
        if value is None and self.default is None:
            return
        if self.many:
            self._check_many(value)
        else:
            self._check_one(value)

    def check_recorded(self, value: object) -> None:
        """Refuse what a run of no version can have recorded: another type, a number out of bounds.

        A text may be a choice of another version.

        Args:
            value: The value as JSON.

        Raises:
            UsageError: If it is that; one sentence with what is allowed.
        """
        kind, many = self.kind, self.many and not self.layers
        items = value if many and isinstance(value, list) else [value]
        if kind in (bool, str) and not many and self.default is None:
            items = [item for item in items if item is not None]
        if kind in (bool, str) and not self.layers:
            named = "true or false" if kind is bool else "a text"
            for item in items:
                if not isinstance(item, kind):
                    raise UsageError(f"`{self.name}` must be {named}; got {item!r}.")
            return
        try:
            if self.layers and not isinstance(value, list):
                raise TypeError("no list")
            found = _from_json(self, value)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"`{self.name}` must hold pairs of a layer and its rate; got {value!r}."
            ) from error
        self.check(found)

    def _check_many(self, value: object) -> None:
        if not isinstance(value, tuple):
            raise UsageError(f"`{self.name}` must be a tuple of values; got {value!r}.")
        if self.layers:
            for layer, rate in value:
                check_rate(self.name, rate, why=f"the learning rate of {layer}")
            return
        if not value and self.default != ():
            allowed = "at least one number" if self.kind is int else "at least one name"
            raise UsageError(f"`{self.name}` must hold {allowed}; got none.")
        for item in value:
            self._check_one(item)

    def _check_one(self, value: Any) -> None:
        if self.role == "rate":
            check_rate(self.name, value)
        elif self.choices:
            check_choice(self.name, value, self.choices, why=self.why)
        elif self.known is not None:
            self.known(str(value))
        elif self.kind is int:
            above = isinstance(value, int) and self.most is not None and value > self.most
            check_int(
                self.name,
                value,
                minimum=int(self.minimum or 0),
                maximum=self.most if above else None,
                why=self.why_most if above else self.why,
            )
        elif self.kind is float:
            self._check_number(value)

    def _check_number(self, value: Any) -> None:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.below is None else self.below
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and LARGEST_FLOAT < abs(value) < math.inf:
            why = "networks compute in float32"
            raise UsageError(
                f"`{self.name}` must be at most {LARGEST_FLOAT:g} ({why}); got {value!r}."
            )
        if not (number and low <= value < high):
            allowed = f"a finite number >= {low:g}" if high == math.inf else "a number"
            bounds = "" if high == math.inf else f" in [{low:g}, {high:g})"
            raise UsageError(f"`{self.name}` must be {allowed}{bounds}; got {value!r}.")


def setting(default: Any, help: str, *, role: Role, **more: Any) -> Any:
    """A field of a config that is a setting.

    Args:
        default: Its value unless asked otherwise; None is filled by the config or by the data.
        help: What it is, one or two sentences.
        role: What it is for; see `Role`.
        more: Other attributes of `Setting`.

    Returns:
        A dataclass field that carries the setting as metadata.

    Examples:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Example:
        ...     ways: int = setting(5, "Classes.", role="data", minimum=2, words="{}-way")
        >>> (ways,) = settings_of(Example)
        >>> ways.flag, ways.in_words(20)
        ('--ways', '20-way')
    """
    declared = Setting(help=help, role=role, default=default, **more)
    return field(default=default, metadata={"setting": declared})


def count(default: int | None, help: str, *, role: Role, least: int = 1, **more: Any) -> Any:
    """A setting that counts, as `setting` makes it: a whole number from `least` on."""
    return setting(default, help, role=role, minimum=least, **more)


def settings_of(config: type) -> tuple[Setting, ...]:
    """The settings of a config class, in the order of its fields."""
    return _settings(config)  # mypy takes no class of frozen dataclasses for hashable


@cache
def _settings(config: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(config)
    found = []
    for item in fields(config):
        declared: Setting = item.metadata["setting"]
        text = str(hints[item.name])
        kind = next((k for k in (bool, int, float) if k.__name__ in text), str)
        layers = "tuple[tuple[" in text
        many = "tuple[" in text
        found.append(replace(declared, name=item.name, kind=kind, many=many, layers=layers))
    return tuple(found)


def by_name(config: type) -> dict[str, Setting]:
    """The settings of a config class by their names."""
    return {one.name: one for one in settings_of(config)}


def with_role(config: type, *roles: Role) -> tuple[Setting, ...]:
    """The settings of a config class that have one of the roles."""
    return tuple(one for one in settings_of(config) if one.role in roles)


class Config:
    """Root of all configs: checked when made, and told apart by every setting that names a run."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        # A dataclass would list all fields; it keeps a method that its own class has.
        setattr(cls, "__repr__", Config._shown)  # noqa: B010

    def __post_init__(self) -> None:
        check(self)

    def _shown(self) -> str:
        """Arm and seed, and what is not as by default."""
        usual, known = defaults(type(self), self.fields()), by_name(type(self))
        told = {
            name: value
            for name, value in self.fields().items()
            if known[name].role in ("arm", "seed") or value != usual[name]
        }
        return brief(self, **told)

    @property
    def forms(self) -> str:
        """What names of activations stand for: "held-out", or "paper" for the authors' forms."""
        return "paper" if str(getattr(self, "protocol", "")).startswith("paper") else "held-out"

    def fields(self) -> dict[str, object]:
        """The settings that name a run, as JSON; of data their name or the last part of a path.

        Those that say nothing beside a value that was added later are left out.
        """
        known = by_name(type(self))
        values = {name: getattr(self, name) for name in known}
        named = {
            name: value
            for name, value in values.items()
            if known[name].role != "computation"
            and not (known[name].added and value == usual(known[name], values))
        }
        return {
            name: _as_json(known[name], value)
            for name, value in named.items()
            if is_asked(known[name], known, values) or known[name].only[0] not in named  # type: ignore[index]  # what is not asked has one
        }


def check(config: Config) -> None:
    """Refuse a config of which a setting is not allowed.

    Raises:
        UsageError: If one is not; one sentence with what is.
    """
    for one in settings_of(type(config)):
        one.check(getattr(config, one.name))


def check_recorded(known: Mapping[str, Setting], recorded: Mapping[str, Any]) -> None:
    """Refuse recorded settings of which one cannot be what a run records.

    Args:
        known: The settings by name; what is not among them is not looked at, nor what is missing.
        recorded: The settings of a run, as JSON.

    Raises:
        UsageError: If one cannot; one sentence with what is allowed.

    Examples:
        >>> ways = Setting(help="", role="data", name="ways", kind=int, minimum=2)
        >>> check_recorded({"ways": ways}, {"ways": 5, "of another version": []})
        >>> check_recorded({"ways": ways}, {"ways": []})
        Traceback (most recent call last):
        metaact.errors.UsageError: `ways` must be an int >= 2; got [].
    """
    for name, value in recorded.items():
        if name in known:
            known[name].check_recorded(value)


def is_read(one: Setting, values: Mapping[str, Any]) -> bool:
    """Whether a setting says anything beside the others.

    Args:
        one: The setting.
        values: Those of the others, by name; what another is that is missing is not asked.

    Examples:
        >>> momentum = Setting(help="", role="training", only=("optimizer", ("sgd",)))
        >>> is_read(momentum, {"optimizer": "sgd"}), is_read(momentum, {"optimizer": "adam"})
        (True, False)
    """
    return one.only is None or values.get(one.only[0], one.only[1][0]) in one.only[1]


def is_asked(one: Setting, known: Mapping[str, Setting], values: Mapping[str, Any]) -> bool:
    """Whether a run has a setting at all: it says something, or is of those that all always had.

    Args:
        one: The setting.
        known: All settings by name.
        values: Theirs.
    """
    return one.only is None or is_read(one, values) or not known[one.only[0]].added


def usual(one: Setting, values: Mapping[str, Any]) -> Any:
    """What a setting is where it is left out: its default, or what follows from the others.

    Args:
        one: The setting.
        values: Those of the others, by name.

    Examples:
        >>> implies = {"maml": {"head_only": False}, "anil": {"head_only": True}}
        >>> algorithm = Setting(help="", role="training", implies=implies)
        >>> usual(algorithm, {"head_only": True}), usual(algorithm, {})
        ('anil', 'maml')
    """
    for value, others in one.implies.items():
        if all(values.get(name, other) == other for name, other in others.items()):
            return value
    return one.default


def quiet(config: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of settings, those that say nothing beside the others as by default.

    Args:
        config: The class of the config.
        values: By name, of all settings or of some.
    """
    known = by_name(config)
    left_out = {n: usual(one, values) for n, one in known.items() if one.implies}
    whole = {**values, **{n: v for n, v in left_out.items() if values.get(n) is None}}
    return {
        name: value if is_asked(known[name], known, whole) else known[name].default
        for name, value in values.items()
    }


def settle(config: Config, name: str) -> None:
    """Bring a setting and those that it stands for together; while the config is made.

    Left out, or at the value that stands for nothing unusual (the first), it follows from them.
    Another value gives them theirs.

    Args:
        config: The config.
        name: The setting that stands for others.

    Raises:
        UsageError: If another setting contradicts it, or says nothing beside it.
    """
    known = by_name(type(config))
    one = known[name]
    values = {other: getattr(config, other) for other in known}
    value = values[name]
    if value is None or value == next(iter(one.implies)):
        value = usual(one, values)
        object.__setattr__(config, name, value)
    fixed = one.implies.get(value, {})
    for other, wanted in fixed.items():
        _refuse_other(known[other], values[other], (known[other].default, wanted), name, value)
        object.__setattr__(config, other, wanted)
    refuse_unread(config, name)


def refuse_unread(config: Config, name: str) -> None:
    """Refuse settings that say nothing beside the value of another; while the config is made.

    Args:
        config: The config.
        name: The other setting.

    Raises:
        UsageError: If one has another value than by default, or than the other stands for.
    """
    known = by_name(type(config))
    value = getattr(config, name)
    fixed = known[name].implies.get(value, {})
    for unread in known.values():
        if unread.only and unread.only[0] == name and value not in unread.only[1]:
            allowed = (unread.default, fixed.get(unread.name, unread.default))
            _refuse_other(unread, getattr(config, unread.name), allowed, name, value)


def _refuse_other(
    one: Setting, got: object, allowed: tuple[object, object], name: str, value: str
) -> None:
    if got not in allowed:
        readers = f"; it is read with {', '.join(one.only[1])}" if one.only else ""
        raise UsageError(
            f"`{one.name}` must be left out with {name} {value!r} (which does not read "
            f"it{readers}); got {got!r}."
        )


def fill(config: Config, name: str, value: object) -> None:
    """Give a setting that was left out (None) the value that others ask for; while it is made."""
    if getattr(config, name) is None:
        object.__setattr__(config, name, value)


def _as_json(one: Setting, value: Any) -> object:
    if one.path:
        return None if value is None else Path(value).name
    if one.layers:
        return [list(pair) for pair in value]
    return list(value) if one.many and value is not None else value


def defaults(config: type, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What each setting is by default, where the others are as recorded.

    Some defaults follow other settings: five queries a class, or as many as shots. They are what
    the config fills in.

    Args:
        config: The class of the config.
        recorded: The settings of a run.
    """
    declared = settings_of(config)
    given = {one.name for one in declared if one.default is not None or one.implies}
    try:
        filled = read_back(config, {k: v for k, v in recorded.items() if k in given})
    except (UsageError, TypeError, ValueError):  # a value of another version of metaact
        filled = config()
    follows = {one.name: usual(one, recorded) for one in declared if one.implies}
    return {
        one.name: _as_json(
            one,
            one.default
            if one.default is not None
            else follows.get(one.name, getattr(filled, one.name)),
        )
        for one in declared
        if one.role != "computation"
    }


def is_divided(known: Mapping[str, Setting], recorded: Mapping[str, Any]) -> bool:
    """Whether a run holds every shorter one: no setting of it depends on the planned length.

    Args:
        known: Settings by name.
        recorded: Those of the run.
    """
    return all(recorded.get(name, one.default) not in one.undivided for name, one in known.items())


def read_back(config: type, recorded: Mapping[str, Any]) -> Any:
    """The config with the settings of a run; what it did not record is as by default.

    Args:
        config: The class of the config.
        recorded: The settings of the run; what the class does not declare is left out.

    Raises:
        UsageError: If a value is not allowed, as one of another version of metaact may be.
    """
    declared = by_name(config)
    return config(
        **{n: _from_json(declared[n], value) for n, value in recorded.items() if n in declared}
    )


def completed(config: type, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What a run recorded, with the settings that it does not name as they were added later.

    Args:
        config: The class of the config.
        recorded: The settings of a run.
    """
    added = {s.name: _as_json(s, usual(s, recorded)) for s in settings_of(config) if s.added}
    return {**added, **recorded}


def _from_json(one: Setting, value: Any) -> Any:
    if one.layers:
        return tuple((str(layer), float(rate)) for layer, rate in value)
    if one.many and value is not None:
        return tuple(value) if isinstance(value, list | tuple) else (value,)
    return value


def counted(name: str, words: str = "{}") -> Callable[[Any], str]:
    """How a reader is told of a number of things, one of them without the plural.

    Examples:
        >>> counted("epoch")(1), counted("epoch", "after {} on the source")(20)
        ('1 epoch', 'after 20 epochs on the source')
    """
    return lambda n: words.format(f"{shown(n)} {name}{'' if n == 1 else 's'}")


def text_of(one: Setting, value: Any) -> str:
    """A value as the name of an arm: one text, however the value is held.

    Examples:
        >>> layers = Setting(help="", role="training", name="train_layers", many=True)
        >>> text_of(layers, ("head", "conv3")), text_of(layers, ["head", "conv3"])
        ('head,conv3', 'head,conv3')
        >>> text_of(Setting(help="", role="training", name="head_only", kind=bool), True)
        'head only'
    """
    if isinstance(value, bool):
        return one.in_words(value)
    return shown(Path(value).name if one.path else value)


def in_words(name: str, value: object) -> str:
    """A setting and its value as a reader sees them.

    Examples:
        >>> in_words("batch_norm", "off"), in_words("replacement", False), in_words("lr", 1e-5)
        ('batch norm off', 'no replacement', 'lr 1e-05')
    """
    plain = name.replace("_", " ")
    if isinstance(value, bool):
        return plain if value else f"no {plain}"
    return f"{plain} {shown(value)}"


def shown(value: object) -> str:
    """A value without Python's quotes and brackets.

    Examples:
        >>> shown([1e-4, 0.5]), shown(None), shown([["head", 0.001]])
        ('0.0001,0.5', 'none', 'head=0.001')
    """
    if isinstance(value, list | tuple):
        return ",".join(_pair(item) for item in value) or "none"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return "none" if value is None else str(value)


def _pair(item: object) -> str:
    if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str):
        return f"{item[0]}={shown(item[1])}"
    return shown(item)


def cut(text: str, separator: str) -> list[str]:
    """Split at a separator outside brackets.

    Examples:
        >>> cut("relu,arelu(alpha=0.25,beta=1)", ",")
        ['relu', 'arelu(alpha=0.25,beta=1)']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list: stripped, in order, without empty ones and repeats.

    Examples:
        >>> split_list("relu, arelu(alpha=0.25,beta=1), ,relu")
        ('relu', 'arelu(alpha=0.25,beta=1)')
    """
    return tuple(dict.fromkeys(part.strip() for part in cut(text, ",") if part.strip()))


def spans(numbers: Iterable[int], *, most: int = 5) -> str:
    """Whole numbers, runs of them as ranges; how many, where that would be long.

    Examples:
        >>> spans([0, 1, 2, 3, 7]), spans(range(0, 100, 2))
        ('0-3,7', '50 of 0-98')
    """
    found: list[list[int]] = []
    ordered = sorted(set(numbers))
    for number in ordered:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    if len(found) > most:
        return f"{len(ordered)} of {ordered[0]}-{ordered[-1]}"
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in found)
