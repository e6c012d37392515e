// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.util.function.Consumer;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.cache.StaleCacheBlocks;
import org.dmera.core.cache.WrittenSectors;
import org.dmera.dmsetup.control.DevicePaths;
import org.dmera.tools.input.MetadataInput;

/** Takes out of a cache in passthrough mode what is stale in it after the volume beneath was rolled back. */
record Invalidation(MappedCache cache, long since, Consumer<String> log) {
    /** Characters of blocks in one message: far below what a call to the kernel takes. */
    private static final int MESSAGE_CHARS = 8000;

    /** @return how many cached blocks stay; the cache is suspended then */
    long run(WrittenSectors written) throws IOException {
        // A status commits what the cache knows, so that the metadata on the device is as new.
        long before = cache.status().cached();
        StaleCacheBlocks stale = stale(written);
        if (stale.dirty() > 0) {
            throw new IOException(stale.dirty() + " blocks to be invalidated are dirty, in passthrough mode");
        }
        log.accept("invalidating " + stale.count() + " of " + stale.mapped() + " cached blocks, which hold something"
                + " written since era " + since);
        send(stale);
        long after = cache.status().cached();
        if (after > before - stale.count()) {
            throw new IOException(
                    "the cache still holds " + after + " blocks, expected at most " + (before - stale.count()));
        }
        cache.suspend();
        StaleCacheBlocks left = stale(written);
        if (left.count() > 0) {
            throw new IOException(left.count() + " stale blocks are still in the cache after their invalidation");
        }
        long cached = cache.statusUncommitted().cached();
        if (left.mapped() != cached) {
            throw new IOException("the cache holds " + cached + " blocks, and its metadata, as read from "
                    + DevicePaths.of(cache.table().metadata()) + ", " + left.mapped()
                    + ": is that its metadata device?");
        }
        return left.mapped();
    }

    /** What is in the cache, and which of it holds something that was written. */
    StaleCacheBlocks stale(WrittenSectors written) throws IOException {
        try (BlockDevice device =
                MetadataInput.open(DevicePaths.of(cache.table().metadata()), true)) {
            return StaleCacheBlocks.findLive(device, written);
        }
    }

    private void send(StaleCacheBlocks stale) throws IOException {
        StringBuilder blocks = new StringBuilder();
        stale.blocks().forEachRange((begin, end) -> {
            if (blocks.length() > MESSAGE_CHARS) {
                cache.invalidate(blocks.toString());
                blocks.setLength(0);
            }
            blocks.append(blocks.length() == 0 ? "" : " ").append(begin);
            if (end - begin > 1) {
                blocks.append('-').append(end);
            }
        });
        if (blocks.length() > 0) {
            cache.invalidate(blocks.toString());
        }
    }
}
