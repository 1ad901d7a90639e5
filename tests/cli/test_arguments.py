import argparse
import os
from pathlib import Path
from pickle import UnpicklingError

import forked
import pytest
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset

from mapper_mm.cli.arguments import (
    add_config_arguments,
    check_config_file,
    default_work_dir,
    exit_on_user_error,
    process_group_left,
    read_config,
)
from mapper_mm.errors import (
    BadImageError,
    BadRecordError,
    MissingDataError,
    MissingPackageError,
    MissingWeightsError,
    OptionError,
    PhraseError,
    WrongWeightsError,
)


@pytest.mark.parametrize(
    'config, folder',
    [
        ('configs/mapper_refcoco.py', 'mapper_refcoco'),
        ('configs/published/mapper_refcoco.py', 'published/mapper_refcoco'),
        ('/a/configs/b/configs/petl/refcoco/lora.py', 'petl/refcoco/lora'),
        ('/a/my.config.py', 'my.config'),
        ('configs/configs.py', 'configs'),
        ('mine.py', 'mine'),
    ],
)
def test_configs_of_one_name_have_work_dirs_of_their_own(config, folder):
    assert default_work_dir(config) == Path('work_dirs', folder)


@pytest.mark.parametrize('how', ['file', 'option'])
def test_a_config_of_an_earlier_version_is_read(how, tmp_path):
    base = Path(__file__).parents[2] / 'configs' / 'mapper_shapes.py'
    change = 'model = dict(bbox_head=dict(clip_border=False))' if how == 'file' else ''
    (tmp_path / 'mine.py').write_text(f'_base_ = {str(base)!r}\n{change}\n')
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    option = [] if how == 'file' else ['--cfg-options', 'model.bbox_head.clip_border=False']
    config = read_config(parser.parse_args([str(tmp_path / 'mine.py'), *option]))
    assert config.model.bbox_head.type == 'PublishedBoxHead'
    assert 'clip_border' not in config.model.bbox_head


@pytest.mark.parametrize(
    'kind',
    [
        *(MissingDataError, MissingWeightsError, WrongWeightsError, BadRecordError, BadImageError),
        *(PhraseError, UnpicklingError, MissingPackageError, OptionError),
    ],
)
def test_errors_of_the_user_end_with_their_message(kind):
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise kind('first line\nsecond line')
    assert stop.value.code == 'first line\nsecond line'


@pytest.mark.parametrize('rank', ['RANK', 'SLURM_PROCID'])
def test_only_the_first_process_says_it(rank, monkeypatch):
    monkeypatch.setenv(rank, '1')
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise MissingDataError('message')
    assert stop.value.code == 1


@pytest.mark.parametrize(
    'name, said',
    [
        ('mapper_shape.py', r'There is no config file .*; did you mean .*/mapper_shapes\.py\?'),
        ('mapper_shapes', r'is no config file .*; did you mean .*/mapper_shapes\.py\?'),
        ('notes.md', r'notes\.md is no config file \(\.py, .*\)\.$'),
        ('nowhere/mapper_shapes.py', r'There is no config file .*/mapper_shapes\.py\.$'),
    ],
)
def test_what_is_no_config_is_named(name, said, tmp_path):
    for file in ('mapper_shapes.py', 'notes.md'):
        (tmp_path / file).touch()
    with pytest.raises(OptionError, match=said):
        check_config_file(str(tmp_path / name))
    check_config_file(str(tmp_path / 'mapper_shapes.py'))


def test_our_own_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), exit_on_user_error():
        1 / 0  # noqa: B018


def test_the_process_group_is_left_even_after_an_error(tmp_path):
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    with pytest.raises(RuntimeError, match='why'), process_group_left():
        raise RuntimeError('why')
    assert not dist.is_initialized()
    with process_group_left():
        pass


class BadImages(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        try:
            raise OSError('of the disk')
        except OSError as error:
            raise self.kind('a.jpg is broken:\nno data') from error


@pytest.mark.parametrize('kind', [BadImageError, FileNotFoundError])
def test_an_error_of_a_worker_ends_without_its_traceback(kind):
    dataset = BadImages()
    dataset.kind = kind
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        list(DataLoader(dataset, num_workers=1))
    assert stop.value.code == 'a.jpg is broken:\nno data'


def test_who_reads_may_stop(tmp_path):
    """As with `| head`: no traceback, though more would have been printed."""

    def print_lines():
        os.close(reading)
        with exit_on_user_error():
            for _ in range(100_000):
                print('line')

    reading, writing = os.pipe()
    process = forked.start(print_lines, out=writing, err=tmp_path / 'err')
    os.close(writing)
    with open(reading) as pipe:
        pipe.readline()
    process.join(forked.TIMEOUT)
    assert process.exitcode == 1
    assert not (tmp_path / 'err').read_text()


def test_ctrl_c_ends_without_a_traceback():
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise KeyboardInterrupt
    assert stop.value.code == 'Interrupted.'
    with pytest.raises(SystemExit) as stop, exit_on_user_error():
        raise KeyboardInterrupt('Interrupted. Go on so.')
    assert stop.value.code == 'Interrupted. Go on so.'


def test_a_full_disk_is_said_in_a_sentence():
    with pytest.raises(SystemExit) as stop, exit_on_user_error(), open('/dev/full', 'w') as file:
        file.write('text')
        file.flush()
    assert stop.value.code == 'A file could not be written: No space left on device.'


def test_an_option_without_a_value_is_a_usage_error(capsys):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['config.py', '--cfg-options', 'a.b=1', 'c'])
    assert "--cfg-options: 'c' is not KEY=VALUE" in capsys.readouterr().err
    assert parser.parse_args(['config.py', '--cfg-options', 'a.b=1']).cfg_options == {'a.b': 1}
