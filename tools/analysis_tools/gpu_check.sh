#!/usr/bin/env bash
# What only a GPU can show, in one run of about 8 minutes on a bare machine: training in half
# precision, going on with it, compiled layers, waits for the device, speed and memory at full size,
# a profile. Needs no downloads. Prints what fails and goes on; the exit status counts failures.
#
#   tools/analysis_tools/gpu_check.sh [FOLDER]      results go there (work_dirs/gpu_check)
#   DEVICE=cpu tools/analysis_tools/gpu_check.sh    tries the script itself, in small
set -u
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD" HF_HUB_OFFLINE=1
out="${1:-work_dirs/gpu_check}"
device="${DEVICE:-cuda}"
mkdir -p "$out"
failures=0

step() { # name, seconds, command
    local name="$1" limit="$2"
    shift 2
    echo "== $name"
    if timeout "$limit" "$@" > "$out/$name.log" 2>&1; then
        tail -n "${LINES_SHOWN:-12}" "$out/$name.log"
    else
        echo "FAILED ($name), see $out/$name.log:"
        tail -n 15 "$out/$name.log"
        failures=$((failures + 1))
    fi
}

if [ "$device" = cuda ]; then
    main=configs/mapper_refcoco.py published=configs/benchmark/published_refcoco.py
    batch=32 amps='fp16 bf16' scenes=600
    wrapper=AmpOptimWrapper
else
    main=configs/mapper_shapes.py published=configs/benchmark/published_shapes.py
    batch=2 amps=bf16 scenes=12
    wrapper=OptimWrapper
fi
bench="python tools/analysis_tools/benchmark.py --device $device"
shapes="$out/shapes.py"
cat > "$shapes" <<CONFIG
_base_ = '$PWD/configs/mapper_shapes.py'
small = dict(data_root='$(realpath "$out")/shapes', num_scenes=dict(train=$scenes, val=12, testA=6, testB=6))
train_dataloader = dict(dataset=small)
val_dataloader = dict(dataset=small)
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=10))
CONFIG

step device 60 python -c "import torch; print(torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())"
for amp in $amps; do
    long=bfloat16; [ "$amp" = fp16 ] && long=float16
    typed="optim_wrapper.type=$wrapper"
    [ "$wrapper" = AmpOptimWrapper ] && typed="$typed optim_wrapper.dtype=$long"
    # shellcheck disable=SC2086
    step "train_$amp" 150 python tools/train.py "$shapes" --work-dir "$out/$amp" \
        --cfg-options $typed train_cfg.max_epochs=1
    # shellcheck disable=SC2086
    step "resume_$amp" 150 python tools/train.py "$shapes" --work-dir "$out/$amp" \
        --resume --cfg-options $typed train_cfg.max_epochs=2
done
step waits 120 python tools/analysis_tools/waits.py "$main" --device "$device"
rounds="--rounds 10 --warmup 3"; [ "$device" = cpu ] && rounds='--rounds 1 --warmup 0'
# shellcheck disable=SC2086
{
    step vs_published 120 $bench "$main" --vs "$published" --amp bf16 --batch-size "$batch" $rounds \
        --parts train inference --json "$out/vs_published.json"
    step memory_small 60 $bench "$main" --amp bf16 --batch-size $((batch / 2)) $rounds --no-flops \
        --parts train --json "$out/memory_small.json"
    for options in "checkpoint_activations=True" "compile=True" "frozen_dtype='bfloat16'"; do
        # A CPU may have no compiler to ask.
        [ "$device" = cpu ] && options="${options/compile=True/compile=dict(backend='eager')}"
        config="$out/${options%%=*}.py"
        printf "_base_ = '%s'\ncustom_hooks = [dict(type='LayersHook', %s)]\n" \
            "$PWD/$main" "$options" > "$config"
        step "with_${options%%=*}" 150 $bench "$config" --vs "$main" --amp bf16 --no-flops \
            --batch-size "$batch" $rounds --parts train inference --json "$config.json"
    done
}
echo "$failures failed; results are in $out"
exit "$failures"
