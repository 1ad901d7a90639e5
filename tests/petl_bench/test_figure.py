import cv2
import pytest
from figure import PAPER, draw_ablation
from matplotlib.figure import Figure
from table import Run, summarise


@pytest.fixture
def axes(monkeypatch):
    """The axes of the figure that is written."""
    found = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure,
        'savefig',
        lambda self, *args, **kwargs: found.extend(self.axes) or save(self, *args, **kwargs),
    )
    return found


def points(axes):
    """Where each method's marker is, by its label."""
    return {bar.get_label(): tuple(bar.lines[0].get_xydata()[0]) for bar in axes.containers}


def test_every_method_has_its_point(axes, tmp_path):
    runs = [
        Run('frozen', 0, 'a', 0, 1, 0.5, 0.5, 0.5),
        Run('mapper', 0, 'b', 20_000, 1, 0.7, 0.5, 0.5),
        Run('mapper', 1, 'b', 20_000, 1, 0.8, 0.5, 0.5),
    ]
    path = tmp_path / 'new' / 'figure.png'
    draw_ablation(summarise(runs), path, 'data/shapes, val')
    ours, papers = axes
    assert ours.get_title() == 'data/shapes, val'
    assert points(ours) == {'frozen': (0, 50), 'mapper': (20, pytest.approx(75))}
    (low, high) = ours.containers[1].lines[2][0].get_segments()[0][:, 1]
    assert (low + high) / 2 == pytest.approx(75) and high - low == pytest.approx(2 * 50**0.5)
    assert points(papers) == PAPER
    (legend,) = ours.figure.legends
    names = [text.get_text() for text in legend.texts]
    assert names == ['frozen', 'mapper', *(name for name in PAPER if name != 'mapper')]
    assert cv2.imread(str(path)).std() > 5
