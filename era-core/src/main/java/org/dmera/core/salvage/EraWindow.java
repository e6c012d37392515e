// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Set;
import org.dmera.core.evidence.ArrayMap;
import org.dmera.core.evidence.BlockReader;
import org.dmera.core.evidence.UnclaimedParts.Content;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.format.Eras;

/**
 * The latest eras that are known of one window of the origin: arrays with marks are laid over one another in it, those of states
 * and those that have lost their reference alike.
 */
final class EraWindow {
    /** Origin blocks in one array block of a bitset; 32 array blocks of the era array hold as many eras. */
    static final int SIZE = ArrayBlock.WORDS_PER_BLOCK * Long.SIZE;

    /**
     * An array with marks.
     *
     * @param low its first array block
     * @param length origin blocks that it is for, from the origin's beginning on
     * @param era of a bitset, or −1 when that isn't known; −1 for eras
     */
    record Part(Content content, long low, long length, long era, ArrayMap map) {}

    /** A metadata block whose content has been overlaid: an array block's place, or a bitset's era, and how much of it. */
    private record Overlaid(int block, long as, long count) {}

    /** By origin block of the window, 0 where nothing is known. */
    final int[] latest = new int[SIZE];
    /** Origin blocks of the window that count as written because a part is lost. */
    final BitSet lost = new BitSet(SIZE);
    /** The first origin block. */
    long first;
    /** How many origin blocks there are. */
    int count;
    /** Eras of arrays are no higher; the era of what is lost. */
    long most;
    /** What has been overlaid already: most of a state is shared with the one before. */
    private final Set<Overlaid> overlaid = new HashSet<>();

    private final ByteBuffer block = BlockReader.newBuffer();

    /** Begins anew with the {@code count} origin blocks from {@code first} on, where a window begins. */
    void begin(long first, int count, long most) {
        this.first = first;
        this.count = count;
        this.most = most;
        Arrays.fill(latest, 0);
        lost.clear();
        overlaid.clear();
    }

    /** How many array blocks have been overlaid, but for those that have lost a part. */
    int nrOverlaid() {
        return overlaid.size();
    }

    /** Raises what {@code part} speaks for: by its eras, or to {@code era} where its bits are set. */
    void overlay(BlockReader reader, Part part, long era) {
        // An older state may be of a smaller origin; what lies past its end is not lost.
        int end = (int) Math.min(count, part.length() - first);
        boolean isOfEras = part.content() == Content.ERAS;
        int perBlock = isOfEras ? ArrayBlock.ERAS_PER_BLOCK : SIZE;
        for (int at = 0; at < end; at += perBlock) {
            long index = (first + at) / perBlock;
            int n = Math.min(perBlock, end - at);
            int values = isOfEras ? n : (n + Long.SIZE - 1) / Long.SIZE;
            boolean isWhole = part.map().usable(index) >= values;
            if (index < part.low()
                    || isWhole && !overlaid.add(new Overlaid(part.map().block(index), isOfEras ? at : era, n))) {
                continue;
            }
            int usable = part.map().load(reader, index, values, block);
            int known = isOfEras ? overlayEras(at, usable) : overlayWords(Math.min(n, usable * Long.SIZE), era);
            for (int i = at + known; i < at + n; i++) {
                raise(i, isOfEras ? most : era);
                lost.set(i);
            }
        }
    }

    /** Whether an origin block was written later than {@code other} knows, as far as both know anything of it. */
    boolean isLaterThan(EraWindow other) {
        for (int i = 0; i < count; i++) {
            if (Integer.compareUnsigned(latest[i], other.latest[i]) > 0 && !lost.get(i) && !other.lost.get(i)) {
                return true;
            }
        }
        return false;
    }

    private int overlayEras(int at, int n) {
        for (int i = 0; i < n; i++) {
            raise(at + i, Math.min(most, block.getInt(ArrayBlock.VALUES + i * Integer.BYTES) & Eras.HIGHEST));
        }
        return n;
    }

    private int overlayWords(int n, long era) {
        for (int i = 0; i < n; i += Long.SIZE) {
            raise(i, n, block.getLong(ArrayBlock.VALUES + i / Byte.SIZE), era);
        }
        return n;
    }

    /** Raises those from {@code i} on, and below {@code end}, whose bits are set in {@code word}. */
    void raise(int i, int end, long word, long era) {
        for (long rest = word; rest != 0; rest &= rest - 1) {
            int marked = i + Long.numberOfTrailingZeros(rest);
            if (marked < end) {
                raise(marked, era);
            }
        }
    }

    /** Raises one. */
    void raise(int i, long era) {
        latest[i] = Eras.later(latest[i], (int) era);
    }
}
