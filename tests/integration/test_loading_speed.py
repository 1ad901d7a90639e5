import re

import pytest


@pytest.mark.slow
def test_each_way_of_loading_has_a_rate(run_tool, small_config, capsys):
    run_tool('tools/analysis_tools/loading_speed.py', small_config, '--images', 2, '--rounds', 2)
    rows = re.findall(
        r'^(train|val) +(plain|any order|order of images) +\d+ samples/s +([\d.]+)x$',
        capsys.readouterr().out,
        re.MULTILINE,
    )
    assert [row[:2] for row in rows] == [
        (part, way)
        for part in ('train', 'val')
        for way in ('plain', 'any order', 'order of images')
    ]
    # The plain way is what the others are compared with.
    assert [ratio for _, way, ratio in rows if way == 'plain'] == ['1.00', '1.00']
