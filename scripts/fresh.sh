#!/usr/bin/env bash
# Try HEAD as a newcomer has it: an empty folder, an empty HOME, `make test`, `make run` until the page
# answers. Prints the minutes and the room taken; removes what it made.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d "${TMPDIR:-/tmp}/mentoring-fresh.XXXXXX")
server=""

finish() {
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill "$server"
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$place"
}
trap finish EXIT
trap 'exit 130' INT TERM

minutes() { awk -v s="$1" 'BEGIN { printf "%.1f min", s / 60 }'; }

if [ -n "$(git -C "$source" status --porcelain)" ]; then
    echo "Note: uncommitted changes are not in the clone."
fi
git clone --quiet "$source" "$place/clone"
mkdir "$place/home"
cd "$place/clone"
fresh=(env -u XDG_DATA_HOME -u XDG_CACHE_HOME -u XDG_CONFIG_HOME -u MENTORING_DATA -u MENTORING_MODELS
    -u VIRTUAL_ENV -u PYTHONPATH -u MAKEFLAGS -u MAKELEVEL "HOME=$place/home")

echo "== make test"
SECONDS=0
"${fresh[@]}" make test
echo "make test took $(minutes $SECONDS)"

port=$("${PYTHON:-python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo "== make run PORT=$port"
SECONDS=0
"${fresh[@]}" make run PORT="$port" &
server=$!
answers() {
    "${PYTHON:-python3}" - "$port" <<'PY'
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/", timeout=10) as answer:
        sys.exit(answer.status != 200)
except (OSError, urllib.error.URLError):
    sys.exit(1)
PY
}
until answers; do
    if ! kill -0 "$server" 2>/dev/null; then
        echo "make run ended before the page answered." >&2
        exit 1
    fi
    if [ "$SECONDS" -gt 900 ]; then
        echo "The page did not answer within 15 minutes." >&2
        exit 1
    fi
    sleep 1
done
echo "make run: the page answered after $(minutes $SECONDS)"
echo "Room taken:"
du -sh "$place"
