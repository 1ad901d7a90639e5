import cv2
import numpy as np
import pytest

from mapper_mm.visualization.drawing import TRUTH


def test_pictures_show_canvas_box_and_phrase(run_tool, small_config, tmp_path):
    run_tool(
        'tools/analysis_tools/browse_dataset.py',
        small_config,
        '--output-dir',
        tmp_path,
        '--num',
        4,
    )
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f'{i:06d}.png' for i in (0, 7, 15, 23)]
    picture = cv2.imread(str(files[0]))
    assert picture.shape[1] == 480 and picture.shape[0] > 480
    assert (picture == TRUTH[::-1]).all(-1).sum() > 50
    assert np.ptp(picture[480:]) > 100, 'there is no caption'


def test_no_pictures_are_an_error(run_tool, small_config, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_tool(
            'tools/analysis_tools/browse_dataset.py',
            small_config,
            '--output-dir',
            tmp_path,
            '--num',
            0,
        )
    assert '--num must be at least 1' in capsys.readouterr().err
