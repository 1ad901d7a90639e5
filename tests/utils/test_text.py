from mapper_mm.utils.text import first_lines


def test_of_many_lines_some_are_shown_and_the_rest_counted():
    lines = ['a', 'b', 'c']
    assert first_lines(lines, 3) == 'a\n  b\n  c'
    assert first_lines(lines, 2) == 'a\n  b\n  ... 1 more'
