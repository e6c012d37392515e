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
    loops "$@"
    dmsetup create "$name-meta" --table "0 $(($2 * 2)) linear $meta_loop 0"
}

# begin_recorded: the same, and every write and flush of the metadata is recorded, in order, with a mark before each step;
# "finish" leaves the record in the case's folder as writes.log.
begin_recorded() {
    loops "$@"
    truncate -s 32M "$work/log"
    log_loop=$(losetup -f --show "$work/log")
    dmsetup create "$name-meta" --table "0 $(($2 * 2)) log-writes $meta_loop $log_loop"
}

loops() {
    name=$1
    work=/run/$1
    log_loop=
    mkdir -p "$work"
    truncate -s $(($2 * 1024)) "$work/meta"
    [ ! -f start.img ] || dd if=start.img of="$work/meta" bs=1M conv=notrunc 2> /dev/null
    truncate -s $(($3 * 512)) "$work/origin"
    meta_loop=$(losetup -f --show "$work/meta")
    origin=$(losetup -f --show "$work/origin")
    meta=/dev/mapper/$name-meta
    dev=/dev/mapper/$name
}

# step NUMBER: the workload's next step begins.
step() {
    step=$1
    [ -z "$log_loop" ] || dmsetup message "$name-meta" 0 mark "$step"
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
    [ -z "$log_loop" ] || { losetup -d "$log_loop" && cp --sparse=always "$work/log" writes.log; }
    rm -rf "$work"
}
