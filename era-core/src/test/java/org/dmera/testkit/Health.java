// SPDX-License-Identifier: Apache-2.0
package org.dmera.testkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.dmera.core.block.BlockDevice;
import org.dmera.core.check.CheckReport;
import org.dmera.core.check.MetadataChecker;
import org.dmera.core.evidence.Damage;
import org.dmera.core.format.BTreeNode;
import org.dmera.core.format.BitmapBlock;
import org.dmera.core.format.DamageKind;
import org.dmera.core.format.IndexBlock;
import org.dmera.core.format.Severity;
import org.dmera.core.format.Superblock;

/** Whether metadata on a device is in perfect health: every rule of the checker, and a count of references of its own. */
public final class Health {
    private Health() {}

    /** Fails with {@code when} in its message unless everything is as it should be. */
    public static void require(BlockDevice device, String when) throws IOException {
        requireExactCounts(device, when);
        CheckReport report = MetadataChecker.check(device);
        if (!report.isClean()) {
            throw new AssertionError(when + ": " + report);
        }
    }

    /**
     * As {@link #require}, for metadata that was {@code formatted} and opened again before the next commit: then the
     * index, which formatting leaves two blocks behind its bitmap, stays so.
     */
    public static void requireAllButFormatsIndex(BlockDevice device, String when, boolean formatted)
            throws IOException {
        if (!formatted) {
            require(device, when);
            return;
        }
        exactCounts(device, when, true);
        for (Damage damage : MetadataChecker.check(device).damages()) {
            if (damage.severity() != Severity.NOTE && damage.kind() != DamageKind.WRONG_NR_FREE) {
                throw new AssertionError(when + ": " + damage);
            }
        }
    }

    /** Every stored reference count is the number of references that there are: nothing leaks, nothing is freed early. */
    public static void requireExactCounts(BlockDevice device, String when) throws IOException {
        exactCounts(device, when, false);
    }

    private static void exactCounts(BlockDevice device, String when, boolean formatted) throws IOException {
        ReferencedBlocks reached = ReferencedBlocks.of(device);
        Superblock sb = new Superblock().wrap(read(device, 0), 0);
        IndexBlock index = new IndexBlock().wrap(read(device, sb.spaceMapBitmapRoot()), 0);
        long allocated = 0;
        BitmapBlock bitmap = new BitmapBlock();
        int free = 0;
        for (long block = 0; block < sb.spaceMapNrBlocks(); block++) {
            int entry = (int) (block % BitmapBlock.ENTRIES);
            int i = (int) (block / BitmapBlock.ENTRIES);
            if (entry == 0) {
                bitmap.wrap(read(device, index.bitmapBlock(i)), 0);
                free = BitmapBlock.ENTRIES;
            }
            int stored = bitmap.count(entry);
            long count = stored == BitmapBlock.SEE_TREE ? treeCount(device, sb.spaceMapRefCountRoot(), block) : stored;
            int references = reached.references(block);
            if (count != references) {
                throw new AssertionError(when + ": block " + block + " has count " + count + " and " + references
                        + " references; it is " + reached.blocks().get(block));
            }
            if (count != 0) {
                allocated++;
                free--;
            } else if (entry < index.noneFreeBefore(i)) {
                throw new AssertionError(
                        when + ": block " + block + " is free, but none_free_before is " + index.noneFreeBefore(i));
            }
            if (entry == BitmapBlock.ENTRIES - 1 || block == sb.spaceMapNrBlocks() - 1) {
                // Formatting leaves the index two blocks behind its bitmap until the next commit.
                boolean justFormatted = i == 0 && (formatted || sb.currentEra() == 0 && sb.nrBlocks() == 0);
                if (free != index.nrFree(i) && !(justFormatted && free == index.nrFree(i) - 2)) {
                    throw new AssertionError(
                            when + ": bitmap " + i + " has " + free + " free, its index says " + index.nrFree(i));
                }
            }
        }
        if (allocated != sb.spaceMapNrAllocated()) {
            throw new AssertionError(
                    when + ": " + allocated + " blocks are allocated, the superblock says " + sb.spaceMapNrAllocated());
        }
    }

    private static long treeCount(BlockDevice device, long root, long block) throws IOException {
        BTreeNode node = new BTreeNode().wrap(read(device, root), 0);
        int i = node.lowerBound(block);
        if (i < 0 || node.isLeaf() && node.key(i) != block) {
            throw new AssertionError("block " + block + " has no count in the reference-count tree");
        }
        return node.isLeaf() ? node.valueInt(i) : treeCount(device, node.valueLong(i), block);
    }

    private static ByteBuffer read(BlockDevice device, long number) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(BlockDevice.BLOCK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        device.read(number, bytes);
        return bytes;
    }
}
