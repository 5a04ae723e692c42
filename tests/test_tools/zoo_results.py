"""Results of runs for the model zoo, as tools/benchmarks/adaptation.py leaves them."""

import json

UDAPE = 'configs/udape/synthbody2lsp/udape_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py'
SOURCE_ONLY = 'configs/source_only/synthbody2lsp/source-only_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py'
MACHINE = dict(device='x86_64', torch='2.13.0+cpu')


def pck(value):
    return {f'PCK/all@{thr}': value + 10 * i for i, thr in enumerate(('0.05', '0.1', '0.2'))}


def result(work_dir, row, number, metrics, config=UDAPE, **changes):
    content = dict(
        method=row,
        seed=number,
        config=config,
        checkpoint='iter_400.pth',
        iterations=400,
        minutes=dict(pretrain=41.24, adapt=13.69),
        machine=MACHINE,
        fingerprint='0',
        metrics=metrics,
    )
    path = work_dir / row / f'seed_{number}' / 'result.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}))
    return path


def collect(main, root, work_dir, *flags):
    main(['--root', str(root), 'collect', str(work_dir), *map(str, flags)])


def record(root, task='synthbody2lsp', row='udape'):
    return root / 'docs' / 'model_zoo' / 'runs' / task / f'{row}.json'
