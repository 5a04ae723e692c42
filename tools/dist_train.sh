#!/usr/bin/env bash
# Usage: tools/dist_train.sh CONFIG PROCESSES [flags of train.py]; one process a GPU, or a core where there is none
set -e

CONFIG=$1
PROCESSES=$2

PYTHONPATH="$(dirname "$0")/..:$PYTHONPATH" \
"${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --nproc_per_node="$PROCESSES" \
    --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
