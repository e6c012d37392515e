// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.nio.ByteBuffer;
import java.util.List;

/** {@code zero}: reads as zeroes, forgets what is written. */
public final class ZeroTarget extends StoringNothing {
    private static final ByteBuffer ZEROES = ByteBuffer.allocateDirect(1 << 16).asReadOnlyBuffer();

    private ZeroTarget() {}

    /** As {@link TargetFactory#load}. */
    static Target load(long lengthSectors, List<String> arguments, TargetFactory.BackingOpener backings)
            throws TableException {
        if (!arguments.isEmpty()) {
            throw TableWords.invalid("No arguments required");
        }
        return new ZeroTarget();
    }

    @Override
    public String type() {
        return "zero";
    }

    @Override
    public void read(long offsetBytes, ByteBuffer dst) {
        while (dst.hasRemaining()) {
            dst.put(ZEROES.slice(0, Math.min(dst.remaining(), ZEROES.capacity())));
        }
    }

    @Override
    protected void change() {}

    @Override
    public long allocation(long offsetBytes, long lengthBytes) {
        return -lengthBytes;
    }
}
