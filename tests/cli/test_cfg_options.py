import argparse

import pytest
from mmengine.config import Config, DictAction

from mapper_mm.cli.arguments import add_config_arguments
from mapper_mm.cli.cfg_options import apply_options, parse_value
from mapper_mm.errors import OptionError


@pytest.mark.parametrize(
    'text',
    [
        *('8', '-1', '1e-3', 'inf', 'true', 'False', 'None', 'bert-base', 'a/b.pth', ''),
        *('1,2,3', '[1,2]', '(1,2)', '[a,b]', '[(1,2,3),[a,b],c]', '[]', '()', '[true,None,0.5]'),
        *('[(1,2),(3,4)]', '1,', '[1,]', '007'),
    ],
)
def test_values_that_mmengine_reads_are_read_so(text):
    expected = DictAction._parse_iterable(text)
    assert repr(parse_value(text)) == repr(expected)


@pytest.mark.parametrize(
    'text',
    [
        *('data/own data', 'my runs, old/e.pth', '/tmp/my data,v2', ' leading and trailing '),
        *('C:\\data\\new', 'https://a.b/c?d=e,f&g=h', "it's, fine", '{split}.jsonl', '{split}'),
        *(
            '(old) runs/x.pth',
            'a(1).pth',
            'a]b',
            '...',
            'lambda: 1',
            '1+1',
            '"',
            'val,test',
            'dict(a)',
        ),
    ],
)
def test_other_text_stays_as_it_stands(text):
    assert parse_value(text) == text


@pytest.mark.parametrize(
    'text, value',
    [
        ('"1"', '1'),
        ("'None'", 'None'),
        ('"[1,2]"', '[1,2]'),
        ('"1,2"', '1,2'),
        ("''", ''),
        ('null', None),
        ('[ a , b c ]', ['a', 'b c']),
        ('["a, b", c]', ['a, b', 'c']),
        ("[it's, (1, 2)]", ["it's", (1, 2)]),
        ('{rank: 8}', {'rank': 8}),
        ('{"a": {b: [1, "2"]}, c: C:\\d}', {'a': {'b': [1, '2']}, 'c': 'C:\\d'}),
        (
            'dict(type=LoRA, targets=(query, value))',
            {'type': 'LoRA', 'targets': ('query', 'value')},
        ),
        ('dict()', {}),
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),
        ('"a","b"', ['a', 'b']),
        ('True, 1', [True, 1]),
    ],
)
def test_values_that_mmengine_reads_otherwise(text, value):
    assert parse_value(text) == value and type(parse_value(text)) is type(value)


@pytest.mark.parametrize('text', ['[1,2', '(a', '[(1])', '{a: 1', '["a]'])
def test_brackets_that_do_not_match_are_an_error(text):
    with pytest.raises(OptionError, match='do not match'):
        parse_value(text)


def test_brackets_without_end_are_an_error():
    with pytest.raises(OptionError, match='too many brackets'):
        parse_value('[' * 2500 + ']' * 2500)


def options(*given):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    return parser.parse_args(['config.py', '--cfg-options', *given]).cfg_options


def test_keys_end_at_the_first_equals_sign_and_the_last_value_counts(capsys):
    assert options('a.b=c=d', 'x=1', 'a.b=e') == {'x': 1, 'a.b': 'e'}
    for wrong in ('=1', 'a..b=1', 'a.=1', 'a', 'a=[1'):
        with pytest.raises(SystemExit):
            options(wrong)
        assert '--cfg-options' in capsys.readouterr().err


def changed(**given):
    config = Config(
        dict(
            splits=('val', 'test'),
            root='data',
            pin=False,
            prior=None,
            neck=dict(layers=[dict(x=1), dict(x=2)], sizes=(1, 2)),
        )
    )
    apply_options(config, {key.replace('__', '.'): value for key, value in given.items()})
    return config


def test_a_list_stays_a_list():
    assert changed(splits='val,testA').splits == ['val', 'testA']
    assert changed(root='val,testA').root == 'val,testA'
    assert changed(splits='val').splits == 'val'


def test_options_count_in_their_order_and_reach_into_lists():
    config = changed(neck__layers__0__x=3, neck__new__y=1, prior={'type': 'PGT'}, prior__rank=2)
    assert [layer.x for layer in config.neck.layers] == [3, 2]
    assert config.neck.new == dict(y=1) and config.prior == dict(type='PGT', rank=2)


@pytest.mark.parametrize(
    'key, value, said',
    [
        ('neck.layers.2.x', 1, 'neck.layers is a list: name one of its 2 parts'),
        ('neck.layers.x', 1, 'neck.layers is a list'),
        ('neck.sizes.0', 1, r'neck.sizes is \(1, 2\).*as a whole'),
        ('root.x', 1, "root is 'data', which has no x"),
        ('prior.rank', 1, 'prior is None, which has no rank; set prior as a whole'),
        ('pin', 'no', 'pin is False: say True or False'),
    ],
)
def test_what_cannot_be_set_is_named(key, value, said):
    with pytest.raises(OptionError, match=f'^--cfg-options: .*{said}'):
        changed(**{key: value})
