import json
import re

import pytest


@pytest.mark.slow
def test_boxes_in_half_precision_are_nearly_those_in_full(
    run_tool, small_config, trained, tmp_path, capsys
):
    weights = next(trained.glob('best_*.pth'))
    report = tmp_path / 'report.json'
    tool = 'tools/analysis_tools/compare_precision.py'
    few = ('--samples', 10, '--batch-size', 4, '--device', 'cpu', '--json', report)
    run_tool(tool, small_config, weights, *few)
    found = json.loads(report.read_text())
    assert found['expressions'] == 10
    # Not equal, or half precision was not used.
    assert 0.9 < found['mean IoU with the boxes in float32'] < 1
    assert re.search('least IoU: 0', capsys.readouterr().out)
