import argparse
import json

import pytest

from mapper_mm.cli.json_report import add_json_argument, write_json
from mapper_mm.errors import WriteError


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    add_json_argument(parser, 'numbers of things')
    return lambda *args: parser.parse_args(list(map(str, args))).json


def test_what_is_written_is_read(parse, tmp_path):
    report = dict(name='späte Rose', share=0.1 + 0.2, none=None, rows=[1, 2])
    path = parse('--json', tmp_path / 'new' / 'report.json')
    assert not path.parent.exists()
    write_json(path, report)
    assert json.loads(path.read_text(encoding='utf-8')) == report
    assert 'späte' in path.read_text(encoding='utf-8')


def test_nothing_is_written_unless_asked_for(parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json(parse(), [1])
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_not_utf8_can_be_read_again(parse, tmp_path):
    path = parse('--json', tmp_path / 'report.json')
    write_json(path, ['\udcff.png'])
    assert json.loads(path.read_text(encoding='utf-8')) == ['\udcff.png']


@pytest.mark.parametrize('place', ['', 'file/report.json'])
def test_a_place_where_no_file_can_be_is_a_usage_error(place, parse, tmp_path, capsys):
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit) as error:
        parse('--json', tmp_path / place)
    assert error.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert 'argument --json: ' in last and str(tmp_path) in last


def test_a_full_disk_is_said(parse):
    with pytest.raises(WriteError, match='/dev/full could not be written: No space left'):
        write_json(parse('--json', '/dev/full'), [1])
