# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the cases' scripts in the guest. A case has a name, a folder of its own in memory ($work), one loop device
# for its origin and one for its metadata, and a linear device over the latter, whose suspension freezes the metadata at
# one instant, as a power cut would.

set -eu
export DM_DISABLE_UDEV=1

# begin NAME METADATA_KIB ORIGIN_SECTORS: makes the devices; a metadata image given in the case's folder as start.img
# is what the metadata device begins with.
begin() {
    name=$1
    work=/tmp/$1
    mkdir -p "$work"
    truncate -s $(($2 * 1024)) "$work/meta"
    [ ! -f start.img ] || dd if=start.img of="$work/meta" bs=1M conv=notrunc 2> /dev/null
    truncate -s $(($3 * 512)) "$work/origin"
    meta_loop=$(losetup -f --show "$work/meta")
    origin=$(losetup -f --show "$work/origin")
    dmsetup create "$name-meta" --table "0 $(($2 * 2)) linear $meta_loop 0"
    meta=/dev/mapper/$name-meta
    dev=/dev/mapper/$name
}

# table LENGTH BLOCK_SECTORS
table() {
    echo "0 $1 era $meta $origin $2"
}

# image FILE: what a power cut at this moment would leave on the metadata device. Nothing of the case is under way.
image() {
    cp --sparse=always "$work/meta" "$1"
}

# cut FILE BLOCK_SECTORS OPERATION…: the same in the midst of these writes; says how many were over before the cut.
cut_power() {
    file=$1
    shift
    rm -f "$work/progress"
    BLOCKIO_PROGRESS=$work/progress "$lab/blockio" "$dev" "$@" &
    writer=$!
    # Not before the first of them is over; where the cut then falls is the scheduler's choice.
    until [ -s "$work/progress" ] || ! kill -0 $writer 2> /dev/null; do :; done
    acknowledged=$(stat -c %s "$work/progress")
    dmsetup suspend "$name-meta"
    cp --sparse=always "$work/meta" "$file"
    dmsetup resume "$name-meta"
    wait $writer
    echo "@acknowledged $file $acknowledged"
}

# put_back FILE: the metadata device as it was in that image; the era device must have been removed.
put_back() {
    dd if="$1" of="$work/meta" bs=1M conv=notrunc 2> /dev/null
}

finish() {
    dmsetup remove "$name-meta"
    losetup -d "$meta_loop" "$origin"
    rm -rf "$work"
}
