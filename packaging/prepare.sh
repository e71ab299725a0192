# prepare.sh: shared by packaging/try and packaging/verify (sourced, not run): Debian packages, a clean copy of the source, a build.
#
# Needs: $top, the top folder of the checkout. Sets nothing else but functions.

say() {
    printf '== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

build_packages="gcc libc6-dev make autoconf automake pkg-config libmilter-dev libglib2.0-dev libuv1-dev libpcre2-dev libgmime-3.0-dev libunbound-dev libidn2-dev libjansson-dev liblmdb-dev libcdb-dev libsqlite3-dev libhiredis-dev"
run_packages="postfix python3"
test_packages="check postfix-lmdb postfix-cdb nsd redis-server mandoc clang libclang-rt-dev procps xz-utils"

# libhs is looked for by configure and made for these processors only.
case $(dpkg --print-architecture) in
    amd64 | i386) test_packages="$test_packages libhyperscan-dev" ;;
esac

# Installs what is missing of the packages given. Services of the packages are not started: this machine gets no mail server that it did not have.
install_packages() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    [ "$(id -u)" = 0 ] || die "these packages are missing and only root can install them:$missing"
    say "installing:$missing"
    hold=
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        hold=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$hold"
        chmod 755 "$hold"
    fi
    # shellcheck disable=SC2086 # a list of words
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$work/apt.log" 2>&1
    status=$?
    [ -z "$hold" ] || rm -f "$hold"
    [ "$status" = 0 ] || { tail -n 30 "$work/apt.log" >&2; die "apt-get failed"; }
}

# A copy of the checkout without what a build left in it, in $work/source, with configure made.
copy_source() {
    mkdir -p "$work/source"
    if git -C "$top" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        (cd "$top" && git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -cf - 2>/dev/null) | tar -xf - -C "$work/source"
    else
        (cd "$top" && tar --exclude=.git -cf - .) | tar -xf - -C "$work/source"
    fi
    (cd "$work/source" && autoreconf -i) >"$work/autoreconf.log" 2>&1 || { cat "$work/autoreconf.log" >&2; die "autoreconf failed"; }
}

# build NAME [configure arguments]: builds in $work/NAME. The log is shown when it fails.
build() {
    name=$1
    shift
    mkdir -p "$work/$name"
    (cd "$work/$name" && "$work/source/configure" -q "$@" && make -s -j"$(nproc)" all) >"$work/$name.log" 2>&1 ||
        { tail -n 60 "$work/$name.log" >&2; die "building '$name' failed"; }
}

# Sendmail for the tests, which cannot be installed beside Postfix: its packages are downloaded and unpacked below $MAILREEVE_TEST_CACHE ($work/cache by default).
fetch_sendmail() {
    MAILREEVE_TEST_CACHE=${MAILREEVE_TEST_CACHE:-$work/cache}
    export MAILREEVE_TEST_CACHE
    python3 "$top/tests/mta/private_sendmail.py" --fetch >"$work/sendmail.log" 2>&1 && return 0
    apt-get update -q >"$work/apt.log" 2>&1
    python3 "$top/tests/mta/private_sendmail.py" --fetch >"$work/sendmail.log" 2>&1 || { cat "$work/sendmail.log" >&2; die "there is no Sendmail for the tests"; }
}
