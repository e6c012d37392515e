// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;

/**
 * The fields of a cache target's status that a rollback needs: {@code MD_BLOCK USED/TOTAL BLOCK CACHED/NR_BLOCKS}
 * four counts of hits, {@code DEMOTIONS PROMOTIONS DIRTY #FEATURES … #CORE … POLICY #ARGS … rw|ro needs_check|-}.
 *
 * @param cached cache blocks that hold something
 * @param cacheBlocks cache blocks in all
 * @param dirty those newer than the origin
 */
record CacheStatus(long cached, long cacheBlocks, long dirty) {
    private static final int CACHED_AT = 3;
    private static final int DIRTY_AT = 10;

    /**
     * Reads the text after {@code start length cache}.
     *
     * @throws IOException for a cache that has failed, is read-only, or needs to be checked
     */
    static CacheStatus parse(String device, String params) throws IOException {
        String[] words = params.trim().split(" +", -1);
        if (words.length <= DIRTY_AT) {
            throw new IOException(device + ": the cache has failed: its status is \"" + params.trim() + "\"");
        }
        if (words[words.length - 1].equals("needs_check")) {
            throw new IOException(device + ": the cache's metadata needs a check (needs_check): run cache_check on it");
        }
        if (words[words.length - 2].equals("ro")) {
            throw new IOException(device + ": the cache's metadata is read-only: nothing can be invalidated");
        }
        try {
            int slash = words[CACHED_AT].indexOf('/');
            return new CacheStatus(
                    Long.parseLong(words[CACHED_AT].substring(0, Math.max(0, slash))),
                    Long.parseLong(words[CACHED_AT].substring(slash + 1)),
                    Long.parseLong(words[DIRTY_AT]));
        } catch (NumberFormatException e) {
            throw new IOException(device + ": not a cache target's status: \"" + params.trim() + "\"", e);
        }
    }
}
