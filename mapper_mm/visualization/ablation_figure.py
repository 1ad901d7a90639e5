"""Tuned parameters against accuracy: an ablation's own points beside the paper's."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mapper_mm.evaluation.ablation_table import Summary

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


def draw_ablation(summaries: Sequence[Summary], path: Path) -> None:
    """Draw the figure.

    Args:
        summaries: One a method. Error bars are the standard deviation between seeds on val.
        path: The picture to write, for example a .png.
    """
    figure = Figure(figsize=(12, 5), layout='constrained')
    ours, papers = figure.subplots(1, 2)
    for summary in summaries:
        _draw_point(
            ours,
            summary.method,
            summary.tuned / 1e3,
            summary.mean['val'],
            summary.std['val'] if summary.seeds > 1 else None,
        )
    for method, (tuned, accuracy) in PAPER.items():
        _draw_point(papers, method, tuned, accuracy)
    # From nothing at all to whole encoders: logarithmic, but with a place for 0.
    ours.set_xscale('symlog', linthresh=10)
    ours.set_xlim(left=-1)
    papers.set_xscale('log')
    ours.set(
        title='ShapesRef val, tiny encoders',
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
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _draw_point(
    axes: Axes, method: str, tuned: float, accuracy: float, std: float | None = None
) -> None:
    colour = 'tab:red' if method == 'mapper' else 'tab:blue'
    axes.errorbar([tuned], [accuracy], yerr=std, fmt='o', color=colour, capsize=3)
    axes.annotate(
        method, (tuned, accuracy), xytext=(6, 4), textcoords='offset points', fontsize=8
    )
