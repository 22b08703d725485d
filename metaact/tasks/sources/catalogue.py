"""The data sets metaact knows by name: one literal table, read by commands and by messages.

Nothing here needs torch: `metaact --help` and `metaact data list` must not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metaact.display import brief
from metaact.errors import check_choice

HoldOut = Literal["classes", "images", "groups"]
Kind = Literal["built-in", "download"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One data set as a reader chooses it.

    Attributes:
        name: What a user types.
        title: What it is.
        kind: "built-in" is drawn here, nothing to download; "download" comes through torchvision.
        classes: Number of classes, all parts together.
        images: Number of images, all parts together.
        size: Height and width in pixels.
        channels: Colour channels: 1 (greyscale) or 3.
        hold_out: What its test part holds out unless asked otherwise.
        parts: The published parts: what trains, then what tests; () for one pool without parts.
        licence: What the data may be used for.
        citation: Whom to cite.
        page: Where the files come from.
        mean: Mean of each channel over the training part, pixels in [0, 1], as usually published;
            () where no value is in common use.
        std: Standard deviation of each channel, likewise.
    """

    name: str
    title: str
    kind: Kind
    classes: int
    images: int
    size: int
    channels: int
    hold_out: HoldOut
    parts: tuple[str, ...]
    licence: str
    citation: str
    page: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __repr__(self) -> str:
        return brief(self, self.name)


DATASETS: tuple[Dataset, ...] = (
    Dataset(
        name="glyphs",
        title="letters of fifteen scripts, drawn from matplotlib's fonts with distortion",
        kind="built-in",
        classes=1019,
        images=20_380,
        size=28,
        channels=1,
        hold_out="classes",
        parts=(),
        licence="free (DejaVu fonts)",
        citation="metaact",
    ),
    Dataset(
        name="printed-digits",
        title="clean printed digits: the source of the built-in transfer pair",
        kind="built-in",
        classes=10,
        images=12_000,
        size=28,
        channels=1,
        hold_out="images",
        parts=("train", "test"),
        licence="free (DejaVu fonts)",
        citation="metaact",
    ),
    Dataset(
        name="street-digits",
        title="coloured, cluttered street-sign digits: the target of the built-in transfer pair",
        kind="built-in",
        classes=10,
        images=12_000,
        size=32,
        channels=3,
        hold_out="images",
        parts=("train", "test"),
        licence="free (DejaVu fonts)",
        citation="metaact, after Ganin and Lempitsky 2015",
    ),
    Dataset(
        name="mnist",
        title="handwritten digits",
        kind="download",
        classes=10,
        images=70_000,
        size=28,
        channels=1,
        hold_out="images",
        parts=("train", "test"),
        licence="CC BY-SA 3.0",
        citation="LeCun, Bottou, Bengio and Haffner 1998",
        page="https://ossci-datasets.s3.amazonaws.com/mnist/",
        mean=(0.1307,),
        std=(0.3081,),
    ),
    Dataset(
        name="omniglot",
        title="handwritten characters; Lake's background and evaluation alphabets",
        kind="download",
        classes=1623,
        images=32_460,
        size=28,
        channels=1,
        hold_out="classes",
        parts=("background", "evaluation"),
        licence="MIT",
        citation="Lake, Salakhutdinov and Tenenbaum 2015",
        page="https://github.com/brendenlake/omniglot/tree/master/python",
    ),
    Dataset(
        name="omniglot-rotated",
        title="the same characters split 1200/423, each rotation by 90 degrees a class of its own",
        kind="download",
        classes=6492,
        images=129_840,
        size=28,
        channels=1,
        hold_out="classes",
        parts=("background", "evaluation"),
        licence="MIT",
        citation="Lake et al. 2015; the split of Vinyals et al. 2016 and Finn et al. 2017",
        page="https://github.com/brendenlake/omniglot/tree/master/python",
    ),
    Dataset(
        name="svhn",
        title="house numbers from street pictures",
        kind="download",
        classes=10,
        images=99_289,
        size=32,
        channels=3,
        hold_out="images",
        parts=("train", "test"),
        licence="non-commercial use",
        citation="Netzer et al. 2011",
        page="http://ufldl.stanford.edu/housenumbers/",
    ),
    Dataset(
        name="usps",
        title="handwritten digits from envelopes",
        kind="download",
        classes=10,
        images=9_298,
        size=16,
        channels=1,
        hold_out="images",
        parts=("train", "test"),
        licence="not stated",
        citation="Hull 1994",
        page="https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps",
    ),
    Dataset(
        name="kmnist",
        title="cursive Japanese characters",
        kind="download",
        classes=10,
        images=70_000,
        size=28,
        channels=1,
        hold_out="images",
        parts=("train", "test"),
        licence="CC BY-SA 4.0",
        citation="Clanuwat et al. 2018",
        page="http://codh.rois.ac.jp/kmnist/",
    ),
    Dataset(
        name="fashion-mnist",
        title="articles of clothing",
        kind="download",
        classes=10,
        images=70_000,
        size=28,
        channels=1,
        hold_out="images",
        parts=("train", "test"),
        licence="MIT",
        citation="Xiao, Rasul and Vollgraf 2017",
        page="https://github.com/zalandoresearch/fashion-mnist",
    ),
    Dataset(
        name="cifar10",
        title="small colour photographs of animals and vehicles",
        kind="download",
        classes=10,
        images=60_000,
        size=32,
        channels=3,
        hold_out="images",
        parts=("train", "test"),
        licence="not stated",
        citation="Krizhevsky 2009",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    Dataset(
        name="cifar100",
        title="small colour photographs of a hundred kinds of things",
        kind="download",
        classes=100,
        images=60_000,
        size=32,
        channels=3,
        hold_out="images",
        parts=("train", "test"),
        licence="not stated",
        citation="Krizhevsky 2009",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
)
"""The data sets known by name, built-in ones first."""


def names() -> tuple[str, ...]:
    """Every name of the table, in its order."""
    return tuple(dataset.name for dataset in DATASETS)


def find(name: str) -> Dataset:
    """The entry called `name`.

    Raises:
        UsageError: If there is none; the message names the nearest.

    Examples:
        >>> find("omniglot").hold_out
        'classes'
    """
    known = {dataset.name: dataset for dataset in DATASETS}
    return known[check_choice("dataset", name, known)]


find_dataset = find
"""`find`, under the name that says what is found outside this file."""
