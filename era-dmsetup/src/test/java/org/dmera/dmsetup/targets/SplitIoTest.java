// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;

/** How a request is cut at the borders of pieces. */
class SplitIoTest {
    private static final long PIECES = (1L << 32) + 1;

    /** A byte each, but for the second, which stands for all the others: nobody waits for a test of 2^32 parts. */
    private static final SplitIo<BlockIo> MANY = new SplitIo<>() {
        private final BlockIo beneath = new MemoryBacking("beneath", 1);

        @Override
        public void flush() {}

        @Override
        protected long pieceAt(long offsetBytes) {
            return offsetBytes;
        }

        @Override
        protected long endBytes(long piece) {
            return piece == 0 ? 1 : PIECES;
        }

        @Override
        protected BlockIo beneath(long piece) {
            return beneath;
        }

        @Override
        protected long within(long piece, long offsetBytes) {
            return 0;
        }
    };

    @Test
    void aDiscardOfMorePartsThanFitAnIntGoesWhenTheLastIsMarked() {
        MANY.prepare(0, PIECES, failure -> Assertions.fail("only two of them are prepared"));
    }
}
