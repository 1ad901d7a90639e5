"""Plot tuned parameters against accuracy, next to the results of the paper."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from table import Summary

from mapper_mm.utils.whole_files import whole_file

# RefCOCO val, the paper's comparison: tuned parameters of the backbones in millions, Acc@0.5.
PAPER = {
    'full_tuning': (196, 85.31),
    'adapter': (4.09, 83.23),
    'lora': (3.25, 82.43),
    'adaptformer': (4.09, 81.71),
    'CM Adapter': (4.09, 82.35),
    'MRS-Adapter': (2.98, 81.52),
    'mapper': (2.77, 86.38),
}
_MARKERS = 'os^Dv<>PX*ph'
_COLOURS = ('tab:blue', 'tab:orange', 'tab:green', 'tab:purple', 'tab:brown', 'tab:cyan', 'black')


def draw_ablation(summaries: Sequence[Summary], path: Path, title: str) -> None:
    """Draw the figure.

    Args:
        summaries: One per method. Error bars are the standard deviation between seeds on val.
        path: The picture to write, for example a .png.
        title: Title of the left part, which shows the summaries.
    """
    figure = Figure(figsize=(12, 5), layout='constrained')
    ours, papers = figure.subplots(1, 2)
    styles = _styles([*(summary.method for summary in summaries), *PAPER])
    for summary in summaries:
        ours.errorbar(
            [summary.tuned / 1e3],
            [summary.mean['val']],
            yerr=summary.std['val'] if summary.seeds > 1 else None,
            **styles[summary.method],
        )
    for method, (tuned, accuracy) in PAPER.items():
        papers.errorbar([tuned], [accuracy], **styles[method])
    # Logarithmic, but with a place for 0.
    ours.set_xscale('symlog', linthresh=10)
    ours.set_xlim(left=-1)
    papers.set_xscale('log')
    ours.set(
        title=title,
        xlabel='parameters tuned in the encoders, thousands',
        ylabel='Acc@0.5, %',
    )
    papers.set(
        title="RefCOCO val, the paper's figures",
        xlabel='parameters tuned in the backbones, millions',
        ylabel='Acc@0.5, %',
    )
    for axes in (ours, papers):
        axes.margins(0.12)
        axes.grid(alpha=0.3)
    # Points are too close to label each one.
    points = {h.get_label(): h for axes in (ours, papers) for h in axes.containers}
    figure.legend(handles=list(points.values()), loc='outside right upper')
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        figure.savefig(part, dpi=100, format=path.suffix[1:])


def _styles(methods: Sequence[str]) -> dict[str, dict]:
    """Return the style of each method: MaPPER and its ablations in red, others in other colours."""
    styles = {}
    for number, method in enumerate(dict.fromkeys(methods)):
        styles[method] = dict(
            fmt=_MARKERS[number % len(_MARKERS)],
            color='tab:red' if method.startswith('mapper') else _COLOURS[number % len(_COLOURS)],
            markerfacecolor='none' if method.startswith('mapper_') else None,
            capsize=3,
            label=method,
        )
    return styles
