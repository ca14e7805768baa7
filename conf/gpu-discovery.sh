#!/usr/bin/env bash
# Spark's resource discovery script: prints the GPUs of this machine as {"name": "gpu", "addresses": [...]}.
# CUDA_VISIBLE_DEVICES, where it is set, says which GPUs the executor may use and what they are called. Otherwise
# nvidia-smi is asked for the numbers; with "uuid" as argument for UUIDs, of MIG devices where a GPU is split.
set -euo pipefail

if [[ -n ${CUDA_VISIBLE_DEVICES:-} ]]; then
  addresses=$(tr -d ' ' <<<"$CUDA_VISIBLE_DEVICES" | tr ',' '\n')
elif [[ ${1:-index} == uuid || -n $(nvidia-smi -L | grep MIG- || true) ]]; then
  listed=$(nvidia-smi -L)
  # "GPU 0: NVIDIA H100 (UUID: GPU-...)", and below it, if it is split, "  MIG 1g.10gb Device 0: (UUID: MIG-...)".
  addresses=$(sed -n 's/.*(UUID: \([^)]*\)).*/\1/p' <<<"$listed")
  if grep -q '^MIG-' <<<"$addresses"; then
    addresses=$(grep '^MIG-' <<<"$addresses")
  fi
else
  addresses=$(nvidia-smi --query-gpu=index --format=csv,noheader)
fi
[[ -n $addresses ]] || { echo "gpu-discovery.sh: nvidia-smi lists no GPU" >&2; exit 1; }
printf '{"name": "gpu", "addresses": [%s]}\n' "$(sed 's/.*/"&"/' <<<"$addresses" | paste -sd,)"
