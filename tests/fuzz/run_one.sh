#!/bin/sh
# Runs one fuzzer for so many seconds: run_one.sh ROOT NAME SECONDS. Its output and exit status go
# into build/log.
set -u
root=$1 name=$2 seconds_max=$3
cd "$root/build/fuzz" || exit 1
mkdir -p "corpus/$name" crashes
seeds=$root/tests/fuzz/seeds/$name
[ -d "$seeds" ] || seeds=corpus/$name
"./fuzzers/$name" -max_total_time="$seconds_max" -timeout=10 -rss_limit_mb=2048 -verbosity=0 \
  -artifact_prefix="crashes/$name-" "corpus/$name" "$seeds" >"$root/build/log/fuzz-$name.log" 2>&1
echo $? >"$root/build/log/fuzz-$name.code"
