"""One run as a page of text, and as one document: what it is, its status, its result."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from metaact.errors import MetaactError
from metaact.experiments.commands import merged
from metaact.experiments.table import of_kind
from metaact.experiments.words import data_of, defaults_of, headline
from metaact.runs import Entry
from metaact.settings import in_words, shown

from .describe import official as is_official
from .store_list import brief, moment, size_in_words, standing

WIDTH = 96


def document(entry: Entry, *, dependents: Sequence[Entry] = ()) -> dict[str, Any]:
    """One run as strict JSON.

    Args:
        entry: The run.
        dependents: The runs that start from it.
    """
    differing, as_default = settings(entry)
    return {
        "experiment": "run",
        **brief(entry),
        "differing": differing,
        "as_default": as_default,
        "environment": environment(entry),
        "official": official(environment(entry)),
        "last": entry.last,
        "seal": _seal(entry),
        "files": {path.name: path.lstat().st_size for path in sorted(entry.directory.iterdir())},
        "dependents": [str(one.directory) for one in dependents],
        "command": command(entry),
    }


def command(entry: Entry) -> str | None:
    """The command line that makes a run; None where none is recorded (version 0.1.0)."""
    recorded = None if entry.run is None else entry.run.about.get("command")
    return merged([recorded])[0] if recorded else None


def _seal(entry: Entry) -> str | None:
    """What the run is sealed by; None before its end, or where it cannot be read."""
    return None if entry.run is None or entry.result is None else entry.run.seal


def settings(entry: Entry) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that are not the defaults, and those that are; hashes are with neither."""
    experiment = of_kind(entry.kind)
    expected = {} if experiment is None else defaults_of(experiment, entry.config)
    plain = {k: v for k, v in entry.config.items() if not k.endswith("_sha256")}
    differing = {k: v for k, v in plain.items() if k not in expected or v != expected[k]}
    return differing, {k: v for k, v in plain.items() if k not in differing}


def environment(entry: Entry) -> dict[str, Any]:
    """With what it was computed; {} if that was not written, or cannot be read."""
    if entry.run is None:
        return {}
    try:
        return entry.run.environment()
    except MetaactError:
        return {}


def official(environment: Mapping[str, Any]) -> bool | None:
    """Whether all data are those that were published; None if nothing is said of them."""
    data = environment.get("data")
    if not isinstance(data, dict):
        return None
    parts = [part for part in data.values() if isinstance(part, dict) and "official" in part]
    return is_official(data) if "official" in data or parts else None


def page(entry: Entry, *, dependents: Sequence[Entry] = ()) -> str:
    """One run for a reader.

    Args:
        entry: The run.
        dependents: The runs that start from it.
    """
    found = document(entry, dependents=dependents)
    lines = [_sentence(entry), ""]
    lines += _row("directory", str(entry.directory))
    lines += _row("status", _status(entry))
    if found["seal"] == "lengths":
        lines += _row(
            "seal",
            "of an earlier version: it holds the lengths of the records, not their hashes; an edit "
            "of equal length would not be noticed",
        )
    lines += _row("changed", moment(entry.changed))
    if dependents:
        lines += _row("needed by", f"runs in this store: {len(dependents)}")
    lines += _row("differs", _listed(found["differing"]))
    lines += _row("as default", _listed(found["as_default"]))
    lines += [line for title, text in _about(found["environment"]) for line in _row(title, text)]
    lines += _row("data", _data(found))
    lines += _row("result", _figures(entry.result))
    lines += _row("last record", _figures(entry.last))
    files = [f"{name} {size_in_words(size)}" for name, size in found["files"].items()]
    lines += _row("files", ", ".join([*files, f"together {size_in_words(entry.size)}"]))
    lines += [f"{'again':<12}{found['command']}"] if found["command"] else []
    return "\n".join(lines)


def _sentence(entry: Entry) -> str:
    config, experiment = entry.config, of_kind(entry.kind)
    if not config:
        return f"{entry.directory.name}: a run of kind {entry.kind} that cannot be read."
    seed = f", seed {config['seed']}" if "seed" in config else ""
    arm = f"{config['activation']}{seed}" if "activation" in config else entry.name
    if experiment is None:
        return f"{arm}: a run of kind {entry.kind}."
    data, setting = data_of(experiment, config), headline(experiment, config)
    on = f" on {data}" if data else ""
    what = experiment.kinds[entry.kind]
    return f"{arm}: {what}{on}" + (f" ({setting})." if setting else ".")


def _status(entry: Entry) -> str:
    more = {
        "unfinished": "; the command that began it continues it",
        "busy": "; another process works on it (as far as its last checkpoint)",
        "damaged": f": {entry.why}",
    }
    return standing(entry) + more.get(entry.status, "")


def _row(title: str, text: str) -> list[str]:
    """A line with its title, wrapped; none where there is nothing to say."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{title:<12}",
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )


_FIRST = ("activation", "activation_sha256", "seed")


def _listed(values: Mapping[str, Any]) -> str:
    names = sorted(values, key=lambda n: _FIRST.index(n) if n in _FIRST else len(_FIRST))
    return ", ".join(in_words(name, values[name]) for name in names)


def _about(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    packages = found.get("packages")
    versions = {"metaact": found.get("metaact"), "Python": found.get("python")}
    versions |= packages if isinstance(packages, dict) else {}
    yield "versions", ", ".join(f"{name} {v}" for name, v in versions.items() if v)
    git = found.get("git")
    if isinstance(git, dict):
        changed = ", with changes that were not committed" if git.get("modified") else ""
        yield "git", f"{git.get('commit')}{changed}"
    where = [found.get("device_name") or found.get("device"), found.get("cpu")]
    threads = found.get("threads")
    where += [f"threads: {threads}" if threads else None, found.get("platform")]
    yield "machine", ", ".join(str(part) for part in where if part)
    normalisation = found.get("normalisation")
    if isinstance(normalisation, dict):
        yield "input", ", ".join(in_words(name, value) for name, value in normalisation.items())
    earlier = found.get("earlier")
    if isinstance(earlier, list) and earlier:
        yield "earlier", f"it was started in {len(earlier)} other environments (environment.json)"


def _data(found: Mapping[str, Any]) -> str:
    words = {True: "official", False: "NOT official", None: ""}[found["official"]]
    data = found["environment"].get("data")
    parts = [p for p in data.values() if isinstance(p, dict)] if isinstance(data, dict) else []
    notes = dict.fromkeys(str(p[key]) for p in parts for key in ("note", "form") if p.get(key))
    hashes = [
        f"{name.removesuffix('_sha256')} {value[:8]}"
        for name, value in found["config"].items()
        if name.endswith("_sha256") and isinstance(value, str)
    ]
    return "; ".join([part for part in (words, *notes, ", ".join(hashes)) if part])


def _figures(values: Mapping[str, Any] | None) -> str:
    """Numbers and texts; what is nested (α and β per layer) stays in the file."""
    plain = {k: v for k, v in (values or {}).items() if isinstance(v, int | float | str)}
    told = {k: v for k, v in plain.items() if not (isinstance(v, str) and len(v) > 40)}
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in told.items())
