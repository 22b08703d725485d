"""The page as text: whole, valid, escaped, self-contained, and saying what a reader must know."""

from __future__ import annotations

import copy
import html
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from matplotlib.figure import Figure

from metaact.errors import UsageError
from metaact.reports import Document, compare, gather, page, text
from metaact.reports.describe import told_apart
from metaact.reports.document import ArmReport, Picture
from metaact.reports.render import study_tables
from metaact.reports.render.page_html import VOID
from metaact.reports.render.page_svg import legend
from metaact.reports.summary import MOST_ROWS, forest

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


def with_study(document: Document, index: int, **changes: Any) -> Document:
    """The document with one study changed."""
    studies = [*document.studies]
    studies[index] = replace(studies[index], **changes)
    return replace(document, studies=studies)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return {}


@pytest.fixture
def source(document: Document, made: dict[str, str]) -> str:
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
    hrefs = [value for value in outline.values("href") if not value.startswith("data:")]
    links = [value.removeprefix("#") for value in hrefs]
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


def test_names_of_the_user_are_text_wherever_they_stand(
    document: Document, outline: Outline
) -> None:
    assert NASTY not in page(document, title=NASTY, pictures=2)
    assert outline.text.count(NASTY) > 5


def test_tables_and_pictures_can_be_read_aloud(outline: Outline) -> None:
    assert {cell["scope"] for cell in outline.all("th")} == {"col", "row"}
    regions = [a for a in outline.all("div") if a.get("class") == "wide"]
    assert len(regions) == len(outline.all("table"))
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)
    pictures = [a for a in outline.all("svg") if a.get("aria-labelledby")]
    assert len(pictures) == len(outline.all("figure")) > 5
    assert {a["role"] for a in pictures} <= {"img", "group"}
    values = [a for a in outline.all("g") if a.get("class") == "value"]
    assert len(values) > 20
    assert all(a["tabindex"] == "0" and a["role"] == "img" and a["aria-label"] for a in values)
    assert outline.all("html") == [{"lang": "en"}]


def test_all_verdicts_are_at_the_head_and_what_was_left_out_before_them(
    document: Document, source: str
) -> None:
    head = source[: source.index('<section id="maml-1"')]
    assert head.count("<figure") == 1
    row = re.compile(r'aria-label="([^"]*)"')
    told = [_plain(html.unescape(found)) for found in row.findall(head)]
    for study in document.studies:
        for comparison in study.comparisons:
            assert _plain(comparison.sentence) in told
    table = head[head.index("<span>Verdict on every arm") :]
    for kind in ("better", "worse", "no difference shown"):
        assert kind in table
    assert head.index("2 directories were left out") < head.index("<figure")
    assert head.index("it is not complete") < head.index("<figure")
    assert "NOT OFFICIAL" in source


def test_nothing_stands_on_the_page_twice(document: Document, outline: Outline) -> None:
    text = _plain(outline.text)
    for study in document.studies:
        once = [study.question, *study.notes, *study.data_notes]
        once += [study.learned.answer] if study.learned else []
        for words in once:
            assert text.count(_plain(words)) == 1, words
        for command in study.commands:
            assert text.count(_plain(command)) == 1


def test_the_contents_list_leads_to_all_studies_and_back(
    document: Document, outline: Outline
) -> None:
    (nav,) = outline.all("nav")
    assert nav["aria-label"] == "Contents"
    links = outline.values("href")
    assert {"#summary", "#top", *(f"#{study.id}" for study in document.studies)} <= set(links)
    many = [replace(document.studies[0], id=f"maml-{i}") for i in range(9)]
    found = page(replace(document, studies=many), pictures=0)
    listed = found[found.index("<nav") : found.index("</nav>")]
    assert listed.count("<li>") == 10  # without the parts of each


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
        "Every arm at every rate: test accuracy",
        "Intervals over each source of variation",
        "Without arelu inner lr 0.02, of which a seed diverged",
        "α is stuck in 1 of 27 layers",
    ):
        assert words in outline.text


def test_every_figure_has_a_number_and_the_command_that_makes_it(source: str) -> None:
    captions = re.findall(r"<figcaption>.*?</figcaption>", source, flags=re.S)
    numbers = [int(found[1]) for c in captions if (found := re.search(r"Figure (\d+)\.", c))]
    assert numbers == list(range(1, len(captions) + 1))
    assert all("-runs-and-how-to-make-them-again" in caption for caption in captions[1:])
    for place in re.findall(r'href="#([^"]+-runs-and-how-to-make-them-again)"', source):
        made = source[source.index(f'id="{place}"') :]
        assert re.search(r"metaact (maml --dataset|transfer)", made[: made.index("</pre>")])


def test_log_axis_only_where_points_crowd_at_the_start(source: str) -> None:
    pattern = r"over training, mean over seeds.*?</figcaption>"
    captions = re.findall(pattern, source, flags=re.S)
    assert ["logarithmic" in caption for caption in captions] == [False, True]


def test_pictures_of_the_smaller_study_can_be_left_out_and_it_says_so(document: Document) -> None:
    found = page(document, pictures=1)
    assert 'id="maml-1-figure-learning-curves"' in found
    assert 'id="transfer-1-figure-learning-curves"' not in found
    assert found.count("<code>--pictures") == 1
    assert "<figure" not in page(document, pictures=0)
    with pytest.raises(UsageError, match="`pictures` must be"):
        page(document, pictures=-1)


def test_an_example_is_within_the_page_and_a_lost_one_is_named(
    document: Document, tmp_path: Path
) -> None:
    (tmp_path / "episode.png").write_bytes(PNG)
    (tmp_path / "fake.png").write_bytes(b"<svg onload=alert(1)>")
    shown = {"An episode.": "episode", "No picture.": "fake", "Gone.": "gone"}
    examples = [
        Picture(caption=caption, path=str(tmp_path / f"{name}.png"))
        for caption, name in shown.items()
    ]
    outline = Outline(page(with_study(document, 0, examples=examples), pictures=0))
    (image,) = outline.all("img")
    assert str(image["src"]).startswith("data:image/png;base64,iVBORw0KGgp")
    assert image["alt"] == "An episode."
    assert f"No picture. (the picture {tmp_path / 'fake.png'} cannot be read)" in outline.text
    assert f"Gone. (the picture {tmp_path / 'gone.png'} cannot be read)" in outline.text


def test_a_study_of_nineteen_arms_is_whole_and_small(document: Document) -> None:
    study = document.studies[1]
    arms = [_renamed(study.arms[0], f"arm{i}") for i in range(19)]
    comparisons = [
        replace(study.comparisons[0], first=f"arm{i}", second="arm0") for i in range(1, 19)
    ]
    study = replace(study, arms=arms, comparisons=comparisons)
    found = page(replace(document, studies=[study]))
    assert found.count("arm18") > 4
    assert len(found.encode()) < 300_000


def test_more_arms_than_can_be_told_apart_are_chosen_and_it_says_so(document: Document) -> None:
    study = document.studies[1]
    arms = [_renamed(study.arms[0], f"arm{i}") for i in range(25)]
    found = page(with_study(document, 1, arms=arms, comparisons=[]))
    assert "Of 25 arms the 20 with the best score are drawn" in found


def test_many_arms_of_one_verdict_are_folded(document: Document) -> None:
    better, open_one, worse = document.studies[0].comparisons
    opened = [replace(open_one, first=f"arm-{i}") for i in range(9)]
    found = page(with_study(document, 0, comparisons=[*opened, worse, better]), pictures=0)
    row = found[found.index('href="#maml-1">', found.index("Verdict on every arm")) :]
    row = row[: row.index("</tr>")]
    assert "<summary>9 arms</summary>" in row
    places = [row.index(words) for words in (better.first, worse.first, "arm-0, arm-1")]
    assert places == sorted(places)


def test_many_rows_of_one_study_leave_room_for_the_others(document: Document) -> None:
    better, open_one, _ = document.studies[0].comparisons
    opened = [replace(open_one, first=f"arm-{i}") for i in range(MOST_ROWS + 3)]
    drawn = forest(with_study(document, 0, comparisons=[*opened, better]))
    assert drawn is not None
    assert "4 rows that stand out least are left out" in drawn.caption
    told = [value.text for value in drawn.values]
    assert better.sentence in told
    assert len(told) == MOST_ROWS + len(document.studies[1].comparisons)
    assert forest(replace(document, studies=[])) is None


def test_rates_without_validation_have_one_reading_and_it_says_why(document: Document) -> None:
    found = page(with_study(document, 0, tuned=None))
    assert "no arm can be given its own best rate" in found
    assert ">Each activation at its own best rate<" not in found
    assert 'id="maml-1-figure-against-inner-lr"' in found


def test_studies_of_one_title_are_told_apart_by_what_differs(document: Document) -> None:
    study = document.studies[1]
    twin = replace(study, id="transfer-2", settings=study.settings | {"epochs": 5})
    found = page(replace(document, studies=told_apart([study, twin])), pictures=0)
    assert found.count("fine-tuned by ADAM (20 epochs)</h2>") == 1
    assert found.count("fine-tuned by ADAM (5 epochs)</h2>") == 1


def test_a_study_with_nothing_to_compare_says_so(document: Document) -> None:
    study = document.studies[1]
    alone = replace(study, arms=study.arms[:1], comparisons=[])
    found = page(replace(document, studies=[alone], left_out=[]))
    assert "nothing to compare" in found
    assert "none left out" in found
    assert found.count("<h1>mnist to svhn") == 1


def test_seeds_that_all_diverged_have_no_curve_and_no_error(document: Document) -> None:
    nothing: dict[str, Any] = {
        **{"score": None, "curves": {}, "by_seed": {}, "failed": [0, 1], "seeds": []},
        "intervals": {"both": None, "seeds": None, "units": None},
    }
    arms = [replace(arm, **nothing) for arm in document.studies[1].arms]
    assert "9, 6 diverged" in page(with_study(document, 1, arms=arms, comparisons=[]))


def test_every_table_that_compare_prints_is_on_the_page(
    document: Document, source: str, outline: Outline
) -> None:
    on_page = _plain(outline.text)
    for study in document.studies:
        for table in study_tables.study_tables(study):
            cells = {row.get(name, "") for row in table.rows for name in table.columns}
            for words in (*cells, *table.columns, *table.notes):
                assert _plain(words) in on_page


def test_the_data_their_notes_and_what_networks_were_fed_with_are_there(outline: Outline) -> None:
    for words in (
        "Not official data: SVHN (grey & a <part>).",
        "Target only: trained from scratch with the fine-tuning settings.",
        "normalisation mean 0.1307",
        "normalisation std 0.3081",
        "e117fb05",
        "held out: images",
        "12,725",
    ):
        assert words in outline.text


def test_settings_are_told_with_what_they_are(outline: Outline) -> None:
    assert "setting value what it is" in outline.text
    assert re.search(r"ways 5 Classes [a-z ]+", outline.text)


def test_what_one_setting_is_about_is_named_wherever_arms_are(document: Document) -> None:
    changed = with_study(document, 0, by="model")
    found = page(replace(changed, studies=changed.studies[:1]), pictures=0)
    assert "Each model at its own best rate" in found
    studies = [replace(study, by="model") for study in document.studies]
    assert "2 studies of model" in page(replace(document, studies=studies), pictures=0)


def test_a_measure_without_guessing_says_nothing_of_it(document: Document) -> None:
    measure = replace(document.studies[0].measure, name="dice", chance=None)
    found = page(with_study(document, 0, measure=measure), pictures=0)
    assert found.count("Guessing gives") == 1  # of the other study
    assert "Test dice of every arm" in found
    assert "Every arm at every rate: test dice" in found


def test_runs_that_recorded_no_command_say_so(document: Document) -> None:
    found = page(with_study(document, 0, commands=[]), pictures=1)
    assert "Version 0.1.0 of metaact, which made these runs, recorded no commands." in found
    assert "This command makes these runs" in found  # of the other study


def test_a_margin_is_told_in_points(document: Document) -> None:
    found = page(replace(document, margin=0.01), pictures=0)
    assert "Within 1 points arms can be called equivalent." in found
    assert "No margin was given" not in found


def test_start_values_are_drawn_where_arms_differ_in_both(document: Document) -> None:
    study = document.studies[0]
    arm = next(one for one in study.arms if one.attention)
    arms = []
    for alpha, beta in itertools.product((0.25, 0.9), (1.0, 2.0)):
        layers = {
            name: replace(layer, alpha=[[alpha] * len(layer.x)], beta=[[beta] * len(layer.x)])
            for name, layer in arm.attention.items()
        }
        arms.append(replace(arm, name=f"arelu(alpha={alpha},beta={beta})", attention=layers))
    plain: dict[str, Any] = {"tuned": None, "sensitivity": None, "ranks": None, "learned": None}
    found = page(replace(document, studies=[replace(study, arms=arms, comparisons=[], **plain)]))
    assert 'id="maml-1-figure-start-values"' in found
    Outline(found)


FILLS = ("full", "none", "left", "right", "top", "bottom")


def test_samples_of_a_legend_differ_as_the_lines_do() -> None:
    looks = [(fill, line, width) for fill in FILLS for line in ("-", "--", ":") for width in (1, 2)]
    figure = Figure()
    axes = figure.subplots()
    lines = [
        axes.plot([0], [0], "o", color="#0072B2", fillstyle=fill, linestyle=line, linewidth=width)
        for fill, line, width in looks
    ]
    figure.legend([line for (line,) in lines], [str(look) for look in looks])
    drawn = legend(figure)
    samples = re.findall(r"<li>(<svg.*</svg>) \(", drawn.replace("<li>", "\n<li>"))
    assert len(samples) == len(set(samples)) == len(looks)
    assert figure.legends == []
    Outline(drawn)


def test_runs_of_every_kind_become_a_page_that_says_what_compare_says(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for activation, shift in (("arelu", 0.1), ("relu", 0.0)):
        for seed in range(2):
            scores = [0.3 + shift + 0.01 * seed + 0.02 * i for i in range(8)]
            synthetic.maml(tmp_path, activation, seed, scores)
    document = compare(gather([tmp_path]))
    outline = Outline(page(document))
    (study,) = document.studies
    assert study.comparisons[0].sentence in outline.values("aria-label")
    assert study.commands[0] in outline.text
    assert "normalisation scale pixels in 0..1" in outline.text
    for cell in re.findall(r"\d+\.\d ± \d+\.\d %", text.plain(document)):
        assert cell in outline.text


def test_what_runs_of_version_0_1_0_were_tested_on_is_found_by_its_hash(
    tmp_path: Path, synthetic: ModuleType
) -> None:
    for activation in ("arelu", "relu"):
        run = synthetic.maml(tmp_path, activation, 0, [0.5, 0.6, 0.7])
        synthetic.as_of_0_1_0(run)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / f"episodes-{'b' * 12}.png").write_bytes(PNG)
    (study,) = compare(gather([tmp_path])).studies
    assert [example.caption for example in study.examples] == ["The first frozen test episode."]
    assert study.commands == []


def test_learning_curves_are_of_what_was_recorded_more_than_once(document: Document) -> None:
    arms = []
    for arm in document.studies[0].arms:
        (curve,) = arm.curves.values()
        once = replace(curve, x=[100.0], mean=[0.5], low=None, high=None)
        arms.append(replace(arm, curves={"validation_accuracy": once, "train_accuracy": curve}))
    found = page(with_study(document, 0, arms=arms), pictures=1)
    assert "Train accuracy over training" in found
    assert "Validation accuracy over training" not in found


def test_the_same_document_gives_the_same_page(document: Document, source: str) -> None:
    assert page(copy.deepcopy(document)) == source


def test_pages_are_made_without_torch() -> None:
    code = "import sys; from metaact.reports import page; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def _renamed(arm: ArmReport, name: str) -> ArmReport:
    return replace(arm, name=name, value=name, columns={})


def _plain(words: str) -> str:
    """Text without what the page sets otherwise: signs and spaces."""
    return re.sub(r"\s+", "", words.replace("−", "-"))
