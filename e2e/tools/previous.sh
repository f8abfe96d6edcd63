#!/usr/bin/env bash
# Builds the program of an earlier commit for the tests that mix versions, into the cache outside
# target/, once, and prints its path. Prints nothing where this checkout has no such commit: an
# archive, or a clone without history.
set -euo pipefail

# The last version whose words were closed sets: everything after it must work beside it.
commit=d45c006bddeec3041e6a7f522adc228faa3ece9b

top=$(cd "$(dirname "$0")/../.." && pwd)
cache=${DOCKFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dockfleet}
out=$cache/previous-${commit:0:12}/dockfleet
if [ -x "$out" ]; then
    echo "$out"
    exit 0
fi
git() { command git -c safe.directory='*' -C "$top" "$@"; }
if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "previous.sh: this checkout has no commit ${commit:0:12}; \`git fetch --unshallow\` brings it" >&2
    exit 0
fi
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
git archive --format=tar "$commit" | tar -x -C "$source"
echo "previous.sh: building dockfleet of commit ${commit:0:12}" >&2
# Its dependencies are mostly those of this commit, and are in the same folder already.
target=${CARGO_TARGET_DIR:-$top/target}
(cd "$source" && cargo build --locked -p dockfleet --target-dir "$target" >&2)
mkdir -p "$(dirname "$out")"
cp "$target/debug/dockfleet" "$out.part"
mv "$out.part" "$out"
# The program of this commit takes its place in target/ again.
(cd "$top" && cargo build --locked -p dockfleet >&2)
echo "$out"
