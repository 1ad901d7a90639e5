import pytest

from mapper_mm.datasets.coco_tables import differing, lists_of
from mapper_mm.errors import BadRecordError

NEEDED = dict(images='id', annotations='')
GOOD = dict(images=[dict(id=1), dict(id='b')], annotations=[{}])


def test_lists_come_in_the_order_of_the_names():
    assert lists_of('a.json', GOOD, NEEDED) == [GOOD['images'], GOOD['annotations']]
    assert lists_of('a.json', GOOD, dict(annotations='', images='id'))[0] == [{}]


@pytest.mark.parametrize(
    'content, said',
    [
        ([], 'but is a list'),
        (dict(GOOD, images=3), "'images' is 3"),
        (dict(annotation=[], images=[]), "'annotations' is missing.*annotation"),
        (dict(GOOD, images=[dict(id=1), 5]), 'images #1 is 5'),
        (dict(GOOD, images=[{}]), "of images #0, 'id' is missing"),
        (dict(GOOD, images=[dict(id=[1])]), r"of images #0, 'id' is \[1\]"),
    ],
)
def test_what_is_wrong_is_named(content, said):
    with pytest.raises(BadRecordError, match=f'a.json: must be a dict of .*{said}'):
        lists_of('a.json', content, NEEDED)


def test_entries_of_one_id_that_do_not_say_the_same():
    entries = [dict(id=1, w=3, x=1), dict(id=2, w=3), dict(id=1, w=4, x=2), dict(w=9), dict(w=8)]
    assert differing(entries, ['x', 'w'], 'image') == {
        1: "image #0 and #2 both have the id 1, and differ in 'x': 1 and 2"
    }
    assert not differing(entries, ['none'], 'image')
