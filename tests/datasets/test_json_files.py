import gzip
import json

import pytest

from mapper_mm.datasets.json_files import load_json
from mapper_mm.errors import BadRecordError, MissingDataError

CONTENT = {'images': [{'id': 1, 'name': 'é 🙂'}], 'x': [1.5, None, True]}


@pytest.mark.parametrize(
    'encoding',
    ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'utf-32-le', 'utf-32-be'],
)
def test_encodings(tmp_path, encoding):
    path = tmp_path / 'a.json'
    for ascii_only in (True, False):
        path.write_bytes(json.dumps(CONTENT, ensure_ascii=ascii_only).encode(encoding))
        assert load_json(str(path)) == CONTENT


@pytest.mark.parametrize(
    'data, message',
    [
        (b'', 'is empty'),
        (b' \r\n', 'is empty'),
        (b'\xef\xbb\xbf', 'is empty'),
        (gzip.compress(b'{}', mtime=0), 'gzip: unpack it'),
        (b'PK\x03\x04...', 'zip archive'),
        (b'<html>', 'web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid', 'git lfs pull'),
        ('{"é": 1}'.encode('latin-1'), r'byte 0xe9 in position 2.* save it as UTF-8'),
        (b'\xff\xfe{', 'seems to be UTF-16, but is not'),
        (b'{"a": [1, 2', r'is truncated or not a JSON file: Expecting .* line 1 column'),
        (b'[' * 100_000, 'is nested too deeply'),
        (b'[4' + b'0' * 5000 + b']', 'a number of thousands of digits'),
        (b'[{"id": 5, "bbox": [1], "bbox": [2]}]', r"an object has two of 'bbox': \[1\] and \[2\]"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_other_files_are_named(tmp_path, data, message):
    path = tmp_path / 'a.json'
    path.write_bytes(data)
    with pytest.raises(BadRecordError, match=rf'a\.json.*{message}') as caught:
        load_json(str(path))
    assert len(str(caught.value)) < 600


def test_the_same_twice_is_no_contradiction(tmp_path):
    (tmp_path / 'a.json').write_text('{"a": [1], "b": 2, "a": [1]}')
    assert load_json(str(tmp_path / 'a.json')) == {'a': [1], 'b': 2}


def test_no_file(tmp_path):
    for path in (tmp_path, tmp_path / 'no.json'):
        with pytest.raises(MissingDataError, match=f'{path} cannot be read'):
            load_json(str(path))
