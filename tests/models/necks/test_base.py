import pytest

from mapper_mm.models.necks import Neck


def test_a_neck_must_fuse():
    class Silent(Neck):
        embed_dims = 4

    with pytest.raises(NotImplementedError):
        Silent()(None, None)
