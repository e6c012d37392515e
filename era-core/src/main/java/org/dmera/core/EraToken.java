// SPDX-License-Identifier: Apache-2.0
package org.dmera.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Base64;
import java.util.zip.CRC32;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.content.LastWritten;
import org.dmera.core.read.MetadataRoots;

/**
 * An era and a fingerprint of the history before it, short enough for a name: "what changed since then", asked of metadata
 * that was made anew since, or is another device's, is refused and not answered with too little.
 *
 * <p>It rests on what {@link EraPoint} does, that the era of a block stays what it was until the block is written again. But
 * instead of every block's it holds a {@link HistoryPrint}.
 *
 * <p>What it can't tell apart: metadata with the same history wherever it still looks; and if nothing had been written by
 * then, any that have got past the era without a write before it.
 */
public final class EraToken {
    /** So long is its text at most, in characters. */
    public static final int MAX_TEXT = 1536;

    private static final int VERSION = 1;
    private static final int HEAD_BYTES = 1 + 4 * Integer.BYTES;
    private static final int BYTES = HEAD_BYTES + HistoryPrint.BYTES + Integer.BYTES;

    /** Where the eras of all blocks come from: runs that follow one another from block 0 on, 0 for never written. */
    public interface History {
        /**
         * Passes all of them on.
         *
         * @param visitor gets the runs in order
         * @throws IOException when the eras can't be read
         */
        void forEach(Runs visitor) throws IOException;
    }

    /** Receives the runs. */
    public interface Runs {
        /**
         * The next blocks were last written in one era.
         *
         * @param count how many blocks
         * @param era u32; 0 for never
         * @throws IOException when that can't be taken
         */
        void run(long count, long era) throws IOException;
    }

    private final long era;
    /** The current era at that moment. */
    private final long reached;

    private final long nrBlocks;
    private final long blockSizeSectors;
    private final HistoryPrint print;

    private EraToken(long era, long reached, long nrBlocks, long blockSizeSectors, HistoryPrint print) {
        this.era = era;
        this.reached = reached;
        this.nrBlocks = nrBlocks;
        this.blockSizeSectors = blockSizeSectors;
        this.print = print;
    }

    /**
     * {@return the token of metadata as it is}
     *
     * @param device the metadata device
     * @param roots what its superblock, or its snapshot's, refers to
     * @param era u32, the first that is to be asked for later
     * @throws IOException when the metadata is damaged or can't be read
     */
    @SuppressWarnings("exports") // for the programs of this project; others call EraSnapshot.token()
    public static EraToken of(BlockDevice device, MetadataRoots roots, long era) throws IOException {
        return of(era, roots.currentEra(), roots.nrBlocks(), roots.dataBlockSizeSectors(), history(device, roots));
    }

    /**
     * {@return the token of a history that comes from elsewhere}
     *
     * @param era u32, the first that is to be asked for later
     * @param currentEra u32
     * @param nrBlocks blocks of the origin
     * @param blockSizeSectors sectors of 512 bytes in a block
     * @param history when each block was last written
     * @throws IOException when the history can't be read
     */
    public static EraToken of(long era, long currentEra, long nrBlocks, long blockSizeSectors, History history)
            throws IOException {
        return new EraToken(era, currentEra, nrBlocks, blockSizeSectors, HistoryPrint.of(nrBlocks, era, history));
    }

    private static History history(BlockDevice device, MetadataRoots roots) {
        return visitor -> LastWritten.forEach(device, roots, (block, of) -> visitor.run(1, of));
    }

    /** {@return the era (u32) that every write has for which the token asks, unless it has a later one} */
    public long era() {
        return era;
    }

    /**
     * {@return why this metadata can't be the same as that which the token is of, later on; null when nothing contradicts}
     *
     * @param device the metadata device
     * @param roots what its superblock, or its snapshot's, refers to
     * @throws IOException when the metadata is damaged or can't be read
     */
    @SuppressWarnings("exports")
    public String contradiction(BlockDevice device, MetadataRoots roots) throws IOException {
        return contradiction(
                roots.currentEra(), roots.nrBlocks(), roots.dataBlockSizeSectors(), history(device, roots));
    }

    /**
     * {@return why a history that comes from elsewhere can't go on from the token's; null when nothing contradicts}
     *
     * @param currentEra u32
     * @param nowBlocks blocks that the origin has now
     * @param nowBlockSizeSectors sectors of 512 bytes in a block now
     * @param history when each block was last written
     * @throws IOException when the history can't be read
     */
    public String contradiction(long currentEra, long nowBlocks, long nowBlockSizeSectors, History history)
            throws IOException {
        if (nowBlockSizeSectors != blockSizeSectors) {
            return "the block size was " + blockSizeSectors + " sectors and is " + nowBlockSizeSectors;
        }
        if (currentEra < reached) {
            return "the era went back from " + reached + " to " + currentEra;
        }
        return print.difference(history);
    }

    /** Its text: the era, {@code -}, and letters, digits, {@code -} and {@code _}. */
    @Override
    public String toString() {
        return era + "-" + Base64.getUrlEncoder().withoutPadding().encodeToString(encode());
    }

    /** {@return its bytes, for {@link #decode}; a checksum is among them} */
    public byte[] encode() {
        ByteBuffer b = ByteBuffer.allocate(BYTES);
        b.put((byte) VERSION).putInt((int) era).putInt((int) reached).putInt((int) nrBlocks);
        b.putInt((int) blockSizeSectors);
        print.put(b);
        return b.putInt(crc(b.array())).array();
    }

    private static int crc(byte[] bytes) {
        CRC32 crc = new CRC32();
        crc.update(bytes, 0, bytes.length - Integer.BYTES);
        return (int) crc.getValue();
    }

    /**
     * {@return whether bytes are those of a token, unchanged} Also of one of a version that this program can't read: each ends
     * with the CRC-32 of what comes before.
     *
     * @param bytes all of them
     */
    public static boolean isWhole(byte[] bytes) {
        return bytes.length > Integer.BYTES
                && ByteBuffer.wrap(bytes).getInt(bytes.length - Integer.BYTES) == crc(bytes);
    }

    /**
     * {@return whether a text is meant for a token rather than for an era alone}
     *
     * @param text what was given for an era
     */
    public static boolean isMeant(String text) {
        return text.indexOf('-') > 0;
    }

    /**
     * {@return what {@link #toString} gave the text of}
     *
     * @param text era, {@code -} and Base64 for URLs
     * @throws IOException in one line, when it isn't whole
     */
    public static EraToken parse(String text) throws IOException {
        int dash = text.indexOf('-');
        EraToken token;
        try {
            token = decode(Base64.getUrlDecoder().decode(text.substring(dash + 1)));
        } catch (IllegalArgumentException | IOException e) {
            String why = e instanceof IOException ? e.getMessage() : "not whole, or changed";
            throw new IOException("\"" + shown(text) + "\" is no token of an era: " + why, e);
        }
        if (dash < 0 || !text.substring(0, dash).equals(Long.toString(token.era))) {
            throw new IOException("\"" + shown(text) + "\" is no token of an era: its first number was changed");
        }
        return token;
    }

    private static String shown(String text) {
        return text.length() <= 40 ? text : text.substring(0, 40) + "…";
    }

    /**
     * {@return what {@link #encode} gave the bytes of}
     *
     * @param bytes all of them
     * @throws IOException in one line, when they aren't that
     */
    public static EraToken decode(byte[] bytes) throws IOException {
        if (!isWhole(bytes)) {
            throw new IOException("not whole, or changed");
        }
        ByteBuffer b = ByteBuffer.wrap(bytes);
        if (b.get() != VERSION || bytes.length != BYTES) {
            throw new IOException("of a version that this program does not know");
        }
        long era = Integer.toUnsignedLong(b.getInt());
        long reached = Integer.toUnsignedLong(b.getInt());
        long nrBlocks = Integer.toUnsignedLong(b.getInt());
        long blockSizeSectors = Integer.toUnsignedLong(b.getInt());
        return new EraToken(era, reached, nrBlocks, blockSizeSectors, HistoryPrint.get(nrBlocks, era, b));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EraToken token && Arrays.equals(encode(), token.encode());
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(encode());
    }
}
