// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.rollback;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.cache.WrittenSectors.Extent;
import org.dmera.core.linux.Errno;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmClient;
import org.dmera.dmsetup.control.DmException;
import org.dmera.dmsetup.ioctl.DevNumber;
import org.dmera.dmsetup.ioctl.TargetSpec;

/**
 * What lies beneath a cache: linear layers (logical volumes among them), and an era device. The tables are followed down,
 * offsets added; anything that moves sectors in another way is refused by name.
 *
 * @param eraDevice the era device, by number and name
 * @param eraTarget its table line
 * @param extents of the cache's origin on the era device, ascending from sector 0, without gaps
 */
record CacheStack(DeviceId eraDevice, TargetSpec eraTarget, List<Extent> extents) {
    /** Layers that anybody has; a circle of devices is none that the kernel allows. */
    private static final int MAX_LAYERS = 32;

    /** Follows the tables down from {@code table}. */
    static CacheStack beneath(DmClient client, CacheTable table) throws IOException {
        Walk walk = new Walk(client);
        walk.descend(table.origin(), 0, table.lengthSectors(), 0);
        return new CacheStack(walk.eraDevice, walk.eraTarget, walk.merged());
    }

    /** The table's word for the era device's metadata device. */
    String metadata() {
        return eraTarget.params().trim().split(" +", -1)[0];
    }

    private static final class Walk {
        private final DmClient client;
        private final List<Extent> extents = new ArrayList<>();
        private long length;
        private DeviceId eraDevice;
        private TargetSpec eraTarget;

        Walk(DmClient client) {
            this.client = client;
        }

        /** Sectors {@code begin} to below {@code begin + length} of the device {@code word} are next on the cache's origin. */
        void descend(String word, long begin, long sectors, int layer) throws IOException {
            if (layer == MAX_LAYERS) {
                throw new IOException("more than " + MAX_LAYERS + " layers of devices beneath the cache");
            }
            DeviceId id = idOf(word);
            List<TargetSpec> table = client.table(id);
            if (TargetSpec.isOne("era", table)) {
                arrive(id, table.get(0), begin, sectors);
                return;
            }
            long at = begin;
            long end = begin + sectors;
            for (TargetSpec line : table) {
                long lineEnd = line.startSector() + line.lengthSectors();
                if (lineEnd <= at || line.startSector() >= end) {
                    continue;
                }
                if (!line.type().equals("linear")) {
                    throw new IOException(id.name() + " (" + word + ") is " + line.typeWithArticle() + " target"
                            + ": only linear layers can be followed from a cache to its era device");
                }
                String[] words = line.params().trim().split(" +", -1);
                if (words.length != 2 || !words[1].matches("[0-9]{1,18}") || at < line.startSector()) {
                    throw new IOException(
                            id.name() + " (" + word + ") has a table that can't be followed: " + line.line());
                }
                long part = Math.min(end, lineEnd) - at;
                descend(words[0], Long.parseLong(words[1]) + at - line.startSector(), part, layer + 1);
                at += part;
            }
            if (at < end) {
                throw new IOException(id.name() + " (" + word + ") is shorter than what lies on it: its table ends at "
                        + "sector " + at + ", expected " + end);
            }
        }

        private DeviceId idOf(String word) throws IOException {
            String[] numbers = word.split(":", -1);
            if (!word.matches("[0-9]{1,9}:[0-9]{1,9}")) {
                throw new IOException("there is no era device beneath the cache: " + word + " is no mapped device");
            }
            try {
                DeviceId id = DeviceId.ofNumber(Integer.parseInt(numbers[0]), Integer.parseInt(numbers[1]));
                return DeviceId.ofNumber(client.info(id).name(), DevNumber.encode(id.major(), id.minor()));
            } catch (DmException e) {
                if (e.is(Errno.ENXIO)) {
                    throw new IOException(
                            "there is no era device beneath the cache: " + word + " is no mapped device", e);
                }
                throw e;
            }
        }

        private void arrive(DeviceId id, TargetSpec target, long begin, long sectors) throws IOException {
            if (eraDevice != null && !eraDevice.equals(id)) {
                throw new IOException("the cache lies on two era devices, " + eraDevice.name() + " and " + id.name()
                        + ": their eras are not the same");
            }
            if (target.startSector() != 0 || begin + sectors > target.lengthSectors()) {
                throw new IOException("the era device " + id.name() + " has " + target.lengthSectors()
                        + " sectors, the cache reaches to sector " + (begin + sectors));
            }
            eraDevice = id;
            eraTarget = target;
            extents.add(new Extent(length, sectors, begin));
            length += sectors;
        }

        List<Extent> merged() {
            List<Extent> merged = new ArrayList<>();
            for (Extent extent : extents) {
                Extent last = merged.isEmpty() ? null : merged.get(merged.size() - 1);
                if (last != null && last.eraSector() + last.lengthSectors() == extent.eraSector()) {
                    merged.set(
                            merged.size() - 1,
                            new Extent(
                                    last.originSector(),
                                    last.lengthSectors() + extent.lengthSectors(),
                                    last.eraSector()));
                } else {
                    merged.add(extent);
                }
            }
            return merged;
        }
    }
}
