// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.core.linux.FileDescriptors;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.EraStatus;

/**
 * {@code monitor}: a line that keeps saying in which era the device is and how its metadata fills. On an engine it also
 * counts the blocks that are marked in this era, and how many a second. ({@code --interval} seconds apart, {@code --count}
 * times; 0 or none is for ever.)
 */
final class MonitorCommand {
    boolean run(Session session, List<String> operands) throws IOException {
        DeviceId device = session.deviceOf(operands);
        int count = session.has(Switch.COUNT) ? session.switches().number(Switch.COUNT) : 0;
        boolean terminal = !session.has(Switch.JSON) && isTerminal();
        long markedBefore = -1;
        long eraBefore = -1;
        long timeBefore = 0;
        for (int i = 0; count == 0 || i < count; i++) {
            if (i > 0) {
                Repetition.pause(session);
            }
            EraStatus status = session.client().eraStatus(device);
            long marked = marked(session, device);
            long now = System.nanoTime();
            double rate = i == 0 || marked < 0 || eraBefore != status.currentEra()
                    ? 0
                    : (marked - markedBefore) * 1e9 / (now - timeBefore);
            session.out().print(line(session, status, marked, Math.round(rate), terminal));
            if (session.out().checkError()) {
                // The reader has gone (monitor DEVICE | head).
                return true;
            }
            markedBefore = marked;
            eraBefore = status.currentEra();
            timeBefore = now;
        }
        if (terminal) {
            session.out().println();
        }
        return true;
    }

    /** Whether standard output is a terminal. */
    private static boolean isTerminal() {
        return FileDescriptors.isTerminal(1);
    }

    /** Blocks marked in the current era; −1 from a kernel, which does not report them. */
    private static long marked(Session session, DeviceId device) throws IOException {
        if (session.control().isKernel()) {
            return -1;
        }
        String answer = session.client().message(device, 0, "@marked");
        return answer == null ? -1 : Long.parseLong(answer.trim());
    }

    private static String line(Session session, EraStatus status, long marked, long rate, boolean terminal) {
        if (session.has(Switch.JSON)) {
            Json json = new Json()
                    .beginObject()
                    .field("current_era", status.currentEra())
                    .field("metadata_used_blocks", status.usedBlocks())
                    .field("metadata_total_blocks", status.totalBlocks());
            if (marked >= 0) {
                json.field("marked_blocks", marked).field("marked_blocks_per_second", rate);
            }
            return json.endObject() + "\n";
        }
        String text = "era " + status.currentEra() + "  metadata " + status.usedBlocks() + "/" + status.totalBlocks()
                + (marked < 0 ? "" : "  marked " + marked + "  " + rate + "/s");
        return terminal ? "\r" + text + "\033[K" : text + "\n";
    }
}
