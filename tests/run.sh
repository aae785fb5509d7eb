# The tests, run by ./mint test after it has built the release preset. Sourced: uses mint's
# functions and variables (root, logs, nightly, say, configure, build, processors).
# Ends with a line "N passed, N failed" counted from what really ran.

passed=0 failed=0 skipped=0

count() { # PASSED FAILED SKIPPED
  passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

seconds() { date +%s; }

occurrences() { # PATTERN FILE
  grep -c "$1" "$2" 2>/dev/null || true
}

# run_ctest PRESET ARGUMENT...: counts from CTest's report; shows what failed.
run_ctest() {
  preset=$1
  shift
  report=$logs/tests-$preset.xml log=$logs/tests-$preset.log start=$(seconds) code=0
  rm -f "$report"
  # One more than there are processors: tests wait for clocks, sockets and children.
  jobs=${TASKMINT_JOBS:-$(($(processors) + 1))}
  (cd "$root" && ctest --preset "$preset" --parallel "$jobs" --output-on-failure \
    --output-junit "$report" "$@") >"$log" 2>&1 || code=$?
  ran=$(occurrences '<testcase .*status="run"' "$report")
  fell=$(occurrences '<testcase .*status="fail"' "$report")
  rest=$(occurrences '<testcase .*status="\(notrun\|disabled\)"' "$report")
  if [ "$code" != 0 ]; then
    sed '/ Passed  /d; /^ *Start /d' "$log"
    [ "$fell" != 0 ] || fell=1 # a test that could not start, or no report at all
  fi
  count "${ran:-0}" "${fell:-1}" "${rest:-0}"
  took=$(($(seconds) - start))
  say "$preset: ${ran:-0} passed, ${fell:-1} failed, ${rest:-0} skipped in $took s"
}

# What stands between hostile code and this machine is fuzzed for longer.
walls=" agent_frames index_page proxy_request recorded_answer wire "

# run_fuzz SECONDS WALLS_SECONDS: every fuzzer for so long, as many at once as there are processors.
run_fuzz() {
  configure fuzz ON
  build fuzz fuzzers
  rm -f "$logs"/fuzz-*.code
  say "fuzzing each parser for $1 s, those of the sandbox for $2 s"
  names=$(cd "$root/build/fuzz/fuzzers" 2>/dev/null && ls) || names=
  for name in $names; do
    case $walls in *" $name "*) echo "$name $2" ;; *) echo "$name $1" ;; esac
  done | xargs -P "$(processors)" -L 1 sh "$root/tests/fuzz/run_one.sh" "$root" || true
  for name in $names; do
    if [ "$(cat "$logs/fuzz-$name.code" 2>/dev/null)" = 0 ]; then
      count 1 0 0
    else
      count 0 1 0
      tail -n 30 "$logs/fuzz-$name.log"
      say "$name found something: build/fuzz/crashes/$name-*; fuzzers/$name FILE runs it again"
    fi
  done
}

run_tidy() {
  configure dev ON # of which each source is compiled by itself
  build dev proto/all
  say "clang-tidy over our sources"
  if (cd "$root" && run-clang-tidy -quiet -p build/dev -j "$(processors)" \
    "^$root/(proto|datasets|sandbox|environments|verifier|orchestrator)/.*\.cc\$") \
    >"$logs/tidy.log" 2>&1; then
    count 1 0 0
  else
    count 0 1 0
    grep -E '(error|warning): ' "$logs/tidy.log" | sort -u || tail -n 20 "$logs/tidy.log"
  fi
}

if [ -z "$nightly" ]; then
  run_ctest release -LE '^(nightly|online)$'
  run_fuzz "${TASKMINT_FUZZ_SECONDS:-5}" "${TASKMINT_FUZZ_SECONDS:-30}"
else
  run_ctest release
  for preset in asan tsan; do
    configure "$preset" ON
    build "$preset" all
    run_ctest "$preset" -LE '^(nightly|online)$'
  done
  run_tidy
  run_fuzz "${TASKMINT_FUZZ_SECONDS:-600}" "${TASKMINT_FUZZ_SECONDS:-1800}"
fi

[ "$skipped" = 0 ] || say "$skipped tests were skipped: see $logs"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
