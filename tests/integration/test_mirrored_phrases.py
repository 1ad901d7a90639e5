def test_shares_and_reasons(run_tool, tmp_path, capsys):
    file = tmp_path / 'phrases.txt'
    file.write_text('man on the left\nman on lhs\nright behind it\n\na red cup\n', encoding='utf-8')
    run_tool('tools/analysis_tools/mirrored_phrases.py', file, '--list')
    printed = capsys.readouterr().out
    assert 'with left or right: 1 of 2 (50.0 %) mirrored' in printed
    assert 'without: 1 of 2 (50.0 %) mirrored' in printed
    assert 'man on the left\tman on the right' in printed
    assert 'man on lhs\tkept for: lhs' in printed


def test_no_phrases(run_tool, tmp_path, capsys):
    file = tmp_path / 'phrases.txt'
    file.write_text('\n')
    run_tool('tools/analysis_tools/mirrored_phrases.py', file)
    assert '0 of 0 (0.0 %)' in capsys.readouterr().out
