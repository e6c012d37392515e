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

# What follows is for cases that have an engine of their own; they set $work, where its socket is.

# era COMMAND…: asks it.
era() {
    "$lab/era-dmsetup" era-dmsetup --control "$work/control" "$@"
}

# engine [STATE]: starts one, $engine, on a folder of $work, and waits until its devices are back.
engine() {
    rm -f "$work/control"
    "$lab/era-dmsetup" era-dmsetup --control "$work/control" engine --state "$work/${1:-state}" 2>> engine.log &
    engine=$!
    until [ -S "$work/control" ]; do kill -0 $engine; sleep 0.1; done
}

# with_ublk: loads the driver for this case only: where it is there, an engine takes it. Modules are the first process's.
with_ublk() {
    chroot /proc/1/root modprobe ublk_drv
    trap 'chroot /proc/1/root rmmod ublk_drv' EXIT
}

# write_as_the_node_goes NAME: writes to the node of an engine's device of this name, over the disk NAME-slow, while its
# write-out waits for that disk, before it is taken away; says whether that was refused, is there in the end, or lost.
write_as_the_node_goes() {
    truncate -s 32M "$work/slow"
    slow=$(losetup -f --show "$work/slow")
    dmsetup create "$1-slow" --table "0 65536 linear $slow 0"
    era create "$1" --attach --table "0 65536 linear /dev/mapper/$1-slow 0"
    node=$(readlink "/dev/era/$1")
    head -c 4096 /dev/urandom > "$work/late"
    # The first to open it looks for partitions.
    blockdev --flushbufs "$node"
    dmsetup suspend --nolockfs "$1-slow"
    era detach "$1" &
    detaching=$!
    until cat /proc/$engine/task/*/stat 2> /dev/null | grep -q ') D '; do kill -0 $detaching; sleep 0.1; done
    if dd if="$work/late" of="$node" bs=4k seek=5 conv=notrunc; then late=lost; else late=refused; fi
    dmsetup resume "$1-slow"
    wait $detaching
    ! cmp -n 4096 -i 0:20480 "$work/late" "/dev/mapper/$1-slow" || late=there
    echo "@late is $late"
}
