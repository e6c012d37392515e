// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.metadata;

import java.io.IOException;
import org.dmera.core.format.ArrayBlock;
import org.dmera.core.persistent.DiskBitset;

/**
 * The digestion of archived writesets into the era array, in steps small enough to be taken between other work.
 *
 * <p>A step is one of: look up the lowest archived era; transcribe up to 100 bits of its writeset; remove the writeset
 * when all of it is transcribed. Only the last bit of a writeset matters to a reader, and the writeset stays archived
 * until then: it can be stopped at any point, also by a crash, and begun again. Steps change the open transaction; some
 * later commit makes them durable.
 *
 * <p>Belongs to the thread that owns the metadata.
 */
public final class Digest {
    /** Bits looked at in one step. The kernel's figure; it decides how steps and commits interleave. */
    public static final int BITS_PER_STEP = 100;

    private enum Next {
        NOTHING,
        LOOK_UP,
        TRANSCRIBE,
        REMOVE
    }

    private final EraMetadata metadata;
    private final DiskBitset writeset;
    private final int[] marked = new int[BITS_PER_STEP];
    private final long[] words = new long[BITS_PER_STEP / 64 + 2];
    private final int[] last = new int[BITS_PER_STEP];
    private Next next = Next.NOTHING;
    private long era;
    private long nrBits;
    private long currentBit;
    private boolean isSparing;

    public Digest(EraMetadata metadata) {
        this.metadata = metadata;
        this.writeset = new DiskBitset(metadata.transactionManager(), "archived writeset", 0);
    }

    /** Begins with the lowest archived era, unless it is under way already: it will then get to the others by itself. */
    public void begin() {
        if (next == Next.NOTHING) {
            next = Next.LOOK_UP;
        }
    }

    /** Whether there is a step to take. */
    public boolean underWay() {
        return next != Next.NOTHING;
    }

    /** Gives up where it is. What has been transcribed stays. */
    public void abandon() {
        next = Next.NOTHING;
    }

    /**
     * Whether steps are to allocate as few blocks as they can, for a device that is all but full: each changes at most one
     * block of the era array, and transcribes nothing that the array itself or a later writeset records anyway. What a
     * reader finds is the same.
     */
    void sparing(boolean isSparing) {
        this.isSparing = isSparing;
    }

    /** Whether the last step removed a writeset, which the next commit frees. */
    boolean hasRemoved() {
        return next == Next.LOOK_UP;
    }

    /** The era that is being transcribed; meaningless when none is. */
    public long era() {
        return era;
    }

    /**
     * Takes one step; returns whether there is another. When it fails, digestion is abandoned.
     */
    public boolean step() throws IOException {
        Next due = next;
        next = Next.NOTHING;
        switch (due) {
            case NOTHING -> {}
            case LOOK_UP -> metadata.change(this::lookUp);
            case TRANSCRIBE -> metadata.change(this::transcribe);
            case REMOVE -> metadata.change(this::remove);
        }
        return underWay();
    }

    private void lookUp() throws IOException {
        WritesetTree tree = metadata.writesets();
        if (!tree.findLowest()) {
            return;
        }
        era = tree.foundEra();
        // Taken now: a resize while this writeset is being transcribed does not change its end.
        nrBits = Math.min(tree.foundNrBits(), metadata.nrBlocks());
        writeset.root(tree.foundBitsetRoot());
        currentBit = 0;
        next = Next.TRANSCRIBE;
    }

    private void transcribe() throws IOException {
        long end = Math.min(currentBit + BITS_PER_STEP, nrBits);
        if (isSparing) {
            end = Math.min(end, (currentBit / ArrayBlock.ERAS_PER_BLOCK + 1) * ArrayBlock.ERAS_PER_BLOCK);
        }
        // The origin may have shrunk under a digestion that a suspended target keeps.
        long endOfOrigin = Math.min(end, metadata.nrBlocks());
        int count = collectMarked(endOfOrigin);
        if (isSparing) {
            count = dropRecorded(count, endOfOrigin);
        }
        metadata.eraArray().raiseEras(marked, count, (int) era);
        currentBit = end;
        next = end == nrBits ? Next.REMOVE : Next.TRANSCRIBE;
    }

    private int collectMarked(long end) throws IOException {
        if (currentBit >= end) {
            return 0;
        }
        long firstWord = currentBit >>> 6;
        int nrWords = (int) (DiskBitset.words(end) - firstWord);
        writeset.readWords(firstWord, nrWords, words, 0);
        words[0] &= -1L << currentBit;
        if ((end & 63) != 0) {
            words[nrWords - 1] &= -1L >>> -end;
        }
        int count = 0;
        for (int w = 0; w < nrWords; w++) {
            for (long word = words[w]; word != 0; word &= word - 1) {
                marked[count++] = (int) (firstWord + w << 6) + Long.numberOfTrailingZeros(word);
            }
        }
        return count;
    }

    /** Drops from {@link #marked} what the era array or a writeset of a later era records; returns how many are left. */
    private int dropRecorded(int count, long end) throws IOException {
        if (count == 0) {
            return 0;
        }
        metadata.readEras(currentBit, (int) (end - currentBit), last, 0);
        int left = 0;
        for (int i = 0; i < count; i++) {
            boolean isOfThisEra = last[(int) (marked[i] - currentBit)] == (int) era;
            if (isOfThisEra && metadata.eraArray().getInt(marked[i]) != (int) era) {
                marked[left++] = marked[i];
            }
        }
        return left;
    }

    private void remove() throws IOException {
        metadata.writesets().remove(era);
        next = Next.LOOK_UP;
    }
}
