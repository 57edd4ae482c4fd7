#!/bin/sh
# Installs the programs of others that prove our files right (speedscope with what drives Chromium,
# the Firefox Profiler's command line, pprof-format, DuckDB) into a cache folder outside the
# repository, and prints the environment to set: eval "$(scripts/viewers.sh)". The tests find the
# folder by themselves when it is the default one. Perfetto's trace reader is not among them: its
# package holds no reader and downloads one when it runs.
set -eu
folder=${HOTPROOF_VIEWERS:-${XDG_CACHE_HOME:-$HOME/.cache}/hotproof-viewers}
mkdir -p "$folder"
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y --no-install-recommends chromium >&2
fi
for package in @firefox-devtools/profiler-cli speedscope puppeteer-core pprof-format; do
    [ -d "$folder/node_modules/$package" ] || missing=1
done
if [ -n "${missing:-}" ]; then
    PUPPETEER_SKIP_DOWNLOAD=1 npm install --prefix "$folder" --no-fund --no-audit --loglevel=error \
        speedscope@1.25.0 puppeteer-core@24 @firefox-devtools/profiler-cli@0.10.0 pprof-format@2 >&2
fi
if ! [ -d "$folder/python/duckdb" ]; then
    python3 -m pip install --quiet --disable-pip-version-check --target "$folder/python" duckdb >&2
fi
echo "export HOTPROOF_VIEWERS='$folder'"
