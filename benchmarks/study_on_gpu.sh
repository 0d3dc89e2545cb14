#!/usr/bin/env bash
# As much of the study as minutes on a GPU allow, on JAX without TensorFlow:
#     benchmarks/study_on_gpu.sh OUT [SCALE] [SECONDS] [PARALLEL] [RUNS]
# Measures steps first (benchmarks/gpu.py), then makes the studies on generated images, those that say most first, each
# as soon as its runs are done; results, logs and metrics end up in OUT/study.tar.gz, models do not.
set -uo pipefail
out=$1 scale=${2:-thesis} seconds=${3:-560} parallel=${4:-8} runs=${5:-1}
root=$(cd "$(dirname "$0")/.." && pwd)
export KERAS_BACKEND=jax PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$out"
end=$(($(date +%s) + seconds))
left() { echo $((end - $(date +%s))); }

timeout -k 5 "${GPU_SECONDS:-120}" python3 "$root/benchmarks/gpu.py" >"$out/gpu.md" 2>"$out/gpu.log"
echo "benchmarks/gpu.py ended with $?, $(left) s left"
folder=$(mktemp -d)
for figure in ${FIGURES:-5.6 5.5 5.4 5.7}; do
  (($(left) > 20)) || break
  timeout -k 5 $(($(left) - 15)) python3 "$root/study.py" --figure="$figure" --scale="$scale" --runs="$runs" \
    --backend=jax --parallel="$parallel" --run_dir="$folder" --output_dir="$folder/results" 2>&1 | tail -n 5
  echo "Fig. $figure: $(left) s left"
done
cd "$folder" && find . \( -name results -prune -o -name '*.csv' -o -name 'done.json' -o -name 'config.json' -o -name '*.log' \) -print \
  | tar czf "$out/study.tar.gz" -T -
echo "$(find . -name done.json | wc -l) runs done, results in $out/study.tar.gz"
