"""Find out which of several processes this is."""

import os


def is_first_process() -> bool:
    """Whether this is the process that prints, before the process group is initialised."""
    ranks = (os.environ.get(name, '0') for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))
    return all(rank == '0' for rank in ranks)
