"""Draws the plots of docs/performance.md; in an environment that has matplotlib.

    python bench/plots.py SERIES.json FOLDER [svg|png]

SERIES.json is what bench/series.py makes of a file of results.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullLocator

COLOURS = {
    "hiresort": "#0072b2",
    "Kafka Streams": "#e69f00",
    "Quix Streams": "#009e73",
    "stock Faust": "#999999",
}
"""Of the palette of Okabe and Ito: told apart without seeing all colours."""
INK = "#333333"
WIDTH = 7.2
BAR = 0.42
NINES = {"p50": 0.301, "p90": 1.0, "p99": 2.0, "p99.9": 3.0}
"""Where a quantile stands when the distance to 1 is drawn in powers of ten."""
THOUSAND, MILLION = 1000, 1_000_000

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hiresort",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
}


def bars(title: str, unit: str, groups: list[dict[str, Any]]) -> Any:
    """A bar for each peer of each group: its median, and a dot for each round."""
    count = sum(len(group["bars"]) + 1 for group in groups)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.6 + BAR * count))
    highest = max(max(bar["rounds"]) for group in groups for bar in group["bars"])
    place, places, labels = 0.0, [], []
    for group in groups:
        axes.text(0, place, group["name"], fontweight="bold", va="center")
        for bar in group["bars"]:
            place += 1
            colour = COLOURS[bar["label"]]
            axes.barh(place, bar["median"], height=0.72, color=colour, alpha=0.85)
            axes.plot(bar["rounds"], [place] * len(bar["rounds"]), "|", color=INK, markersize=9)
            end = max(bar["rounds"]) + highest * 0.015
            axes.text(end, place, shown(bar["median"]), va="center")
            places.append(place)
            labels.append(bar["label"])
        place += 1.2
    axes.set_yticks(places, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(place - 0.6, -0.6)
    axes.set_xlim(0, highest * 1.12)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel(unit)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    return figure


def quantiles(title: str, panels: list[dict[str, Any]]) -> Any:
    """Latency over the quantile, a panel for each rate, a thin line for each round."""
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(WIDTH, 3.4), sharey=True, squeeze=False
    )
    for axes, panel in zip(all_axes[0], panels, strict=True):
        for line in panel["lines"]:
            for number, points in enumerate(line["rounds"]):
                axes.plot(
                    *zip(*points, strict=True),
                    color=COLOURS[line["label"]],
                    linewidth=1.4,
                    label=None if number else line["label"],
                )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xticks(list(NINES.values()), list(NINES))
        axes.set_xlim(0, 3)
        axes.grid(color="#e5e5e5")
        axes.set_title(panel["name"], loc="left", fontsize=10)
    all_axes[0][0].set_ylabel("ms")
    lines, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(lines, labels, frameon=False, loc="upper right", ncols=len(labels))
    figure.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=12)
    return figure


def growth(title: str, lines: list[dict[str, Any]]) -> Any:
    """Memory over rows."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    for line in lines:
        rows, mib = zip(*line["points"], strict=True)
        millions = [count / MILLION for count in rows]
        axes.plot(millions, mib, color=COLOURS[line["label"]], linewidth=1.8, label=line["label"])
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("million rows")
    axes.set_ylabel("resident MiB")
    axes.grid(color="#e5e5e5")
    axes.legend(frameon=False, loc="best")
    axes.set_title(title, loc="left", fontweight="bold")
    return figure


def shown(value: float) -> str:
    """A number with as many digits as mean something."""
    return f"{value:,.0f}" if value >= THOUSAND else f"{value:.3g}"


KINDS: dict[str, Callable[..., Any]] = {"bars": bars, "quantiles": quantiles, "growth": growth}


def main() -> None:
    """Draw every plot of a file."""
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    ending = sys.argv[3] if len(sys.argv) > 3 else "svg"  # noqa: PLR2004  # the third argument
    mpl.use("svg" if ending == "svg" else "agg")
    mpl.rcParams.update(STYLE)
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in json.loads(source.read_text()).items():
        figure = KINDS[plot.pop("kind")](**plot)
        dated = {"Date": None} if ending == "svg" else {}
        figure.savefig(folder / f"{name}.{ending}", metadata=dated, dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    main()
