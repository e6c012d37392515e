// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * What one client can choose from, and how far it has come with that. One that takes too long is dropped; not one that waits for
 * us to open what it has chosen.
 */
final class NbdChoice implements ExportSource {
    /** From the end of our part, or of the time, to the next word of the client. */
    private static final long AFTER_CHOICE_MILLIS = 1000;

    private final ExportSource exports;
    /** As the log names it. */
    private final String client;

    private final ScheduledExecutorService deadlines;
    private final Consumer<NbdChoice> onLate;
    private volatile Future<?> deadline;
    /** The server opens what the client has chosen. */
    private volatile boolean isMade;
    /** The time was over once. */
    private volatile boolean isLate;
    /** The client has a device, or has gone. */
    private volatile boolean isOver;
    /** What it asked for last. */
    private volatile String export;

    /** {@code onLate} drops the client. */
    NbdChoice(ExportSource exports, String client, ScheduledExecutorService deadlines, Consumer<NbdChoice> onLate) {
        this.exports = exports;
        this.client = client;
        this.deadlines = deadlines;
        this.onLate = onLate;
    }

    /** The client has so long. */
    void expectWithin(long millis) {
        try {
            deadline = deadlines.schedule(this::look, millis, TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            // The server closes, and all of its connections.
            return;
        }
    }

    private void look() {
        if (isOver) {
            return;
        }
        if (isMade || !isLate) {
            // Time goes on while the process is stopped, too, and what the client has said meanwhile is not read yet.
            isLate = true;
            expectWithin(AFTER_CHOICE_MILLIS);
        } else {
            onLate.accept(this);
        }
    }

    /** It has chosen, or will not any more. */
    void over() {
        isOver = true;
        Future<?> last = deadline;
        if (last != null) {
            last.cancel(false);
        }
    }

    /** The client and, when it has asked for one, its export. */
    @Override
    public String toString() {
        return export == null ? client : client + ", export '" + export + "'";
    }

    @Override
    public List<String> names() {
        return exports.names();
    }

    @Override
    public OpenDevice open(String name) throws IOException {
        export = name;
        isMade = true;
        try {
            return exports.open(name);
        } finally {
            isMade = false;
        }
    }
}
