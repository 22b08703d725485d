"""The page as text: whole, valid, escaped, self-contained, and saying what a reader must know."""

from __future__ import annotations

import copy
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from metaact.reports.page import page
from metaact.reports.page_html import VOID

from metaact.errors import UsageError

NASTY = "<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


class Outline(HTMLParser):
    """Elements, ids, references, headings and text of a page; fails on unbalanced tags."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, *names: str) -> list[str]:
        return [a[n] or "" for _, a in self.elements for n in names if n in a]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {}


@pytest.fixture
def source(document: Any, made: dict[str, str]) -> str:
    """The page of the fixture, made once for all tests that only read it."""
    if not made:
        made["page"] = page(document)
    return made["page"]


@pytest.fixture
def outline(source: str) -> Outline:
    return Outline(source)


def test_ids_are_unique_and_all_references_resolve(outline: Outline) -> None:
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert len(ids) > 20
    known = set(ids)
    links = [value.removeprefix("#") for value in outline.values("href")]
    assert set(links) <= known
    assert set(outline.values("aria-labelledby")) <= known
    styles = " ".join(outline.values("style", "clip-path"))
    assert set(re.findall(r"url\(#([^)]+)\)", styles)) <= known


def test_headings_descend_one_level_at_a_time(outline: Outline) -> None:
    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_loaded_and_no_script_runs(source: str, outline: Outline) -> None:
    assert outline.all("script") == []
    assert not [name for _, a in outline.elements for name in a if name.startswith("on")]
    assert all(value.startswith("data:") for value in outline.values("src"))
    assert re.search(r"url\((?!#)|@import|https?:", source) is None
    policy = next(m for m in outline.all("meta") if m.get("http-equiv"))
    assert "default-src 'none'" in str(policy["content"])


def test_names_of_the_user_are_text_wherever_they_stand(document: Any, outline: Outline) -> None:
    assert NASTY not in page(document, title=NASTY, pictures=2)
    assert outline.text.count(NASTY) > 5


def test_tables_and_pictures_can_be_read_aloud(outline: Outline) -> None:
    assert {cell["scope"] for cell in outline.all("th")} == {"col", "row"}
    regions = [a for a in outline.all("div") if a.get("class") == "wide"]
    assert len(regions) == len(outline.all("table"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)
    pictures = [a for a in outline.all("svg") if a.get("role") == "img"]
    assert len(pictures) == len(outline.all("figure")) > 5
    assert outline.all("html") == [{"lang": "en"}]


def test_verdicts_and_what_was_left_out_come_before_any_figure(document: Any, source: str) -> None:
    first = source.index("<figure")
    for study in document["studies"]:
        for comparison in study["comparisons"]:
            sentence = comparison["sentence"].replace("<", "&lt;").replace(">", "&gt;")
            assert source.index(re.sub(r"(?<=[\[( ])-(?=\d)", "−", sentence)) < first
    assert source.index("2 directories were left out") < first
    assert source.index("it is not complete") < first
    assert source.index("NOT OFFICIAL") < first


def test_what_an_arm_never_reached_is_said_in_words(outline: Outline) -> None:
    words = "relu-gain inner lr 0.005: 50 % not reached by 2 of 3 seeds within 100 meta-iterations."
    assert words in outline.text


def test_both_readings_optimism_and_the_decomposition_are_there(outline: Outline) -> None:
    for words in (
        "Each activation at its own best rate",
        "Optimism: selected and held-out figures",
        "Learned, or only scaled?",
        "learning its parameters is not shown to matter",
        "arelu at 0.02 (3)",
        "α is stuck in 1 of 27 layers",
    ):
        assert words in outline.text


def test_every_figure_has_a_number_and_the_command_that_makes_it(source: str) -> None:
    captions = re.findall(r"<figcaption>.*?</figcaption>", source, flags=re.S)
    numbers = [int(found[1]) for c in captions if (found := re.search(r"Figure (\d+)\.", c))]
    assert numbers == list(range(1, len(captions) + 1))
    assert all("metaact maml --dataset" in c or "metaact transfer" in c for c in captions)


def test_log_axis_only_where_points_crowd_at_the_start(source: str) -> None:
    pattern = r"over training, mean over seeds.*?</figcaption>"
    captions = re.findall(pattern, source, flags=re.S)
    assert ["logarithmic" in caption for caption in captions] == [False, True]


def test_pictures_of_the_smaller_study_can_be_left_out_and_it_says_so(document: Any) -> None:
    found = page(document, pictures=1)
    assert 'id="maml-1-figure-curves"' in found
    assert 'id="transfer-1-figure-curves"' not in found
    assert found.count("--pictures") == 1
    assert "<figure" not in page(document, pictures=0)
    with pytest.raises(UsageError, match="`pictures` must be"):
        page(document, pictures=-1)


def test_an_example_is_within_the_page_and_a_lost_one_is_named(
    document: Any, tmp_path: Path
) -> None:
    (tmp_path / "episode.png").write_bytes(PNG)
    (tmp_path / "fake.png").write_bytes(b"<svg onload=alert(1)>")
    document["studies"][0]["examples"] = [
        {"caption": "An episode.", "path": str(tmp_path / "episode.png")},
        {"caption": "No picture.", "path": str(tmp_path / "fake.png")},
        {"caption": "Gone.", "path": str(tmp_path / "gone.png")},
    ]
    outline = Outline(page(document, pictures=0))
    (image,) = outline.all("img")
    assert str(image["src"]).startswith("data:image/png;base64,iVBORw0KGgp")
    assert image["alt"] == "An episode."
    assert f"No picture. (the picture {tmp_path / 'fake.png'} cannot be read)" in outline.text
    assert f"Gone. (the picture {tmp_path / 'gone.png'} cannot be read)" in outline.text


def test_a_study_of_nineteen_arms_is_whole_and_small(document: Any) -> None:
    study = document["studies"][1]
    study["arms"] = [_renamed(study["arms"][0], f"arm{i}") for i in range(19)]
    study["comparisons"] = [
        study["comparisons"][0] | {"first": f"arm{i}", "second": "arm0"} for i in range(1, 19)
    ]
    found = page(document | {"studies": [study]})
    assert found.count("arm18") > 4
    assert len(found.encode()) < 300_000


def test_more_arms_than_can_be_told_apart_are_chosen_and_it_says_so(document: Any) -> None:
    study = document["studies"][1]
    study["arms"] = [_renamed(study["arms"][0], f"arm{i}") for i in range(25)]
    assert "Of 25 arms the 20 with the highest accuracy are drawn" in page(
        document | {"studies": [study]}
    )


def test_many_verdicts_are_folded_decided_ones_first(document: Any) -> None:
    study = document["studies"][0]
    better, open_one, worse = study["comparisons"]
    study["comparisons"] = [open_one] * 9 + [worse, better]
    found = page(document)
    assert "3 more: 3 no difference shown" in found
    head = found[found.index("<article") : found.index("</article>")]
    assert [head.index(c["sentence"][:20]) for c in (better, worse, open_one)] == sorted(
        head.index(c["sentence"][:20]) for c in (better, worse, open_one)
    )
    document["studies"] = [study | {"id": f"maml-{i}"} for i in range(7)]
    assert page(document, pictures=0).count("8 more: 8 no difference shown") == 7


def test_rates_without_validation_have_one_reading_and_it_says_why(document: Any) -> None:
    study = document["studies"][0] | {"tuned": None}
    found = page(document | {"studies": [study]})
    assert "no arm can be given its own best rate" in found
    assert ">Each activation at its own best rate<" not in found
    assert 'id="maml-1-figure-sensitivity"' in found


def test_studies_of_one_title_are_told_apart_by_what_differs(document: Any) -> None:
    study = document["studies"][1]
    twin = study | {"id": "transfer-2", "settings": study["settings"] | {"epochs": 5}}
    found = page(document | {"studies": [study, twin]}, pictures=0)
    assert found.count("fine-tuned by ADAM (epochs 20)</h2>") == 1
    assert found.count("fine-tuned by ADAM (epochs 5)</h2>") == 1


def test_a_study_with_nothing_to_compare_says_so(document: Any) -> None:
    study = document["studies"][1]
    study["arms"], study["comparisons"] = study["arms"][:1], []
    found = page(document | {"studies": [study], "left_out": []})
    assert "No two arms here can be compared." in found
    assert "none left out" in found
    assert found.count("<h1>mnist to svhn") == 1


def test_seeds_that_all_diverged_have_no_curve_and_no_error(document: Any) -> None:
    study = document["studies"][1]
    for arm in study["arms"]:
        arm |= {"accuracy": None, "curves": {}, "by_seed": {}, "diverged": [0, 1], "seeds": []}
    study["comparisons"] = []
    assert "9, 6 diverged" in page(document | {"studies": [study]})


def test_the_same_document_gives_the_same_page(document: Any, source: str) -> None:
    assert page(copy.deepcopy(document)) == source


def test_pages_are_made_without_torch() -> None:
    code = "import sys, metaact.reports.page; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def _renamed(arm: Any, name: str) -> Any:
    return arm | {"name": name, "activation": name, "baselines": {}}
