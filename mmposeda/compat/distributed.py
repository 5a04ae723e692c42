"""Several processes without a GPU.

mmengine's launchers call ``torch.cuda.set_device`` and its ``Runner.wrap_model`` passes GPU numbers to
DistributedDataParallel; a CPU build of torch has neither. mmengine leaves an initialised process group alone and
takes wrapper arguments from the config, so both can be had right from outside.
"""

from __future__ import annotations

import os
import subprocess

VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
}
"""Launcher -> environment variables with the rank, the number of processes and the rank on this machine."""


def prepare_cpu_launch(cfg) -> bool:
    """Initialise gloo and set the model wrapper, if ``cfg.launcher`` starts several processes without a GPU.

    Call it before the Runner is built. With an accelerator, or without a launcher, it does nothing.

    Args:
        cfg (Config): Run config; ``model_wrapper_cfg`` is set in place.

    Returns:
        bool: Whether the run is distributed over CPU processes.

    Raises:
        RuntimeError: If the launcher's environment variables are missing.
        ValueError: If the config asks for ``sync_bn``, which torch has for GPUs only.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return False
    from mmengine.device import get_device
    from torch import distributed

    if get_device() != 'cpu':
        return False
    if cfg.get('sync_bn'):
        raise ValueError(
            f'sync_bn={cfg.sync_bn!r} needs GPUs: torch has no synchronised batch normalisation on the CPU. Without it '
            'each process has its own batch statistics, and SyncBuffersHook averages the running ones after an epoch'
        )
    if not distributed.is_initialized():
        _export_ranks(launcher)
        distributed.init_process_group('gloo')
    wrapper = dict(cfg.get('model_wrapper_cfg') or {})
    if not wrapper.setdefault('type', 'MMDistributedDataParallel').endswith('DistributedDataParallel'):
        return True
    wrapper.setdefault('broadcast_buffers', False)
    wrapper.setdefault('find_unused_parameters', cfg.get('find_unused_parameters', False))
    wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper
    return True


def _export_ranks(launcher: str) -> None:
    """Set the variables that ``init_process_group`` reads, from those of the launcher."""
    names = VARIABLES[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise RuntimeError(
            f'--launcher {launcher} expects the environment variables {", ".join(names)}, but {", ".join(missing)} '
            f'is not set. Start the run through {"dist" if launcher == "pytorch" else launcher}_train.sh.'
        )
    for target, name in zip(VARIABLES['pytorch'], names):
        os.environ[target] = os.environ[name]
    if 'MASTER_ADDR' not in os.environ and launcher == 'slurm':
        command = ['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']]
        os.environ['MASTER_ADDR'] = subprocess.check_output(command, text=True).split()[0]
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
