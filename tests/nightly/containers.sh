#!/bin/bash
# Real containers of an exported Harbor task, with podman, without a network.
#
#   containers.sh FOLDER build TASK      imports a Debian root, builds the images of the task
#   containers.sh FOLDER solve OUT       runs the solution in the agent's container; /work to OUT
#   containers.sh FOLDER untouched OUT   /work of the agent's container to OUT
#   containers.sh FOLDER grade STATE     STATE as /work of the verifier's container; what its
#                                        /logs/verifier holds goes to FOLDER/logs
#   containers.sh FOLDER remove          removes everything
#
# The root is made of this machine's own packages, so that nothing is downloaded: those of the
# Dockerfile and all that they need. Its apt-get says whether they are there.
set -euo pipefail
if [ -z "${CONTAINERS_INSIDE:-}" ] && [ "$(id -u)" = 0 ]; then
  export CONTAINERS_INSIDE=1
  exec unshare -m "$0" "$@"
fi
folder=$1 action=$2 argument=${3:-}
mkdir -p "$folder"
if [ "$(id -u)" = 0 ]; then
  mount --make-rprivate /
  # Where the control groups of both versions are mixed, the runtime gives up, needed or not.
  [ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup
fi
tool() { podman --root "$folder/store" --runroot "$folder/run" --cgroup-manager cgroupfs "$@"; }
limits=(--ulimit nofile=1024:1024 --ulimit nproc=4096:4096)
run_options=(--network none --cgroups disabled "${limits[@]}")

closure() {
  python3 - "$@" <<'END'
import re, subprocess, sys
rows = subprocess.run(["dpkg-query", "-W", "-f",
                       "${db:Status-Abbrev}|${Package}|${Essential}|${Provides}|${Depends}, "
                       "${Pre-Depends}\n"], capture_output=True, text=True, check=True).stdout
needs, provided, wanted = {}, {}, sys.argv[1:]
for row in rows.splitlines():
    status, name, essential, provides, depends = row.split("|", 4)
    if status[1:2] != "i":
        continue
    names = lambda text: [[re.split(r"[ :(]", one.strip())[0] for one in group.split("|")]
                          for group in text.split(",") if group.strip()]
    needs[name] = names(depends)
    for group in names(provides):
        provided.setdefault(group[0], name)
    if essential == "yes":
        wanted.append(name)
found = set()
while wanted:
    name = wanted.pop()
    name = name if name in needs else provided.get(name)
    if name is None or name in found:
        continue
    found.add(name)
    for group in needs[name]:
        wanted += [one for one in group if one in needs or one in provided][:1]
print("\n".join(sorted(found)))
END
}

import_root() {
  image=$1; shift
  mapfile -t packages < <(closure "$@")
  {
    dpkg-query -L "${packages[@]}" | grep -vE '^/usr/share/(doc|man|locale|info)/'
    printf '/%s\n' bin sbin lib lib32 lib64 libx32 etc/alternatives etc/ld.so.cache etc/passwd \
      etc/group etc/os-release usr/lib/os-release
  } | sed -nE 's|^/||; s,^(bin|sbin|lib|lib32|lib64|libx32)/,usr/&,; p' | sort -u |
    while read -r path; do
    if [ -L "/$path" ] || [ -f "/$path" ]; then printf '%s\n' "$path"; fi
  done >"$folder/files"
  find /etc/alternatives -type l | sed 's|^/||' >>"$folder/files"
  rm -rf "$folder/root"
  mkdir -p "$folder/root"
  tar -C / -c --no-recursion -T "$folder/files" | tar -C "$folder/root" -x
  mkdir -p "$folder/root"/{tmp,var/tmp,proc,sys,dev,run,root,usr/local/sbin,var/lib/apt/lists}
  chmod 1777 "$folder/root"/tmp "$folder/root"/var/tmp
  printf '%s\n' "${packages[@]}" >"$folder/root/var/lib/packages"
  cat >"$folder/root/usr/local/sbin/apt-get" <<'END'
#!/bin/sh
[ "$1" = install ] || exit 0
shift
for word; do
  case $word in
    -*) continue ;;
  esac
  grep -qx "$word" /var/lib/packages || { echo "no $word"; exit 100; }
done
END
  chmod 755 "$folder/root/usr/local/sbin/apt-get"
  tar -C "$folder/root" -c . | tool import - "$image" >/dev/null
  rm -rf "$folder/root"
}

case $action in
build)
  image=$(sed -n 's/^FROM //p' "$argument/tests/Dockerfile")
  line=$(grep '^RUN apt-get update' "$argument/tests/Dockerfile")
  line=${line#*--no-install-recommends }
  read -ra named <<<"${line% && rm *}"
  import_root "docker.io/library/$image" "${named[@]}"
  cp -r "$argument/solution" "$folder/solution"
  for part in environment tests; do
    tool build --isolation chroot --pull=never "${limits[@]}" -q \
      -t "localhost/$part" "$argument/$part" >/dev/null
  done
  ;;
solve | untouched)
  container=$(tool create "${run_options[@]}" -v "$folder/solution:/solution:ro" \
    localhost/environment "$([ "$action" = solve ] && echo /solution/solve.sh || echo true)")
  tool start -a "$container"
  mkdir -p "$argument"
  tool cp "$container:/work/." "$argument"
  tool rm "$container" >/dev/null
  ;;
grade)
  rm -rf "$folder/logs"
  mkdir -p -m 777 "$folder/logs"
  container=$(tool create "${run_options[@]}" -v "$folder/logs:/logs/verifier" \
    localhost/tests /tests/test.sh)
  tool cp "$argument/." "$container:/work"
  tool start -a "$container" && code=0 || code=$?
  tool rm "$container" >/dev/null
  exit "$code"
  ;;
remove)
  tool system reset --force >/dev/null 2>&1 || true
  rm -rf "$folder"
  ;;
esac
