// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.function.Consumer;

/**
 * An era target's origin, as far as it keeps what was acknowledged. A failed sync tells of a loss once; from then on every
 * flush and every new era fails, for as long as the table is in use, since a later success would say nothing of what was lost.
 */
final class SyncedOrigin {
    private final Backing origin;
    private final Consumer<String> log;
    /** Why acknowledged writes are not there, or null. */
    private volatile IOException loss;

    SyncedOrigin(Backing origin, Consumer<String> log) {
        this.origin = origin;
        this.log = log;
    }

    /** Null, or why acknowledged writes are not there, whoever was told of it. */
    IOException loss() {
        IOException told = loss == null ? origin.loss() : null;
        if (told != null) {
            lost(told);
        }
        return loss;
    }

    void flush() throws IOException {
        makeDurable("flush", origin::flush);
    }

    /** As {@link Target#sync}. */
    void sync() throws IOException {
        makeDurable("sync", origin::sync);
    }

    private void makeDurable(String what, Failures.Step step) throws IOException {
        requireNoLoss(what);
        try {
            step.run();
        } catch (IOException e) {
            if (!Client.isRefusal(e)) {
                lost(e);
            }
            throw e;
        }
        // Another one may have been told of it.
        requireNoLoss(what);
    }

    void requireNoLoss(String what) throws IOException {
        IOException why = loss();
        if (why != null) {
            throw new IOException(what + " after a loss: " + why.getMessage(), why);
        }
    }

    /** {@link Target#FUA} means a flush of what is written, and that fails as every other. */
    void requireNoLossIf(int flags) throws IOException {
        if ((flags & Target.FUA) != 0) {
            requireNoLoss("FUA");
        }
    }

    private synchronized void lost(IOException why) {
        if (loss == null) {
            loss = why;
            log.accept("era: origin " + origin.display() + ": " + why.getMessage()
                    + "; no flush and no new era until the table is loaded again");
        }
    }
}
