// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.io.IOException;
import java.util.List;
import java.util.stream.Collectors;
import org.dmera.core.format.Limits;

/**
 * How large an origin block is: nothing but superblocks records it, the one in use and the copies that held snapshots have
 * kept. With a wrong size every mark is of another place, so where two of them differ neither is believed.
 */
final class OriginBlockSize {
    private OriginBlockSize() {}

    /**
     * Sectors in an origin block, or −1 when neither the superblocks nor the user tell.
     *
     * @param whose the superblocks that say {@code stored}, as a message names them
     * @param stored what each of them says
     * @param hinted what the user says, or −1
     * @throws IOException when the user has to say it, or says what none of them does
     */
    static long choose(String whose, List<Long> stored, long hinted) throws IOException {
        List<Long> possible =
                stored.stream().filter(Limits::isBlockSize).distinct().toList();
        if (hinted < 0 && possible.size() > 1) {
            String sizes = possible.stream().map(String::valueOf).collect(Collectors.joining(" and "));
            throw new IOException("superblocks differ in the size of an origin block, which is " + sizes
                    + " sectors in them: say which it is with --block-size");
        }
        if (hinted >= 0 && !possible.isEmpty() && !possible.contains(hinted)) {
            throw new IOException(whose + " is sound and has origin blocks of " + possible.get(0)
                    + " sectors, not of --block-size " + hinted);
        }
        return hinted >= 0 || possible.isEmpty() ? hinted : possible.get(0);
    }
}
