import numpy as np

from mapper_mm.datasets.transforms import HideImage, HidePhrase


def test_phrases_become_one():
    hide = HidePhrase()
    assert hide.transform(dict(text='red dog')) == hide.transform(dict(text='left cat at last'))
    assert HidePhrase('something').transform(dict(text='red dog'))['text'] == 'something'


def test_pictures_of_one_size_become_one():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), np.uint8)
    first, second = (HideImage().transform(dict(img=img))['img'] for img in pictures)
    assert (first == second).all() and first.shape == (6, 8, 3) and first.dtype == np.uint8
