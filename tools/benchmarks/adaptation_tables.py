"""Tables of the adaptation benchmark, in Markdown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable

BINNED = re.compile(r'(?P<key>.+)_(?P<what>bin_\d+|head|tail|slope)')
LIFTED = re.compile(r'(?:.+/)?(?P<metric>(?:PA-|N-)?MPJPE)/(?P<set>[^/]+)')
GROUPED = re.compile(r'(?:(?P<metric>.+)/)?(?P<group>[^/@]+)@(?P<thr>[\d.]+)')


def spread(values: Iterable[float], digits: int = 1) -> str:
    """'mean ± standard deviation' (of a sample, so none for one value), or '-' for no value."""
    values = list(values)
    if not values:
        return '-'
    mean = f'{statistics.fmean(values):.{digits}f}'
    return f'{mean} ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else mean


def closed_share(source: float, adapted: float, oracle: float) -> float:
    """Share of the gap between source-only and oracle that is closed, in percent; NaN where the oracle is not above."""
    gap = oracle - source
    return 100 * (adapted - source) / gap if gap > 0 else float('nan')


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, padded to be read as it is."""
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths)) + ' |' for row in table]
    return '\n'.join([lines[0], '|' + '|'.join('-' * (width + 2) for width in widths) + '|', *lines[1:]])


def render(results: list[dict], methods: list[str], source: str, oracle: str) -> str:
    """All tables.

    Args:
        results: Contents of the result files: ``method``, ``seed``, ``metrics`` {key: value}, ``minutes`` {stage:
            value} and ``machine``. Keys of :class:`~mmposeda.evaluation.GroupedPCK`, ``PCK/group@thr``, are laid out
            by group and threshold, those of :class:`~mmposeda.evaluation.LiftingMetric` by test set, others as they
            are.
        methods: Order of the rows.
        source: Method at the lower end of the gap.
        oracle: Method at its upper end.
    """
    runs = {(r['method'], r['seed']): r for r in results}
    methods = [m for m in methods if any(key[0] == m for key in runs)]
    seeds = sorted({seed for _, seed in runs})
    of = {m: [runs[m, s] for s in seeds if (m, s) in runs] for m in methods}
    keys = list(dict.fromkeys(key for r in results for key in r['metrics']))
    grouped = {key: match for key in keys if (match := GROUPED.fullmatch(key))}
    parts = [f'Last iteration, not best. Mean ± standard deviation over seeds ({", ".join(map(str, seeds))}).']

    for title in dict.fromkeys((m['metric'] or '', m['thr']) for m in grouped.values()):
        columns = [key for key, m in grouped.items() if (m['metric'] or '', m['thr']) == title]
        columns.sort(key=lambda key: grouped[key]['group'] != 'all')
        rows = [[m, *(_cell(of[m], key) for key in columns)] for m in methods]
        parts += [f'{"@".join(title).lstrip("@")} (%)', markdown(['', *(grouped[k]['group'] for k in columns)], rows)]

    binned = {key: match for key in keys if (match := BINNED.fullmatch(key))}
    parts += _by_difficulty(of, methods, binned)
    lifted = {key: match for key in keys if (match := LIFTED.fullmatch(key))}
    parts += _lifted_tables(runs, of, seeds, lifted)
    known = {*grouped, *binned, *lifted}
    others = [key for key in keys if key not in known and not key.endswith('/unbinned')]
    if others:
        rows = [[m, *(_cell(of[m], key, 3) for key in others)] for m in methods]
        parts += ['Other metrics', markdown(['', *others], rows)]
    shares = _gap_table(runs, seeds, methods, source, oracle, grouped)
    if shares:
        parts += shares
    return '\n\n'.join([*parts, _times(of), _machines(results)]) + '\n'


def _cell(runs: list[dict], key: str, digits: int = 1) -> str:
    return spread((run['metrics'][key] for run in runs if key in run['metrics']), digits)


def _by_difficulty(of: dict[str, list[dict]], methods: list[str], binned: dict) -> list[str]:
    """Of every key that BinnedMetric gives: easiest bins, hardest bins, slope over the bins."""
    whole = dict.fromkeys(match['key'] for match in binned.values())
    parts = []
    for key in whole:
        rows = [
            [m, *(_cell(of[m], f'{key}_{what}', d) for what, d in (('head', 1), ('tail', 1), ('slope', 2)))]
            for m in methods
        ]
        parts += [f'{key} by difficulty', markdown(['', 'easiest bins', 'hardest bins', 'slope a bin'], rows)]
    return parts


def _lifted_tables(runs, of: dict[str, list[dict]], seeds: list[int], lifted: dict) -> list[str]:
    """Errors by test set, and the gain of LIFTER_X over LIFTER_supervised."""
    parts = []
    for metric in dict.fromkeys(match['metric'] for match in lifted.values()):
        keys = [key for key, match in lifted.items() if match['metric'] == metric]
        header = ['', *(lifted[key]['set'] for key in keys)]
        rows = [[m, *(_cell(of[m], key) for key in keys)] for m in of]
        parts += [f'{metric} (mm)', markdown(header, rows)]
        rows = []
        for method in of:
            base = f'{method.partition("_")[0]}_supervised'
            shared = [s for s in seeds if (method, s) in runs and (base, s) in runs]
            if method == base or not shared:
                continue
            pairs = [(runs[base, s]['metrics'], runs[method, s]['metrics']) for s in shared]
            rows.append([method, *(spread(before[key] - after[key] for before, after in pairs) for key in keys)])
        if rows:
            parts += [f'{metric}: gain over the same lifter without augmentation, seed by seed (mm)']
            parts += [markdown(header, rows)]
    return parts


def _gap_table(runs, seeds, methods, source, oracle, grouped) -> list[str]:
    """Gain over source-only in points and share of the gap closed, seed by seed, for the group 'all'."""
    wholes = [key for key, match in grouped.items() if match['group'] == 'all']
    rows = []
    for method in methods:
        shared = [s for s in seeds if all((m, s) in runs for m in (source, method, oracle))]
        if method in (source, oracle) or not shared:
            continue
        for key in wholes:
            low, mid, high = ([runs[m, s]['metrics'][key] for s in shared] for m in (source, method, oracle))
            rows.append(
                [
                    method,
                    key,
                    spread(b - a for a, b in zip(low, mid)),
                    spread(b - a for a, b in zip(low, high)),
                    spread(map(closed_share, low, mid, high)),
                    ', '.join(f'{closed_share(*values):.1f}' for values in zip(low, mid, high)),
                ]
            )
    if not rows:
        return []
    header = ['', 'metric', 'gain (points)', 'gap (points)', 'closed (%)', 'closed, by seed']
    return [f'Gap from {source} to {oracle}, seed by seed', markdown(header, rows)]


def _times(of: dict[str, list[dict]]) -> str:
    rows = []
    for method, runs in of.items():
        stages = list(dict.fromkeys(stage for run in runs for stage in run['minutes']))
        by_stage = [f'{s or "training"} {spread(r["minutes"][s] for r in runs if s in r["minutes"])}' for s in stages]
        iterations = ', '.join(sorted({str(run['iterations']) for run in runs}))
        total = spread(sum(run['minutes'].values()) for run in runs)
        rows.append([method, str(len(runs)), iterations, total, ', '.join(by_stage)])
    return markdown(['', 'runs', 'last iteration', 'minutes a run', 'by stage (a shared one counts in each)'], rows)


def _machines(results: list[dict]) -> str:
    machines = {
        '{device}, {cores} cores, {jobs} runs at a time with {threads} threads each, torch {torch}'.format(
            **run['machine']
        )
        for run in results
    }
    return 'Machine: ' + '; '.join(sorted(machines)) + '.'
