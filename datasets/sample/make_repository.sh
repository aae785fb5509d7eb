#!/bin/sh
# Makes the sample repository from plain files: base/ is its first commit, patches/ are the others.
#   make_repository.sh SOURCE_FOLDER OUT.git
# Identity, dates and settings are fixed, so that every commit has the same SHA on every machine;
# SOURCE_FOLDER/HEAD.sha is what the last one must be.
set -eu
source=$(cd "$1" && pwd)
out=$2

work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
for variable in $(env | sed -n 's/^\(GIT_[A-Z0-9_]*\)=.*/\1/p'); do unset "$variable"; done
export LC_ALL=C TZ=UTC HOME="$work" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_CONFIG_SYSTEM=/dev/null GIT_DEFAULT_HASH=sha1 GIT_TEMPLATE_DIR=
export GIT_CEILING_DIRECTORIES="$work"
export GIT_AUTHOR_NAME='Ida Merten' GIT_AUTHOR_EMAIL='ida@ledgerline.example'
export GIT_COMMITTER_NAME='Ida Merten' GIT_COMMITTER_EMAIL='ida@ledgerline.example'

mkdir "$work/tree"
cp -R "$source/base/." "$work/tree"
find "$work/tree" -type f -exec chmod 644 {} +
cd "$work/tree"
rm -rf __pycache__ ./*/__pycache__
git init -q -b main
git config core.autocrlf false
git config core.fileMode false
git config gc.auto 0
git add -A
date='2024-02-05T09:00:00+0100'
GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date git commit -q -m 'Ledgerline 0.3.0'
git am -q --keep --committer-date-is-author-date --whitespace=nowarn "$source"/patches/*.patch

head=$(git rev-parse HEAD)
expected=$(cat "$source/HEAD.sha" 2>/dev/null || echo 'nothing')
if [ "$head" != "$expected" ]; then
  echo "make_repository.sh: the sample's last commit is $head, but HEAD.sha says $expected." >&2
  echo "If base/ or patches/ changed on purpose, write the new one into $source/HEAD.sha." >&2
  exit 1
fi
git repack -q -a -d
git config core.bare true
rm -rf .git/index .git/logs .git/hooks .git/ORIG_HEAD .git/COMMIT_EDITMSG .git/rebase-apply
rm -rf "$out"
mv .git "$out"
