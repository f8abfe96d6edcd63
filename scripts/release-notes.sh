#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version: release-notes.sh VERSION.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: release-notes.sh VERSION, such as 0.1.0}
notes=$(awk -v heading="## [$version]" '
    /^## / { inside = index($0, heading) == 1; next }
    inside
' CHANGELOG.md)
if [ -z "${notes//[[:space:]]/}" ]; then
    echo "release-notes.sh: CHANGELOG.md has nothing under \"## [$version]\"; write down there what this version changes" >&2
    exit 1
fi
# Without the empty lines around it.
sed -e '/./,$!d' <<<"$notes"
