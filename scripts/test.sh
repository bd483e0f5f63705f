#!/usr/bin/env bash
# Every test, the quick ones first. Without Chromium the browser part is left out, loudly; with CI set
# that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python

browser() {
    local name
    for name in ${CHROMIUM:-} chromium chromium-browser google-chrome; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    return 1
}

echo "== quick tests"
"$python" -m pytest -m "not (models or browser or wheel or web)"
echo "== tests with the web application, the models and the wheel"
"$python" -m pytest -m "(models or wheel or web) and not browser"

if browser; then
    echo "== tests in the browser"
    "$python" -m pytest -m browser
    exit 0
fi

cat >&2 <<'TEXT'

#####################################################################
##  Chromium was not found: the BROWSER TESTS WERE NOT RUN.        ##
##  Install it (Debian: apt-get install chromium) and try again.   ##
#####################################################################
TEXT
case "${CI:-}" in
    "" | 0 | false) exit 0 ;;
    *) echo "CI is set, so this counts as a failure." >&2; exit 1 ;;
esac
