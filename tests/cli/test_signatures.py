import torch
from mmengine.hooks import CheckpointHook
from mmengine.visualization import Visualizer

from mapper_mm.cli.signatures import arguments, nearest


def test_arguments_that_are_handed_on_are_known():
    class Base:
        def __init__(self, a, b=1):
            pass

    class HandsOn(Base):
        def __init__(self, c, **kwargs):
            super().__init__(a=1, **kwargs)

    class LooksAtThem(Base):
        def __init__(self, c, **kwargs):
            self.own = kwargs.pop('own', None)
            super().__init__(**kwargs)

    assert set(arguments(HandsOn)) == {'c', 'a', 'b'}
    assert arguments(LooksAtThem) is None
    assert arguments(dict) is None or 'type' not in arguments(dict)


def test_the_nearest_bases_argument_counts():
    class Base:
        def __init__(self, a, b=1):
            pass

    class Inherits(Base):
        """Without a constructor of its own."""

    class Changes(Base):
        def __init__(self, b=2, *, c=3, **kwargs):
            super().__init__(b=b, **kwargs)

    assert list(arguments(Inherits)) == ['a', 'b']
    found = arguments(Changes)
    assert {name: p.default for name, p in found.items() if name != 'a'} == dict(b=2, c=3)


def test_functions_and_classes_of_others():
    def function(a, /, b, *rest, c=1):
        pass

    assert set(arguments(function)) == {'b', 'c'}
    assert arguments(lambda **kwargs: None) is None
    assert {'batch_size', 'num_workers'} <= set(arguments(torch.utils.data.DataLoader))
    # MMEngine's registries of named instances take a name besides.
    assert {'name', 'vis_backends'} <= set(arguments(Visualizer))
    assert 'interval' in arguments(CheckpointHook)


def test_the_right_name_is_offered():
    assert nearest('Prob', ['prob', 'size']) == '; did you mean prob?'
    assert nearest('nothing', ['prob', 'size']) == '; there are prob, size.'
    assert nearest('nothing', []) == '.'
    assert nearest('nothing', [f'{n:x}' for n in range(13)]) == '.'
