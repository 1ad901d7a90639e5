import shutil

import pytest
import torch
from mmengine.runner import Runner
from safetensors.torch import save_file
from toy import Toy, make_runner, train

from mapper_mm.errors import DamagedCheckpointError
from mapper_mm.registry import RUNNERS


def test_safetensors_can_be_trained_on_from(tmp_path):
    model = Toy()
    save_file(model.state_dict(), tmp_path / 'it.safetensors')
    runner = make_runner(tmp_path)
    runner.load_checkpoint(str(tmp_path / 'it.safetensors'), strict=True)
    torch.testing.assert_close(runner.model.state_dict(), model.state_dict())


def test_a_damaged_file_is_named_and_mmengines_loader_is_back_afterwards(tmp_path):
    train(tmp_path)
    whole = (tmp_path / 'epoch_2.pth').read_bytes()
    (tmp_path / 'epoch_2.pth').write_bytes(whole[:-100])
    with pytest.raises(DamagedCheckpointError, match='epoch_2.pth cannot be read'):
        make_runner(tmp_path).load_checkpoint(str(tmp_path / 'epoch_2.pth'))
    with pytest.raises((OSError, RuntimeError)) as raised:
        Runner.load_checkpoint(make_runner(tmp_path), str(tmp_path / 'epoch_2.pth'))
    assert not isinstance(raised.value, DamagedCheckpointError)


def test_a_copied_folder_goes_on_from_its_own_file(tmp_path):
    train(tmp_path / 'first')
    shutil.copytree(tmp_path / 'first', tmp_path / 'second')
    shutil.rmtree(tmp_path / 'first')
    runner = train(tmp_path / 'second', resume=True, train_cfg__max_epochs=3)
    assert len(runner.rates.rates) == 3


def test_a_config_can_name_it():
    assert RUNNERS.get('GroundingRunner').__mro__[1] is Runner
