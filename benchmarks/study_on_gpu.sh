#!/usr/bin/env bash
# As much of the study as minutes on a GPU allow, on JAX without TensorFlow:
#     benchmarks/study_on_gpu.sh OUT [SCALE] [SECONDS] [RUNS]
# Measures steps first (benchmarks/gpu.py, for GPU_SECONDS at most); then studies on generated images run side by side
# on one GPU, each with some of the CPUs, one run to each: FIGURES names them with the number of their processes. What
# is finished when the time is over is stored; results, metrics and logs end up in OUT/study.tar.gz, models do not.
set -uo pipefail
out=$1 scale=${2:-thesis} seconds=${3:-560} runs=${4:-1}
root=$(cd "$(dirname "$0")/.." && pwd)
export KERAS_BACKEND=jax PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
mkdir -p "$out"
end=$(($(date +%s) + seconds))
left() { echo $((end - $(date +%s))); }

python3 "$root/benchmarks/gpu.py" --seconds="${GPU_SECONDS:-110}" >"$out/gpu.md" 2>"$out/gpu.log"
echo "benchmarks/gpu.py ended with $?, $(left) s left"
folder=$(mktemp -d)
first=0
for pair in ${FIGURES:-5.6:4 5.5:12}; do
  figure=${pair%:*} processes=${pair#*:}
  timeout -k 5 $(($(left) - 15)) taskset -c "$first-$((first + processes - 1))" \
    python3 "$root/study.py" --figure="$figure" --scale="$scale" --runs="$runs" --backend=jax --parallel="$processes" \
    --run_dir="$folder/$figure" --output_dir="$folder/results/$figure" >"$out/study_$figure.log" 2>&1 &
  first=$((first + processes))
done
wait
cd "$folder" || exit
{ find . -name '*.csv' -o -name done.json -o -name config.json -o -name 'worker_*.log'; find ./results -type f; } | sort -u \
  | tar czf "$out/study.tar.gz" -T -
tail -n 3 "$out"/study_*.log
echo "$(find . -name done.json | wc -l) runs done, $(left) s left"
