#!/bin/sh
# Installs the viewers that prove our files right (speedscope, the Firefox Profiler's command line,
# and what drives Chromium) into a cache folder outside the repository, and prints the environment
# to set: eval "$(scripts/viewers.sh)".
set -eu
folder=${HOTPROOF_VIEWERS:-${XDG_CACHE_HOME:-$HOME/.cache}/hotproof-viewers}
mkdir -p "$folder"
if ! command -v chromium >/dev/null; then
    apt-get install -y chromium >&2
fi
if ! [ -x "$folder/node_modules/.bin/profiler-cli" ] || ! [ -d "$folder/node_modules/speedscope" ]; then
    PUPPETEER_SKIP_DOWNLOAD=1 npm install --prefix "$folder" --no-fund --no-audit \
        speedscope@1.25.0 puppeteer-core @firefox-devtools/profiler-cli@0.10.0 >&2
fi
echo "export HOTPROOF_VIEWERS='$folder'"
