// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

import java.util.Arrays;
import java.util.BitSet;

/**
 * What was written when, by the generator's own account: the era target's rules as a user sees them, without any of the
 * metadata. It is what dumps and invalidations are measured against.
 */
final class EraRecord {
    private final int blockSizeSectors;
    private long lengthSectors;
    private int era;
    private int[] eraOfBlock = new int[0];
    private EraRecord held;

    EraRecord(int blockSizeSectors) {
        this.blockSizeSectors = blockSizeSectors;
    }

    /** A record to go on from. */
    EraRecord(int blockSizeSectors, int era, int[] eraOfBlock) {
        this.blockSizeSectors = blockSizeSectors;
        this.era = era;
        this.eraOfBlock = eraOfBlock.clone();
        this.lengthSectors = (long) eraOfBlock.length * blockSizeSectors;
    }

    private EraRecord(EraRecord other) {
        blockSizeSectors = other.blockSizeSectors;
        lengthSectors = other.lengthSectors;
        era = other.era;
        eraOfBlock = other.eraOfBlock.clone();
        // What a held snapshot says never changes.
        held = other.held;
    }

    EraRecord copy() {
        return new EraRecord(this);
    }

    int blockSizeSectors() {
        return blockSizeSectors;
    }

    long lengthSectors() {
        return lengthSectors;
    }

    int nrBlocks() {
        return eraOfBlock.length;
    }

    int era() {
        return era;
    }

    /** The era in which a block was last written; 0 = never. */
    int eraOfBlock(int block) {
        return eraOfBlock[block];
    }

    /** The record as it was when the held metadata snapshot was taken, or null. */
    EraRecord held() {
        return held;
    }

    /** A new table goes live: the record follows its length, and a new era begins. */
    void resume(long newLengthSectors) {
        lengthSectors = newLengthSectors;
        eraOfBlock = Arrays.copyOf(
                eraOfBlock, Math.toIntExact((newLengthSectors + blockSizeSectors - 1) / blockSizeSectors));
        era++;
    }

    void checkpoint() {
        era++;
    }

    void takeSnapshot() {
        era++;
        held = new EraRecord(this);
        held.held = null;
    }

    /** A snapshot is held whose record is this. */
    void hold(EraRecord snapshot) {
        held = snapshot;
    }

    void dropSnapshot() {
        held = null;
    }

    void written(int firstBlock, int lastBlock) {
        Arrays.fill(eraOfBlock, firstBlock, Math.min(lastBlock + 1, eraOfBlock.length), era);
    }

    /** The blocks written in era {@code since} or later. */
    BitSet writtenSince(int since) {
        BitSet blocks = new BitSet(eraOfBlock.length);
        for (int block = 0; block < eraOfBlock.length; block++) {
            if (eraOfBlock[block] >= since) {
                blocks.set(block);
            }
        }
        return blocks;
    }
}
