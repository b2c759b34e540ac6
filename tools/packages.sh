# Installs the Debian packages that a script needs, and builds the program; sourced by tools/quickstart, tools/check and
# tools/demo-signal-peptides.
# shellcheck shell=bash

# What building takes: compiler, build system, OpenCL headers and loader, CLBlast, PoCL as the device that every
# machine has, and the libraries that are linked.
# shellcheck disable=SC2034 # used by those that source this
build_packages=(gcc libc6-dev meson ninja-build pkg-config python3 opencl-headers ocl-icd-opencl-dev libclblast-dev
    pocl-opencl-icd zlib1g-dev libjansson-dev nettle-dev)

# install_packages WHO NAME...: installs those that are missing, as root; else prints the one line that does and exits 4.
install_packages() {
    local who=$1 name missing=()
    shift
    if ! command -v dpkg-query >/dev/null; then
        echo "$who: not a Debian system; this is needed: $*" >&2
        return
    fi
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "$who: packages are missing; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 4
    fi
    echo "$who: installing ${missing[*]}" >&2
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null; then
        echo "$who: apt-get install --no-install-recommends ${missing[*]} failed" >&2
        exit 4
    fi
}

# build_program WHO SOURCES: builds what users run, in SOURCES/build-quickstart; prints the program's path.
build_program() {
    local build=$2/build-quickstart log=$2/.quickstart.log
    [ -e "$build/build.ninja" ] || meson setup --buildtype=release "$build" "$2" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
    rm -f "$log"
    ninja -C "$build" tools/performer >/dev/null || { echo "$1: the build failed; see: ninja -C $build" >&2; return 1; }
    echo "$build/tools/performer"
}
