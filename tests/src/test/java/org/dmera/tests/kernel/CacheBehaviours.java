// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;

/** What dm-cache does that a rollback has to know; the table in {@code tests/kernel/README.md} names the cases. */
final class CacheBehaviours {
    /** A cache in write-back mode with dirty blocks, on an era device. */
    private static final String BEGIN = """
            dmsetup create $name-data --table "0 65536 era $meta $origin 64"
            truncate -s 4M $work/cacheMeta
            truncate -s 8M $work/cacheData
            cacheMeta=$(losetup -f --show $work/cacheMeta)
            cacheData=$(losetup -f --show $work/cacheData)
            # cache MODE [POLICY [METADATA]]
            cache() {
                echo "0 65536 cache ${3:-$cacheMeta} $cacheData /dev/mapper/$name-data 64 1 $1 ${2:-smq} 0"
            }
            # field N: of the cache's status; 7 is CACHED/BLOCKS, 14 is DIRTY
            field() {
                dmsetup status --noflush ${2:-$name} | awk "{ print \\$$1 }"
            }
            # switch TABLE
            switch() {
                dmsetup suspend $name
                dmsetup load $name --table "$1"
                dmsetup resume $name
            }
            dmsetup create $name --table "$(cache writeback)"
            # Dirties what is cached, and holds it: an idle cache writes back on its own.
            dirty_and_suspended() {
                for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                    dd if=/dev/urandom of=$dev bs=32k count=100 oflag=direct conv=notrunc 2> /dev/null
                    dmsetup suspend $name
                    [ "$(field 14)" = 0 ] || return 0
                    # A busy machine was slow to suspend: all is clean again.
                    dmsetup resume $name
                done
                return 1
            }
            rounds=0
            until [ "$(field 7 | cut -d/ -f1)" -ge 20 ] && [ $rounds -ge 3 ]; do
                dd if=/dev/urandom of=$dev bs=32k count=100 oflag=direct conv=notrunc 2> /dev/null
                sleep 1
                rounds=$((rounds + 1))
            done
            """;

    private static final String END = """
            dmsetup remove $name
            dmsetup remove $name-data
            losetup -d $cacheMeta $cacheData
            """;

    private CacheBehaviours() {}

    /** Of {@code USED/ALL}, the first. */
    private static int blocks(String used) {
        return Integer.parseInt(used.substring(0, used.indexOf('/')));
    }

    static List<KernelBehaviour> all() {
        return List.of(
                behaviour("passthroughIsTakenAtTheLoadAndRefusedAtTheResumeWhileBlocksAreDirty", """
                        dirty_and_suspended
                        echo "@dirty before $(field 14)"
                        before=$(field 7)
                        echo "@cached before $before"
                        code=0; dmsetup load $name --table "$(cache passthrough)" || code=$?; echo "@code load $code"
                        code=0; dmsetup resume $name 2> said || code=$?; echo "@code resume $code $(grep -o 'busy' said)"
                        echo "@cached inBetween $([ "$(field 7 | cut -d/ -f1)" -le 1 ] && echo none || field 7)"
                        switch "$(cache writeback cleaner)"
                        [ "$(field 7)" = "$before" ]
                        echo "@cached afterwards same"
                        """, (folder, log) -> {
                    assertNotEquals("0", log.answer("dirty", "before"));
                    assertEquals("0", log.answer("code", "load"));
                    assertEquals("1 busy", log.answer("code", "resume"));
                    // Mostly the mappings are not loaded yet; a slow machine has shown some of them, and all.
                    String inBetween = log.answer("cached", "inBetween");
                    assertTrue(
                            inBetween.equals("none") || blocks(inBetween) <= blocks(log.answer("cached", "before")),
                            inBetween);
                    assertEquals("same", log.answer("cached", "afterwards"));
                }),
                behaviour("cacheBlocksAreInvalidatedInPassthroughModeOnly", """
                        # try LABEL BLOCKS…
                        try() {
                            label=$1
                            shift
                            code=0; dmsetup message $name 0 invalidate_cblocks "$@" 2> /dev/null || code=$?
                            echo "@code $label $code"
                        }
                        try writeback 3
                        switch "$(cache writeback cleaner)"
                        until [ "$(field 14)" = 0 ]; do dmsetup status $name; sleep 0.2; done > /dev/null
                        switch "$(cache passthrough)"
                        cached=$(field 7)
                        try one 3
                        try again 3
                        try ranges 10-12 20
                        echo "@fewer $((${cached%/*} - $(field 7 | sed 's,/.*,,'))) blocks"
                        try empty 5-5
                        try outside 99999
                        """, (folder, log) -> {
                    assertEquals("1", log.answer("code", "writeback"));
                    assertEquals("0", log.answer("code", "one"));
                    assertEquals("0", log.answer("code", "again"), "a block that holds nothing");
                    assertEquals("0", log.answer("code", "ranges"));
                    assertEquals("1", log.answer("code", "empty"), "the end is exclusive");
                    assertEquals("1", log.answer("code", "outside"));
                }),
                behaviour(
                        "whatTheCacheWritesBackLateIsMarkedInTheLaterEra",
                        """
                        dirty_and_suspended
                        dmsetup message $name-data 0 checkpoint
                        era=$(dmsetup status $name-data | awk '{ print $6 }')
                        switch "$(cache writeback cleaner)"
                        until [ "$(field 14)" = 0 ]; do dmsetup status $name; sleep 0.2; done > /dev/null
                        dmsetup message $name-data 0 take_metadata_snap
                        "$lab/era-tools" era_invalidate --metadata-snapshot --written-since $era --format ranges $meta > ranges
                        dmsetup message $name-data 0 drop_metadata_snap
                        echo "@marked late $(wc -l < ranges)"
                        """,
                        (folder, log) -> assertNotEquals("0", log.answer("marked", "late"))),
                behaviour("aCacheThatWasNotShutDownIsDirtyThroughoutAndDoesNotEnterPassthrough", """
                        switch "$(cache writeback cleaner)"
                        until [ "$(field 14)" = 0 ]; do dmsetup status $name; sleep 0.2; done > /dev/null
                        switch "$(cache passthrough)"
                        dmsetup status $name > /dev/null
                        echo "@live dirty $(field 14)"
                        # What a power cut leaves.
                        dd if=$cacheMeta of=$work/cut bs=4k iflag=direct 2> /dev/null
                        cut=$(losetup -f --show $work/cut)
                        dmsetup create $name-cut --notable
                        dmsetup load $name-cut --table "$(cache passthrough smq $cut)"
                        code=0; dmsetup resume $name-cut 2> /dev/null || code=$?; echo "@code passthrough $code"
                        dmsetup remove $name-cut
                        losetup -d $cut
                        """, (folder, log) -> {
                    assertEquals("0", log.answer("live", "dirty"));
                    assertEquals("1", log.answer("code", "passthrough"));
                }));
    }

    private static KernelBehaviour behaviour(String name, String script, KernelBehaviour.Check check) {
        return new KernelBehaviour(name, BEGIN + script + END, check);
    }
}
