// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class NodeMountsTest {
    private static final Path BLOCK = Path.of("/sys/class/block");
    private static final List<Path> NODE =
            List.of(BLOCK.resolve("ublkb1"), BLOCK.resolve("ublkb1/ublkb1p1"), BLOCK.resolve("ublkb1/ublkb1p2"));

    private static List<String> swaps(String device) {
        return List.of(
                "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority",
                "%-40spartition\t1048572\t\t0\t\t-2".formatted(device));
    }

    @Test
    void swapOnANodeOrOnAPartitionOfItHasClaimedIt() {
        assertTrue(NodeMounts.isSwap(swaps("/dev/ublkb1"), NODE));
        assertTrue(NodeMounts.isSwap(swaps("/dev/ublkb1p2"), NODE));
    }

    @Test
    void swapOnANodeWhoseNameBeginsAlikeHasNotClaimedIt() {
        assertFalse(NodeMounts.isSwap(swaps("/dev/ublkb12"), NODE));
        assertFalse(NodeMounts.isSwap(swaps("/dev/ublkb1p21"), NODE));
        assertFalse(NodeMounts.isSwap(List.of(), NODE));
    }
}
