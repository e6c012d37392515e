// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.EraRuns;
import org.dmera.core.format.Eras;
import org.dmera.core.read.MetadataRoots;

/**
 * What metadata knew at one moment: a token that "what changed since then" is asked by, and that metadata which was made
 * anew since can't answer.
 *
 * <p>An era alone is no such token: a counter that was reset climbs past the old number again. Metadata carries no name of
 * its own either (the kernel leaves the uuid zero). But history can't change: when each block was last written is the same
 * later on, unless it was written since, and then its era is at least {@link #era}. So this holds the era of every block,
 * as runs, deflated: some KiB for most devices, in the worst case a few bytes for each block.
 *
 * <p>What it can't tell apart are metadata with the very same history, block by block; and if nothing had been written by
 * then, any that have got past the era without a write before it.
 */
public final class EraPoint {
    private static final int MAGIC = 0x45524150;
    private static final int VERSION = 1;
    private static final int UUID_BYTES = 16;

    private final long era;
    /** The current era at that moment; 0 where it was not kept, as by former versions. */
    private final long reached;

    private final long nrBlocks;
    private final long blockSizeSectors;
    private final byte[] uuid;
    private final byte[] runs;

    private EraPoint(long era, long reached, long nrBlocks, long blockSizeSectors, byte[] uuid, byte[] runs) {
        this.era = era;
        this.reached = reached;
        this.nrBlocks = nrBlocks;
        this.blockSizeSectors = blockSizeSectors;
        this.uuid = uuid;
        this.runs = runs;
    }

    /**
     * {@return the point at which the metadata is}
     *
     * @param device the metadata device
     * @param roots what its superblock, or its snapshot's, refers to
     * @param era u32, the first that is to be asked for later
     * @throws IOException when the metadata is damaged or can't be read
     */
    @SuppressWarnings("exports") // for the programs of this project; others call EraSnapshot.point()
    public static EraPoint of(BlockDevice device, MetadataRoots roots, long era) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Deflater deflater = new Deflater(Deflater.BEST_SPEED);
        try (DeflaterOutputStream out = new DeflaterOutputStream(bytes, deflater, 1 << 16)) {
            EraRuns.forEach(device, roots, (first, count, of) -> {
                putNumber(out, count);
                putNumber(out, of);
            });
        } finally {
            deflater.end();
        }
        return new EraPoint(
                era,
                roots.currentEra(),
                roots.nrBlocks(),
                roots.dataBlockSizeSectors(),
                Arrays.copyOf(roots.uuid(), UUID_BYTES),
                bytes.toByteArray());
    }

    /**
     * {@return the token of the same metadata, without reading it again}
     *
     * @param since u32, as in {@link EraToken#of}
     * @param currentEra what the metadata named as the current era (u32)
     * @throws IOException when the point is damaged
     */
    public EraToken token(long since, long currentEra) throws IOException {
        return EraToken.of(since, currentEra, nrBlocks, blockSizeSectors, visitor -> {
            try (InputStream in = new InflaterInputStream(new java.io.ByteArrayInputStream(runs))) {
                for (long at = 0; at < nrBlocks; ) {
                    long count = number(in);
                    visitor.run(count, number(in));
                    at += count;
                }
            }
        });
    }

    /** {@return the era (u32) that every write after this point has, unless it has a later one} */
    public long era() {
        return era;
    }

    /**
     * {@return why this metadata can't be the same as that which the point is of, later on; null when nothing contradicts}
     *
     * @param device the metadata device
     * @param roots what its superblock, or its snapshot's, refers to
     * @throws IOException when the metadata is damaged or can't be read, or the point is damaged
     */
    @SuppressWarnings("exports")
    public String contradiction(BlockDevice device, MetadataRoots roots) throws IOException {
        if (roots.dataBlockSizeSectors() != blockSizeSectors) {
            return "the block size was " + blockSizeSectors + " sectors and is " + roots.dataBlockSizeSectors();
        }
        // The era alone is not enough: a held snapshot's point asks for the era before the one that had been reached.
        if (roots.nextEra() < era || roots.currentEra() < reached) {
            return "the era went back from " + Math.max(era, reached) + " to " + roots.currentEra();
        }
        if (!isZero(uuid) && !isZero(roots.uuid()) && !Arrays.equals(uuid, roots.uuid())) {
            return "its uuid was " + HexFormat.of().formatHex(uuid) + " and is "
                    + HexFormat.of().formatHex(roots.uuid());
        }
        try (Cursor before = new Cursor()) {
            String[] found = {null};
            EraRuns.forEach(device, roots, (first, count, now) -> {
                // What was written since may have any era from the point's on; what the origin grew by shows nothing.
                if (found[0] == null && first < nrBlocks) {
                    found[0] = before.compare(first, Math.min(count, nrBlocks - first), now);
                }
            });
            return found[0];
        }
    }

    private static boolean isZero(byte[] bytes) {
        for (byte b : bytes) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }

    /** The runs of the point, taken one after another. */
    private final class Cursor implements AutoCloseable {
        private final InputStream in = new InflaterInputStream(new java.io.ByteArrayInputStream(runs));
        private long left;
        private long of;

        /** Takes {@code count} blocks from {@code first} on, which now are of one era. */
        String compare(long first, long count, long now) throws IOException {
            long at = first;
            long end = first + count;
            while (at < end) {
                if (left == 0) {
                    left = number(in);
                    of = number(in);
                }
                if (of != now && now < Math.max(era, of)) {
                    return "block " + at + " was last written in era " + of + " then, and now the metadata says era "
                            + now;
                }
                long taken = Math.min(left, end - at);
                left -= taken;
                at += taken;
            }
            return null;
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }

    /**
     * Writes it in a form of its own, for {@link #read}: 52 bytes and the runs, big-endian.
     *
     * @param to is flushed, and stays open
     * @throws IOException when that can't be written to
     */
    public void write(OutputStream to) throws IOException {
        DataOutputStream out = new DataOutputStream(to);
        out.writeInt(MAGIC);
        out.writeInt(VERSION);
        out.writeLong(reached << Integer.SIZE | era);
        out.writeLong(nrBlocks);
        out.writeLong(blockSizeSectors);
        out.write(uuid);
        out.writeInt(runs.length);
        out.write(runs);
        out.flush();
    }

    /**
     * {@return what {@link #write} wrote} Whether it is undamaged is the caller's to know.
     *
     * @param from is read as far as the point goes, and stays open
     * @throws IOException when no point begins there, or its end is missing
     */
    public static EraPoint read(InputStream from) throws IOException {
        DataInputStream in = new DataInputStream(from);
        try {
            if (in.readInt() != MAGIC || in.readInt() != VERSION) {
                throw new IOException("not a point in an era device's history, or one of a later version");
            }
            long eras = in.readLong();
            long nrBlocks = in.readLong();
            long blockSizeSectors = in.readLong();
            byte[] uuid = in.readNBytes(UUID_BYTES);
            int length = in.readInt();
            byte[] runs = in.readNBytes(Math.max(0, length));
            if (runs.length != length) {
                throw new EOFException();
            }
            return new EraPoint(eras & Eras.HIGHEST, eras >>> Integer.SIZE, nrBlocks, blockSizeSectors, uuid, runs);
        } catch (EOFException e) {
            throw new IOException("a point in an era device's history is cut: its end is missing", e);
        }
    }

    private static void putNumber(OutputStream out, long number) throws IOException {
        long rest = number;
        while (rest > 0x7f) {
            out.write((int) (rest & 0x7f | 0x80));
            rest >>>= 7;
        }
        out.write((int) rest);
    }

    private static long number(InputStream in) throws IOException {
        long number = 0;
        for (int shift = 0; shift < Long.SIZE; shift += 7) {
            int b = in.read();
            if (b < 0) {
                throw new IOException("a point in an era device's history ends before its last block");
            }
            number |= (b & 0x7fL) << shift;
            if (b < 0x80) {
                return number;
            }
        }
        throw new IOException("a point in an era device's history holds an impossible number");
    }
}
