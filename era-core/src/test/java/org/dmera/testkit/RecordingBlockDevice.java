// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.block.MemoryBlockDevice;

/**
 * A device that remembers every write and flush, so that what a power cut may leave can be made from them afterwards.
 *
 * <p>After a power cut everything that was written before the last flush is there. Of each block written since, a disk
 * may have stored all, nothing, or some of its sectors of 512 bytes.
 */
public final class RecordingBlockDevice implements BlockDevice {
    /** A sector is stored whole or not at all. */
    public static final int SECTOR_BYTES = 512;

    /** A block written, or a flush when {@code bytes} is null. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Event(long block, byte[] bytes) {}

    private final MemoryBlockDevice now;
    private final byte[] atStart;
    private final List<Event> events = new ArrayList<>();

    /** Over {@code device}, which holds what was durable before the first event. */
    public RecordingBlockDevice(MemoryBlockDevice device) {
        this.now = device;
        this.atStart = device.bytes().clone();
    }

    /** Block writes and flushes so far. A power cut can come after any of them, and before the first. */
    public synchronized int eventCount() {
        return events.size();
    }

    /** Flushes so far. */
    public synchronized int flushCount() {
        return (int) events.stream().filter(e -> e.bytes == null).count();
    }

    @Override
    public long sizeBlocks() {
        return now.sizeBlocks();
    }

    @Override
    public void read(long firstBlock, ByteBuffer dst) throws IOException {
        now.read(firstBlock, dst);
    }

    @Override
    public synchronized void write(long firstBlock, ByteBuffer src) throws IOException {
        ByteBuffer copy = src.duplicate();
        now.write(firstBlock, src);
        for (long block = firstBlock; copy.hasRemaining(); block++) {
            byte[] bytes = new byte[BLOCK_BYTES];
            copy.get(bytes);
            events.add(new Event(block, bytes));
        }
    }

    @Override
    public synchronized void flush() {
        events.add(new Event(-1, null));
    }

    @Override
    public void close() {}

    /**
     * Goes through the power cuts, one after another: {@link #advance} to an event, then any number of {@link #cut}s
     * there. Uses one device, whose bytes are put back after each.
     */
    public final class PowerCuts {
        private final MemoryBlockDevice durable = new MemoryBlockDevice(atStart.clone());
        private final List<Event> unflushed = new ArrayList<>();
        private int position;

        /** The power fails after the next event; false when there is none. */
        public boolean advance() {
            if (position == events.size()) {
                return false;
            }
            Event event = events.get(position++);
            if (event.bytes == null) {
                for (Event write : unflushed) {
                    store(write, 0xff);
                }
                unflushed.clear();
            } else {
                unflushed.add(event);
            }
            return true;
        }

        /** Events before the cut. */
        public int position() {
            return position;
        }

        /** Blocks written since the last flush. */
        public int unflushedCount() {
            return unflushed.size();
        }

        /** What is done with the device that a power cut left. */
        public interface Survivor {
            void found(MemoryBlockDevice device) throws IOException;
        }

        /** All unflushed writes are lost. */
        public void cutWithoutUnflushed(Survivor survivor) throws IOException {
            cut(new int[unflushed.size()], survivor);
        }

        /** No write is lost. */
        public void cutWithAllUnflushed(Survivor survivor) throws IOException {
            int[] all = new int[unflushed.size()];
            Arrays.fill(all, 0xff);
            cut(all, survivor);
        }

        /** A random part of the unflushed writes is lost or torn. */
        public void cutAtRandom(Random random, Survivor survivor) throws IOException {
            int[] sectors = new int[unflushed.size()];
            for (int i = 0; i < sectors.length; i++) {
                int dice = random.nextInt(4);
                sectors[i] = dice == 0 ? 0 : dice == 1 ? random.nextInt(0x100) : 0xff;
            }
            cut(sectors, survivor);
        }

        private void cut(int[] sectors, Survivor survivor) throws IOException {
            byte[][] undo = new byte[sectors.length][];
            for (int i = 0; i < sectors.length; i++) {
                int at = (int) unflushed.get(i).block * BLOCK_BYTES;
                undo[i] = Arrays.copyOfRange(durable.bytes(), at, at + BLOCK_BYTES);
                store(unflushed.get(i), sectors[i]);
            }
            survivor.found(durable);
            for (int i = sectors.length - 1; i >= 0; i--) {
                int at = (int) unflushed.get(i).block * BLOCK_BYTES;
                System.arraycopy(undo[i], 0, durable.bytes(), at, BLOCK_BYTES);
            }
        }

        private void store(Event write, int sectors) {
            for (int s = 0; s < BLOCK_BYTES / SECTOR_BYTES; s++) {
                if ((sectors & 1 << s) != 0) {
                    System.arraycopy(
                            write.bytes,
                            s * SECTOR_BYTES,
                            durable.bytes(),
                            (int) write.block * BLOCK_BYTES + s * SECTOR_BYTES,
                            SECTOR_BYTES);
                }
            }
        }
    }
}
