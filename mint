#!/bin/sh
# taskmint plus set-up: installs what is missing, builds, and runs the binary. See ./mint --help.
set -eu

root=$(cd "$(dirname "$0")" && pwd)
tools=$root/build/tools
logs=$root/build/log
sample=$root/build/release/sample
uv_version=0.13
index_mend="Is the package index reachable (proxy: https_proxy, mirror: PIP_INDEX_URL)?"

# What the build needs, by names that Debian 12, Debian 13 and Ubuntu 24.04 share ...
build_packages="g++ cmake ninja-build pkg-config git ca-certificates protobuf-compiler
  protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev libgit2-dev libsqlite3-dev libboost-dev
  nlohmann-json3-dev libspdlog-dev libcli11-dev libexpat1-dev libseccomp-dev libxml2-dev
  libtomlplusplus-dev libzstd-dev libarchive-dev libssl-dev libre2-dev mold"
# ... what a task's environment is made with ...
run_packages="bubblewrap python3 python3-venv g++ cmake ninja-build make ccache patch"
# ... and what only the tests need.
test_packages="libgtest-dev libgmock-dev clang erofs-utils"
nightly_packages="clang-tidy golang-go podman crun"

usage() {
  cat <<'END'
./mint: taskmint plus set-up. Installs what is missing, builds the release preset, and then:

  ./mint                  mints the sample that ships into ./taskmint-store, says what it kept
  ./mint test             builds and passes the tests, and fuzzes every parser for a short while
  ./mint test --nightly   the same with sanitizers, clang-tidy, and the long and the online tests
  ./mint COMMAND ...      runs taskmint COMMAND ..., e.g. ./mint synth code --repo ~/src/attrs
  ./mint --help           this text (./mint COMMAND --help: that of a command)

Set-up needs the network once, and root for packages that are missing; without root it prints the
one command to run. Afterwards everything works offline. Proxies and certificates are taken from
the environment (http_proxy, https_proxy, SSL_CERT_FILE, PIP_CERT, PIP_INDEX_URL, ...).

  TASKMINT_UV             a uv to use instead of one of our own
  TASKMINT_FUZZ_SECONDS   seconds of fuzzing a target (test: 5, those of the sandbox 30;
                          test --nightly: 600 and 1800)
  TASKMINT_SOAK_SECONDS   seconds that test --nightly loads a server (default 3600, at most 7200)
  TASKMINT_JOBS           compilers and tests that run at once (default: the processors)
END
}

say() { printf 'mint: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# quietly NAME MEND COMMAND...: the command's output goes into a log; shown only when it fails.
quietly() {
  name=$1 mend=$2
  shift 2
  mkdir -p "$logs"
  if ! "$@" >"$logs/$name.log" 2>&1; then
    tail -n 40 "$logs/$name.log" >&2
    die "$name failed (all of it: $logs/$name.log). $mend"
  fi
}

is_debian() { command -v dpkg-query >/dev/null 2>&1; }

# The packages among those given that are not installed.
missing_packages() {
  installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true)"
  for package in "$@"; do
    case $installed in *" installed:$package "*) ;; *) printf '%s ' "$package" ;; esac
  done
}

# libFuzzer and the sanitizers of clang are in a package that bears clang's number.
clang_runtime() {
  number=$(clang --version 2>/dev/null | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
  [ -n "$number" ] ||
    number=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
  [ -z "$number" ] || echo "libclang-rt-$number-dev"
}

install_packages() { # WHY PACKAGE...
  why=$1
  shift
  if ! is_debian; then
    command -v cmake >/dev/null 2>&1 ||
      die "this is no Debian or Ubuntu: install what these packages hold, then run again: $*"
    return 0
  fi
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  command="apt-get update && apt-get install -y --no-install-recommends $missing"
  if [ "$(id -u)" != 0 ]; then
    say "$why needs packages that are not installed. Run this once, then ./mint again:"
    printf '\n  sudo sh -c "%s"\n\n' "$command"
    exit 1
  fi
  say "installing packages that $why needs: $missing"
  mend="Is the network there, and is the package system in order (dpkg --audit)?"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-update "$mend" apt-get -o DPkg::Lock::Timeout=120 update
  case " $missing" in
    *" clang "*) missing="$missing $(missing_packages $(clang_runtime))" ;;
  esac
  # shellcheck disable=SC2086
  quietly apt-install "$mend" apt-get -o DPkg::Lock::Timeout=120 install -y \
    --no-install-recommends $missing
}

python() {
  if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi
}

is_suitable_uv() {
  case $("$1" --version 2>/dev/null || true) in "uv $uv_version."*) return 0 ;; esac
  return 1
}

# uv makes the environments of Python tasks. Into build/tools, unless there is a suitable one.
find_uv() {
  if [ -n "${TASKMINT_UV:-}" ]; then
    [ -x "$TASKMINT_UV" ] || die "TASKMINT_UV is $TASKMINT_UV, which is no program."
    return 0
  fi
  TASKMINT_UV=$tools/uv/bin/uv
  if ! is_suitable_uv "$TASKMINT_UV"; then
    own=$(command -v uv || true)
    if [ -n "$own" ] && is_suitable_uv "$own"; then
      TASKMINT_UV=$own
    else
      say "installing uv $uv_version into build/tools, to make the environments of Python tasks"
      rm -rf "$tools/uv"
      quietly uv-venv "python3 -m venv must work: is python3-venv installed?" \
        python -m venv "$tools/uv"
      quietly uv-install "$index_mend" \
        "$tools/uv/bin/python" -m pip --disable-pip-version-check install -q "uv==$uv_version.*"
    fi
  fi
  export TASKMINT_UV
}

# The packages of which the tests make an index of their own, so that they run offline.
fetch_wheels() {
  list=$root/tests/data/wheels.txt
  TASKMINT_TEST_WHEELS=$tools/wheels
  export TASKMINT_TEST_WHEELS
  cmp -s "$list" "$tools/wheels/.complete" && return 0
  say "downloading the packages that the tests' own index serves"
  [ -x "$tools/pip/bin/python" ] ||
    quietly pip-venv "python3 -m venv must work: is python3-venv installed?" \
      python -m venv "$tools/pip"
  mkdir -p "$tools/wheels"
  # One by one: the list holds several versions of one package.
  while read -r requirement; do
    case $requirement in '' | '#'*) continue ;; esac
    quietly wheels "$index_mend" \
      "$tools/pip/bin/python" -m pip --disable-pip-version-check download -q --no-deps \
      --only-binary :all: -d "$tools/wheels" "$requirement"
  done <"$list"
  cp "$list" "$tools/wheels/.complete"
}

processors() { echo "${TASKMINT_JOBS:-$(nproc 2>/dev/null || echo 2)}"; }

# configure PRESET TESTS: only when something that CMake cannot see by itself has changed.
configure() {
  folder=$root/build/$1
  wanted="$root tests=$2 $(cksum <"$root/CMakePresets.json")"
  [ -f "$folder/build.ninja" ] && [ "$(cat "$folder/.configured" 2>/dev/null)" = "$wanted" ] &&
    return 0
  if [ -f "$folder/CMakeCache.txt" ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$folder/CMakeCache.txt"; then
    rm -rf "$folder" # configured where the clone was before
  fi
  say "configuring $1"
  (cd "$root" && quietly "configure-$1" "Remove $folder and try again." \
    cmake --preset "$1" "-DTASKMINT_TESTS=$2")
  printf '%s\n' "$wanted" >"$folder/.configured"
}

# build PRESET TARGET...: says nothing when there is nothing to do.
build() {
  preset=$1
  shift
  if ninja -C "$root/build/$preset" -n "$@" 2>/dev/null | grep -q 'no work to do'; then return 0; fi
  say "building $preset with $(processors) processors"
  if [ -t 2 ]; then
    NINJA_STATUS='[%f/%t] ' ninja -C "$root/build/$preset" -j "$(processors)" "$@" >&2 ||
      die "the build failed: see above."
  else
    quietly "build-$preset" "The first error is in there." \
      ninja -C "$root/build/$preset" -j "$(processors)" "$@"
  fi
}

# One set-up at a time in a clone; the lock is given back before the binary starts.
set_up() { # TESTS
  mkdir -p "$root/build" 2>/dev/null && [ -w "$root/build" ] ||
    die "cannot write to $root/build: run as the clone's owner, or clone it anew."
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/build/.lock"
    flock -n 9 || { say "waiting for another ./mint in this clone"; flock 9; }
  fi
  # shellcheck disable=SC2086
  if [ "$1" = OFF ]; then
    install_packages taskmint $build_packages $run_packages
    # A clone that has its tests configured keeps them.
    [ -f "$root/build/release/.configured" ] &&
      case $(cat "$root/build/release/.configured") in *' tests=ON '*) set -- ON ;; esac
    configure release "$1"
    build release taskmint taskmint_sample
  else
    install_packages './mint test' $build_packages $run_packages $test_packages $2 $(clang_runtime)
    fetch_wheels
    configure release ON
    build release all
  fi
  find_uv
  exec 9>&-
}

mint_sample() {
  store=./taskmint-store
  say "minting tasks from the history of the sample library into $store"
  code=0
  "$taskmint" synth code --repo "$sample/ledgerline.git" --issues "$sample/ledgerline.issues.json" \
    --store "$store" || code=$?
  [ "$code" = 0 ] || [ "$code" = 3 ] || exit "$code"
  echo
  "$taskmint" list --store "$store"
  echo
  "$taskmint" stats --store "$store"
  exit "$code"
}

case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
  test)
    shift
    nightly=
    case "$*" in
      '') ;;
      --nightly) nightly=1 ;;
      *) die "./mint test knows --nightly only, not: $*" ;;
    esac
    set_up ON "${nightly:+$nightly_packages}"
    . "$root/tests/run.sh"
    ;;
  *)
    set_up OFF
    taskmint=$root/build/release/taskmint
    [ $# -gt 0 ] || mint_sample
    exec "$taskmint" "$@"
    ;;
esac
