// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.kernel;

/** One request to the era device, in whole blocks but for {@link Kind#PART}. */
record BlockIo(Kind kind, int firstBlock, int lastBlock, int sectorInBlock, int sectors) {
    private static final int REST_MILLISECONDS = 20;

    enum Kind {
        WRITE('w'),
        PART('p'),
        FUA('F'),
        ZERO('z'),
        DISCARD('d'),
        READ('r'),
        FSYNC('f'),
        /** None: the device is idle for a moment. */
        REST('s');

        private final char letter;

        Kind(char letter) {
            this.letter = letter;
        }
    }

    static BlockIo whole(Kind kind, int firstBlock, int lastBlock) {
        return new BlockIo(kind, firstBlock, lastBlock, 0, 0);
    }

    static BlockIo write(int block) {
        return whole(Kind.WRITE, block, block);
    }

    static BlockIo part(int block, int sectorInBlock, int sectors) {
        return new BlockIo(Kind.PART, block, block, sectorInBlock, sectors);
    }

    static BlockIo rest() {
        return whole(Kind.REST, 0, 0);
    }

    static BlockIo fsync() {
        return whole(Kind.FSYNC, 0, 0);
    }

    void apply(EraRecord record) {
        switch (kind) {
            case WRITE, PART, FUA, ZERO -> record.written(firstBlock, lastBlock);
            // The kernel doesn't cut a discard at the blocks' borders, and marks the block that it begins in.
            case DISCARD -> record.written(firstBlock, firstBlock);
            case READ, FSYNC, REST -> {
                // None changes data, and none marks.
            }
        }
    }

    /** As {@code guest/blockio} takes it. */
    String argument() {
        return switch (kind) {
            case FSYNC -> "f";
            case REST -> "s" + REST_MILLISECONDS;
            case PART -> "p" + firstBlock + ":" + sectorInBlock + ":" + sectors;
            case FUA -> "F" + firstBlock;
            default -> kind.letter + "" + firstBlock + "-" + lastBlock;
        };
    }
}
