"""The table that benchmark.py prints, and what a device could do at best."""

# Import first: reports missing or outdated packages.
import mapper_mm  # noqa: F401

# isort: split
import torch
from rich.console import Console
from rich.table import Table

# Makers' figures for dense products of matrices, in TFLOP/s: half precision, float32.
PEAKS = {
    'H200': (989.4, 66.9),
    'H100 80GB HBM3': (989.4, 66.9),
    'H100 PCIe': (756.0, 51.2),
    'A100': (312.0, 19.5),
    'V100': (125.0, 15.7),
    'RTX 4090': (165.2, 82.6),
    'RTX 3090': (71.0, 35.6),
    'L4': (121.0, 30.3),
    'T4': (65.0, 8.1),
}


def device_name(device: str) -> str:
    """What the device is called; of a CPU, with how many threads."""
    if device == 'cpu':
        return f'CPU, {torch.get_num_threads()} threads'
    return torch.cuda.get_device_name(device)


def device_peak(device: str, amp: str) -> float | None:
    """TFLOP/s that the maker names; None for a device that is not known."""
    name = device_name(device)
    peaks = next((peaks for known, peaks in PEAKS.items() if known in name), None)
    return None if peaks is None else peaks[amp == 'fp32']


def print_rows(rows: list[dict], device: str) -> None:
    """Print the table and, for two configs, how much faster the first one is."""
    table = Table(title=f'{device}, torch {torch.__version__}')
    for column in ('part', 'config', 'amp'):
        table.add_column(column, no_wrap=True)
    numbers = {
        'ms': '{:.1f}',
        'ms_p90': '{:.1f}',
        'images_per_s': '{:.2f}',
        'expressions_per_s': '{:.2f}',
        'memory_gb': '{:.2f}',
        'tflop': '{:.3f}',
        'share_of_peak': '{:.1%}',
        'faster': '{:.2f}x',
    }
    shown = [name for name in numbers if any(name in row for row in rows)]
    for name in shown:
        table.add_column(name.replace('_per_s', '/s').replace('_', ' '), justify='right')
    for row in rows:
        cells = [numbers[name].format(row[name]) if name in row else '' for name in shown]
        if 'missing' in row:
            cells = ['no data', *cells[1:]]
        table.add_row(row['part'], row['config'], row['amp'], *cells)
    Console(width=140).print(table)
    for row in rows:
        if 'missing' in row:
            print(f'{row["part"]}, {row["config"]}: {row["missing"]}')
