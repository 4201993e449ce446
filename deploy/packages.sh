# packages.sh: the Debian packages that ./run and ./test need; sourced by both (POSIX sh).
# need_packages LIST installs what is missing: as root, with sudo, or prints the line to paste and exits 69.

BUILD_PACKAGES="gcc libc6-dev meson ninja-build pkgconf libczmq-dev libzmq3-dev libmsgpack-dev liblmdb-dev
libcurl4-openssl-dev libconfig-dev libev-dev libwebsockets-dev libwebsockets-evlib-ev libjansson-dev
libsodium-dev libseccomp-dev libssl-dev libsystemd-dev libcmocka-dev libjs-marked node-dompurify ca-certificates"

TEST_PACKAGES="$BUILD_PACKAGES clang libclang-rt-14-dev python3 git iproute2 openssl ngircd chromium lmdb-utils systemd"

# Only for deploy/build-deb.
DEB_PACKAGES="debhelper dpkg-dev git"

need_packages() {
    missing=
    for p in "$@"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true) in
        installed) ;;
        *) missing="$missing $p" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This needs Debian 12 (or its packages under other names):$missing" >&2
        exit 69
    fi
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        echo "Missing packages. As root, run:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
        exit 69
    fi
    echo "installing:$missing" >&2
    $as_root apt-get update -qq >&2
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
}
