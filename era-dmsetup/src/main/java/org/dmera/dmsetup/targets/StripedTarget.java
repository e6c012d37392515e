// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.util.List;

/** {@code striped COUNT CHUNK (DEVICE START)+}: chunks of CHUNK sectors on each device in turn. */
final class StripedTarget extends AreaTarget {
    private final long chunkSectors;

    private StripedTarget(long chunkSectors, List<Area> areas) {
        super(chunkSectors * TableWords.SECTOR_BYTES, areas);
        this.chunkSectors = chunkSectors;
    }

    /** As {@link TargetFactory#load}. */
    static Target load(long lengthSectors, List<String> arguments, TargetFactory.BackingOpener backings)
            throws TableException {
        if (arguments.size() < 2) {
            throw TableWords.invalid("Not enough arguments");
        }
        long count = TableWords.number(arguments.get(0), Integer.MAX_VALUE, "Invalid stripe count");
        if (count == 0) {
            throw TableWords.invalid("Invalid stripe count");
        }
        long chunk = TableWords.number(arguments.get(1), Integer.MAX_VALUE, "Invalid chunk_size");
        if (chunk == 0) {
            throw TableWords.invalid("Invalid chunk_size");
        }
        if (lengthSectors % count != 0) {
            throw TableWords.invalid("Target length not divisible by number of stripes");
        }
        if (lengthSectors / count % chunk != 0) {
            throw TableWords.invalid("Target length not divisible by chunk size");
        }
        if (arguments.size() != 2 + 2 * count) {
            throw TableWords.invalid("Not enough destinations specified");
        }
        String reason = "Couldn't parse stripe destination";
        List<String> words = arguments.subList(2, arguments.size());
        return new StripedTarget(chunk, open(words, lengthSectors / count, backings, reason, reason));
    }

    @Override
    public String type() {
        return "striped";
    }

    @Override
    public String table() {
        return dependencies().size() + " " + chunkSectors + areas();
    }

    @Override
    public String status() {
        StringBuilder text = new StringBuilder().append(dependencies().size());
        for (Backing b : dependencies()) {
            text.append(' ').append(TableWords.of(b));
        }
        return text.append(" 1 ").append("A".repeat(dependencies().size())).toString();
    }
}
