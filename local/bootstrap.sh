#!/usr/bin/env bash
# Makes .venv of the checkout: what is missing on this machine is said in one message before anything is installed.
# Repeating it costs nothing; an interrupted run goes on where it was. Honours the user's own pip settings.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

DOWNLOAD_MB=470
DISK_MB=1600
MEMBERS=(
    proto/python sdk federation gateway governance services/asset-registry services/telemetry
    services/maintenance-twin services/energy-twin local cli
)

stamp_now() {
    cat requirements.lock local/bootstrap.sh "${MEMBERS[@]/%//pyproject.toml}" | sha256sum | cut -d' ' -f1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14 python; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
}

# The C library's version, as two numbers; empty where it is not glibc.
glibc_version() { getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p'; }

missing=()
need() { missing+=("  - $1"); }

check_machine() {
    local libc free_mb
    [ "$(uname -s)" = Linux ] || need "Linux (this is $(uname -s))"
    [ "$(uname -m)" = x86_64 ] || need "an x86_64 processor (this is $(uname -m)): a wheel is built for no other"
    libc=$(glibc_version)
    if [ -z "$libc" ]; then
        need "glibc 2.34 or later (this C library is another one)"
    elif [ "$(printf '2.34\n%s\n' "$libc" | sort -V | head -1)" != 2.34 ]; then
        need "glibc 2.34 or later (this is $libc): Debian 12, Ubuntu 22.04, Fedora 35, RHEL 9 or later"
    fi
    command -v git >/dev/null 2>&1 || need "git (Debian and Ubuntu: apt install git)"
    command -v make >/dev/null 2>&1 || need "make (Debian and Ubuntu: apt install make)"
    python=$(find_python)
    if [ -z "$python" ]; then
        need "Python 3.11 or later (apt install python3 python3-venv; or say PYTHON=/path/to/python3)"
    elif ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        need "the venv module of $python (Debian and Ubuntu: apt install python3-venv)"
    fi
    free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
    [ "$free_mb" -ge $((DISK_MB + 500)) ] || need "$((DISK_MB + 500)) MB of free disk here (there are $free_mb MB)"
    if [ ${#missing[@]} -gt 0 ]; then
        printf 'twinmesh needs, and this machine lacks:\n' >&2
        printf '%s\n' "${missing[@]}" >&2
        printf 'Nothing was installed.\n' >&2
        exit 1
    fi
}

stamp=.venv/.twinmesh-installed
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(stamp_now)" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

check_machine
echo "Installing into .venv: about $DOWNLOAD_MB MB to download (pip's cache is used), $DISK_MB MB on disk." >&2
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    rm -rf .venv
    "$python" -m venv .venv
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input install)
"${pip[@]}" --require-hashes -r requirements.lock | grep -v '^Requirement already satisfied' >&2 || [ "${PIPESTATUS[0]}" = 0 ]
editable=()
for member in "${MEMBERS[@]}"; do editable+=(-e "$member"); done
"${pip[@]}" -q --no-deps --no-build-isolation "${editable[@]}" >&2
stamp_now >"$stamp"
