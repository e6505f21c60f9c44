#!/bin/sh
# For a machine without make: installs make and g++ (as root on Debian or Ubuntu), or names them. `make` sees to everything else.
for tool in make g++; do
  command -v "$tool" > /dev/null 2>&1 || missing="${missing:-} $tool"
done
if [ -z "${missing:-}" ]; then
  echo "bootstrap: make and g++ are here; go on with 'make demo' or 'make test'"
elif [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null 2>&1; then
  echo "bootstrap: installing$missing (apt-get, as root)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing || exit 1
  echo "bootstrap: done; go on with 'make demo' or 'make test'"
else
  echo "bootstrap: missing:$missing; install them (Debian and Ubuntu: sudo apt-get install$missing), then run 'make'" >&2
  exit 1
fi
