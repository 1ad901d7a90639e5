import json


def test_shares_and_reasons(run_tool, tmp_path, capsys):
    file = tmp_path / 'phrases.txt'
    file.write_text('man on the left\nman on lhs\nright behind it\n\na red cup\n', encoding='utf-8')
    report = tmp_path / 'report.json'
    run_tool('tools/analysis_tools/mirrored_phrases.py', file, '--list', '--json', report)
    printed = capsys.readouterr().out
    assert 'with left or right: 1 of 2 (50.0 %) mirrored' in printed
    assert 'without: 1 of 2 (50.0 %) mirrored' in printed
    assert 'man on the left\tman on the right' in printed
    assert 'man on lhs\tkept for: lhs' in printed
    left, short, behind, red = json.loads(report.read_text(encoding='utf-8'))
    sided = dict(phrase='man on the left', mirrored='man on the right', kept_for=None)
    assert left == dict(sided, cropped=False)
    assert (short['mirrored'], short['kept_for']) == (None, 'lhs')
    assert behind['mirrored'] is None and behind['kept_for']
    assert red == dict(phrase='a red cup', mirrored='a red cup', kept_for=None, cropped=True)


def test_no_phrases(run_tool, tmp_path, capsys):
    file = tmp_path / 'phrases.txt'
    file.write_text('\n')
    run_tool('tools/analysis_tools/mirrored_phrases.py', file)
    assert '0 of 0 (0.0 %)' in capsys.readouterr().out
