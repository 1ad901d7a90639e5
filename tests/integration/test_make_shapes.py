"""The tool that writes ShapesRef."""

from mapper_mm.shapes_ref import is_current

SPLITS = dict(train=3, val=2, testA=2, testB=2)


def test_it_writes_what_was_asked_for(run_tool, tmp_path):
    out = tmp_path / 'shapes'
    run_tool(
        'tools/dataset_converters/make_shapes.py',
        '--out',
        out,
        '--seed',
        5,
        '--train-scenes',
        3,
        '--eval-scenes',
        2,
        '--weather',
        'fog',
        'out-of-focus',
        '--workers',
        0,
    )
    assert is_current(out, seed=5, splits=SPLITS, weather=['fog', 'out-of-focus'])
    assert not is_current(out, seed=5, splits=SPLITS)
    assert len(list((out / 'images').iterdir())) == 9
