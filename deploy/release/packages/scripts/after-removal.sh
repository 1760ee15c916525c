#!/bin/sh
# After the package has gone. Its cache holds passwords.
set -e
case "$1" in remove | purge | 0) rm -rf /run/regcred ;; esac
exit 0
