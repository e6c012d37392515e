# SPDX-License-Identifier: Apache-2.0
#
# Sourced, not run: packages of another Debian release, without touching this machine's apt.
#
# apt-get is pointed at a source list, package lists and a cache of its own (all below one folder), so that neither the
# host's package lists nor its choice of versions change, and nothing is ever installed: packages are downloaded and
# unpacked. The archive is the one that the host itself is configured for; a host that isn't Debian names one in
# ERA_DEBIAN_MIRROR (and the keyring package debian-archive-keyring must be there).

debian_keyring=${ERA_DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

# debian_uri LABEL: the base address of the host's configured archive with that Release label; empty when there is none.
debian_uri() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
        awk -F'|' -v label="$1" '$1 == "Debian" && $2 == label { print $3; exit }'
}

# debian_prepare CODENAME STATE: fetches that release's package lists into the folder STATE.
debian_prepare() {
    codename=$1
    state=$2
    main=${ERA_DEBIAN_MIRROR:-$(debian_uri Debian)}
    security=${ERA_DEBIAN_SECURITY_MIRROR:-$(debian_uri Debian-Security)}
    if [ -z "$main" ]; then
        echo "no Debian archive among this machine's apt sources: name one in ERA_DEBIAN_MIRROR" >&2
        return 1
    fi
    if [ ! -r "$debian_keyring" ]; then
        echo "$debian_keyring is missing: install debian-archive-keyring" >&2
        return 1
    fi
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/none"
    : > "$state/status"
    {
        echo "deb [arch=amd64 signed-by=$debian_keyring] $main $codename main"
        echo "deb [arch=amd64 signed-by=$debian_keyring] $main $codename-updates main"
        [ -z "$security" ] || echo "deb [arch=amd64 signed-by=$debian_keyring] $security $codename-security main"
    } > "$state/sources.list"
    debian_apt "$state" -qq update
}

# debian_apt STATE ARGUMENTS…: apt-get on that release's own state.
debian_apt() {
    state=$1
    shift
    apt-get -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts="$state/none" \
        -o Dir::Etc::preferences="$state/none/preferences" -o Dir::Etc::preferencesparts="$state/none" \
        -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::State::extended_states="$state/extended_states" -o Dir::Cache="$state/cache" \
        -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Sandbox::User=root \
        -o APT::Update::Post-Invoke::= -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# debian_show STATE PACKAGE FIELD: one field of the candidate version of a package.
debian_show() {
    apt-cache -o Dir::Etc::sourcelist="$1/sources.list" -o Dir::Etc::sourceparts="$1/none" \
        -o Dir::Etc::preferences="$1/none/preferences" -o Dir::Etc::preferencesparts="$1/none" \
        -o Dir::State::lists="$1/lists" -o Dir::State::status="$1/status" -o Dir::Cache="$1/cache" \
        -o APT::Architecture=amd64 -o APT::Architectures::=amd64 show --no-all-versions "$2" |
        sed -n "s/^$3: //p" | head -n 1
}

# debian_unpack STATE PACKAGE FOLDER: downloads the package and unpacks it there; its scripts are not run.
debian_unpack() {
    pool=$1/download
    mkdir -p "$pool" "$3"
    rm -f "$pool/$2"_*.deb
    (cd "$pool" && debian_apt "$1" -qq download "$2") || return 1
    dpkg-deb -x "$pool/$2"_*.deb "$3" || return 1
    rm -f "$pool/$2"_*.deb
}
