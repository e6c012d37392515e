// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.dmera.core.block.BlockDevice;

/**
 * A device that fails once, at a chosen read, write or flush, and then works again. A write that fails has stored some
 * of its sectors, in order.
 */
public final class FaultyBlockDevice implements BlockDevice {
    /** What the message of an injected failure begins with. */
    public static final String INJECTED = "injected failure";

    private final BlockDevice inner;
    private long untilFailure = -1;
    private int sectorsStored;
    private boolean readsCount;
    private long unreadable = -1;
    private long blocksRead;

    public FaultyBlockDevice(BlockDevice inner) {
        this.inner = inner;
    }

    /**
     * Fails the {@code n}-th call from now on, from 0; a negative one fails none.
     *
     * @param readsCount whether reads are counted, and so can fail
     * @param sectorsStored sectors of 512 bytes that a failing write stores
     */
    public void failAfter(long n, boolean readsCount, int sectorsStored) {
        this.untilFailure = n;
        this.readsCount = readsCount;
        this.sectorsStored = sectorsStored;
    }

    /** Fails all reads of {@code block} from now on. */
    public void failOn(long block) {
        this.unreadable = block;
    }

    /** How many blocks were read. */
    public long blocksRead() {
        return blocksRead;
    }

    /** Whether the failure that was asked for is still to come. */
    public boolean isArmed() {
        return untilFailure >= 0;
    }

    @Override
    public long sizeBlocks() {
        return inner.sizeBlocks();
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws IOException {
        long blocks = dst.remaining() / BLOCK_BYTES;
        blocksRead += blocks;
        boolean isUnreadable = unreadable >= firstBlock && unreadable < firstBlock + blocks;
        if (readsCount && due() || isUnreadable) {
            throw new IOException(INJECTED + " of a read of block " + firstBlock);
        }
        inner.read(firstBlock, dst);
    }

    @Override
    public void write(long firstBlock, ByteBuffer src) throws IOException {
        if (due()) {
            int bytes = Math.min(sectorsStored * RecordingBlockDevice.SECTOR_BYTES, src.remaining());
            int blocks = bytes / BLOCK_BYTES + (bytes % BLOCK_BYTES == 0 ? 0 : 1);
            if (blocks > 0) {
                ByteBuffer torn = ByteBuffer.allocate(blocks * BLOCK_BYTES);
                inner.read(firstBlock, torn);
                torn.clear();
                torn.put(src.duplicate().limit(src.position() + bytes));
                inner.write(firstBlock, torn.clear());
            }
            throw new IOException(INJECTED + " of a write of block " + firstBlock);
        }
        inner.write(firstBlock, src);
    }

    @Override
    public void flush() throws IOException {
        if (due()) {
            throw new IOException(INJECTED + " of a flush");
        }
        inner.flush();
    }

    @Override
    public void close() throws IOException {
        inner.close();
    }

    private boolean due() {
        return untilFailure >= 0 && untilFailure-- == 0;
    }
}
