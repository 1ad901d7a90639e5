import math
import statistics

import pytest
from table import Run, append_run, markdown, read_runs, summarise

from mapper_mm.errors import WrongRunsError

RUNS = [
    Run('mapper', 0, 'abc', 1234567, 300, 0.8, 0.9, 0.7),
    Run('frozen', 0, 'def', 0, 200, 0.6, 0.65, 0.55),
    Run('mapper', 1, 'abc', 1234567, 310, 0.84, 0.92, 0.75),
    Run('mapper', 2, 'abc', 1234567, 290, 0.85, 0.91, 0.71),
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'new' / 'runs.csv'
    for run in RUNS:
        append_run(path, run)
    return path


def test_what_is_written_is_read(file):
    assert read_runs(file) == RUNS
    assert read_runs(file.with_name('none.csv')) == []


def test_mean_and_deviation_between_seeds():
    mapper, frozen = summarise(RUNS)
    assert (mapper.method, mapper.seeds, mapper.tuned) == ('mapper', 3, 1234567)
    assert mapper.mean['val'] == pytest.approx((80 + 84 + 85) / 3)
    assert mapper.std['testB'] == pytest.approx(statistics.stdev([70, 75, 71]))
    assert (frozen.method, frozen.seeds) == ('frozen', 1)
    assert math.isnan(frozen.std['val'])


def test_markdown_has_a_row_for_each_method():
    header, rule, mapper, frozen = markdown(summarise(RUNS)).splitlines()
    assert header.count('|') == rule.count('|') == mapper.count('|') == frozen.count('|')
    assert mapper.startswith('| `mapper` | 1,234,567 | 3 | 83.0 ± 2.6 | ')
    assert mapper.endswith(' | 5.0 |')
    assert frozen == '| `frozen` | 0 | 1 | 60.0 | 65.0 | 55.0 | 3.3 |'


@pytest.mark.parametrize('line', ['mapper,0,abc,12', 'mapper,zero,abc,12,3,0.1,0.1,0.1'])
def test_a_broken_line_is_named(file, line):
    with open(file, 'a') as lines:
        lines.write(line + '\n')
    with pytest.raises(WrongRunsError, match=r'runs\.csv, line 6: '):
        read_runs(file)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / 'other.csv'
    path.write_text('a,b\n1,2\n')
    with pytest.raises(WrongRunsError, match='first line must read method,seed'):
        read_runs(path)
