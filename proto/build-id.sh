#!/bin/sh
# build-id.sh: prints the header with the build id: the version and a mark over everything that two executables of
# one gateway must agree on. A worker that shows another id in its HELLO is not let in.
# usage: build-id.sh VERSION FILE...
version=$1
shift
mark=$(cat -- "$@" | sha256sum | cut -c1-12)
echo "/* build_id.h: made by proto/build-id.sh. */"
echo "#define TENAZA_BUILD_ID \"$version+$mark\""
