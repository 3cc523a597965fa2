#!/bin/bash
# needs: nvidia-smi
# alone
# timeout: 60
# An unmodified nvidia-smi: every form of it works; only what must be the same both ways is printed.
set -euo pipefail
list=$(nvidia-smi -L)
[[ $list == "GPU 0: "*"(UUID: GPU-"* ]] || { echo "nvidia-smi -L: $list" >&2; exit 1; }
table=$(nvidia-smi)
grep -q 'CUDA Version' <<<"$table" && grep -q 'MiB /' <<<"$table"
full=$(nvidia-smi -q)
grep -q 'Product Name' <<<"$full" && grep -q 'FB Memory Usage' <<<"$full"
row=$(nvidia-smi --query-gpu=name,uuid,memory.total --format=csv,noheader)
[[ $row == *", GPU-"*" MiB" ]] || { echo "--query-gpu: $row" >&2; exit 1; }
nvidia-smi --query-gpu=name,compute_cap --format=csv
nvidia-smi --query-gpu=index --format=csv,noheader
grep -c '^GPU ' <<<"$list"
