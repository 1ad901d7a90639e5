"""The scripts for Slurm, with an ``srun`` that shows what it was asked for and runs it alone."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do
    echo "srun option: $1"
    if [ "$1" = -p ]; then echo "partition: $2"; shift; fi
    shift
done
echo "PYTHONPATH: $PYTHONPATH"
printf 'argument: %s\\n' "$@"
"""


@pytest.fixture
def srun(tmp_path):
    """Runs a script; gives the lines that srun printed."""
    (tmp_path / 'srun').write_text(SRUN)
    (tmp_path / 'srun').chmod(0o755)

    def run(script, *args, **settings):
        env = dict(os.environ, PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}', **settings)
        command = ['bash', str(ROOT / 'tools' / script), *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


@pytest.mark.parametrize(
    'script, tool, fourth',
    [
        ('slurm_train.sh', 'train.py', ['--work-dir=work dir']),
        ('slurm_test.sh', 'test.py', ['work dir']),
    ],
)
def test_what_slurm_is_asked_for(srun, script, tool, fourth):
    code, lines, _ = srun(
        script,
        'gpus',
        'job',
        'config.py',
        'work dir',
        '--cfg-options',
        'a=1',
        GPUS='16',
        GPUS_PER_NODE='4',
        SRUN_ARGS='--quotatype=spot --exclusive',
    )
    assert code == 0
    assert 'partition: gpus' in lines
    options = {line.removeprefix('srun option: ') for line in lines if 'option:' in line}
    assert options >= {
        '--job-name=job',
        '--gres=gpu:4',
        '--ntasks=16',
        '--ntasks-per-node=4',
        '--kill-on-bad-exit=1',
        '--quotatype=spot',
        '--exclusive',
    }
    python, unbuffered, path, *arguments = (
        line.removeprefix('argument: ') for line in lines if line.startswith('argument: ')
    )
    assert (python, unbuffered) == ('python', '-u')
    assert (ROOT / 'tools' / tool).samefile(path)
    assert sorted(arguments) == sorted(
        ['config.py', *fourth, '--launcher=slurm', '--cfg-options', 'a=1']
    )


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_too_few_arguments_are_a_usage_error(srun, script):
    code, _, error = srun(script, 'gpus', 'job', 'config.py')
    assert code == 2 and error.startswith('usage: ')
