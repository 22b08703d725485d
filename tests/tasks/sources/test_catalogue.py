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
