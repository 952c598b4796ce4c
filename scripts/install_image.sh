#!/usr/bin/env bash
# Install evomerge into an image, and make its user. The Dockerfile runs it, and so does a test.
#
#   install_image.sh WHEELS CONSTRAINTS EXTRAS [ROOT]
#
# WHEELS: the folder with evomerge's wheel; CONSTRAINTS: the versions that the tests ran with;
# EXTRAS: `dashboard,postgresql`, or "". ROOT is a test's: everything goes below that folder, and no
# user is made.
set -euo pipefail
here="$(dirname "${BASH_SOURCE[0]}")"
constraints=$2 extras=$3 root=${4:-}
wheels=("$1"/evomerge-*.whl)

# An environment on top of the image's Python: what is there is used and never replaced.
python3 -m venv --system-site-packages "$root/opt/evomerge"
python="$root/opt/evomerge/bin/python"
"$python" "$here/image_constraints.py" "$constraints" >"$root/opt/constraints.txt"
"$python" -m pip install --no-cache-dir --constraint "$root/opt/constraints.txt" \
    "${wheels[0]}${extras:+[${extras}]}"
"$root/opt/evomerge/bin/evomerge" --help >/dev/null

if [[ -z $root ]]; then
    useradd --create-home --uid 10001 evomerge
    install --directory --owner evomerge /workspace /tmp/ray
fi
