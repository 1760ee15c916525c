#!/bin/sh
# Before the package goes. dpkg passes "remove", and in whose favour if another
# package takes its place; rpm how many versions will be left.
set -e
case "$1 $2" in 'remove ' | '0 ') ;; *) exit 0 ;; esac

# A kubelet that is told of a plugin that is not there does not start again. It is
# not ours to change or to stop: say so, and go.
plugins=/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec
for directory in /proc/[0-9]*; do
	if tr '\0' '\n' 2>/dev/null <"$directory/cmdline" | grep -qE "^(--?image-credential-provider-bin-dir=)?$plugins/?\$"; then
		echo "regcred: process ${directory#/proc/} runs plugins from $plugins: it will not start again until its --image-credential-provider-config names none of them" >&2
	fi
done
exit 0
