from __future__ import annotations

import pytest

from metaact import tasks
from metaact.errors import UsageError
from metaact.tasks.sources import catalogue
from metaact.tasks.sources.loading import source_name
from metaact.tasks.sources.raw import RAW


def test_names_are_unique_and_found() -> None:
    assert len(set(catalogue.names())) == len(catalogue.DATASETS)
    for name in catalogue.names():
        assert catalogue.find(name).name == name
    with pytest.raises(UsageError, match=r"got 'fashionmnist'\. Did you mean 'fashion-mnist'\?"):
        catalogue.find("fashionmnist")


def test_every_downloadable_set_has_its_files_and_its_page() -> None:
    wanted = {source_name(d.name) for d in catalogue.DATASETS if d.kind == "download"}
    assert wanted == set(RAW)
    for dataset in catalogue.DATASETS:
        if dataset.kind == "download":
            assert set(RAW[source_name(dataset.name)].files) == set(dataset.parts)
            assert dataset.page.startswith("http")


def test_published_means_are_of_every_channel() -> None:
    published = {d.name: d for d in catalogue.DATASETS if d.mean}
    assert {"mnist", "cifar10", "cifar100"} <= set(published)
    for dataset in catalogue.DATASETS:
        assert len(dataset.mean) == len(dataset.std)
        assert len(dataset.mean) in (0, dataset.channels)


@pytest.mark.data
@pytest.mark.parametrize(("name", "within"), [("mnist", 0.0005), ("cifar10", 0.005)])
def test_published_means_are_those_of_the_data(name: str, within: float, data_root: object) -> None:
    """Of MNIST to the printed digit; ours of CIFAR-10 is a sixth of it, recompressed."""
    split = tasks.split(name, root=data_root, validation=0)  # type: ignore[arg-type]
    entry = catalogue.find(name)
    mean, std = tasks.statistics(split.train)
    assert mean == pytest.approx(entry.mean, abs=within)
    assert std == pytest.approx(entry.std, abs=within)


@pytest.mark.slow
@pytest.mark.parametrize("name", [d.name for d in catalogue.DATASETS if d.kind == "built-in"])
def test_built_in_sets_are_as_listed(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    split = tasks.split(name, root=tmp_path_factory.mktemp("root"))
    entry = catalogue.find(name)
    assert sum(len(i) for i in split.parts().values()) == entry.images
    classes = [i.classes for i in split.parts().values()]
    assert (sum(classes) if split.held_out == "classes" else classes[0]) == entry.classes
    assert split.train.size == (entry.size, entry.size)
    assert split.train.channels == entry.channels
    assert split.held_out == entry.hold_out


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "omniglot", "omniglot-rotated"])
def test_official_sets_are_as_listed(name: str, data_root: object) -> None:
    split = tasks.split(name, root=data_root)  # type: ignore[arg-type]
    entry = catalogue.find(name)
    assert sum(len(i) for i in split.parts().values()) == entry.images
    assert split.train.size == (entry.size, entry.size)
    assert split.train.channels == entry.channels
    assert split.held_out == entry.hold_out
