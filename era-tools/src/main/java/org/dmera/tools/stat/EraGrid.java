// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.stat;

import org.dmera.core.content.LastWritten;

/** Blocks by position and by the era in which they were last written, in as many cells as a picture can show. */
final class EraGrid implements LastWritten.Visitor {
    static final int MAX_COLUMNS = 200;
    static final int MAX_ROWS = 50;

    private final long blocksPerColumn;
    private final long erasPerRow;
    private final long currentEra;
    private final int columns;
    private final int rows;
    private final long nrBlocks;
    private final long[] counts;
    private long neverWritten;

    EraGrid(long nrBlocks, long currentEra) {
        this.nrBlocks = nrBlocks;
        this.currentEra = currentEra;
        blocksPerColumn = Math.max(1, (nrBlocks + MAX_COLUMNS - 1) / MAX_COLUMNS);
        erasPerRow = Math.max(1, (currentEra + MAX_ROWS - 1) / MAX_ROWS);
        columns = (int) Math.max(1, (nrBlocks + blocksPerColumn - 1) / blocksPerColumn);
        rows = (int) Math.max(1, (currentEra + erasPerRow - 1) / erasPerRow);
        counts = new long[columns * rows];
    }

    @Override
    public void block(long block, long era) {
        if (era == 0) {
            neverWritten++;
        } else {
            counts[rowOf(Math.min(era, currentEra)) * columns + columnOf(block)]++;
        }
    }

    int columns() {
        return columns;
    }

    int rows() {
        return rows;
    }

    long neverWritten() {
        return neverWritten;
    }

    int columnOf(long block) {
        return (int) (block / blocksPerColumn);
    }

    /** Row 0 begins with era 1. */
    int rowOf(long era) {
        return (int) ((era - 1) / erasPerRow);
    }

    /** Which part of a column's blocks was last written in a row's eras: 0 to 1. */
    double share(int column, int row) {
        long blocks = Math.min(blocksPerColumn, nrBlocks - column * blocksPerColumn);
        return blocks <= 0 ? 0 : (double) counts[row * columns + column] / blocks;
    }
}
