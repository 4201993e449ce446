#!/bin/sh
# build-id.sh: prints the C source of the build id: the version and a mark over everything that two executables of
# one gateway must agree on. A worker that shows another id in its HELLO is not let in (proto/control.h).
# usage: build-id.sh VERSION FILE...
version=$1
shift
mark=$(cat -- "$@" | sha256sum | cut -c1-12)
echo '#include "proto/control.h"'
echo "const char ctl_build_id[] = \"$version+$mark\";"
