// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.dmsetup.targets.Failures;

/** Steps that are all done, each whatever becomes of the others; each failure is logged, and the first is told at the end. */
public final class ShutdownSteps {
    private final EngineLog log;
    private IOException first;

    public ShutdownSteps(EngineLog log) {
        this.log = log;
    }

    /** Does {@code step}; {@code what} begins the log's line when it fails. Whether it was done. */
    public boolean run(String what, Failures.Step step) {
        try {
            step.run();
            return true;
        } catch (IOException | RuntimeException | Error e) {
            log.error(what, e);
            if (first == null) {
                first = new IOException(what + ": " + (e instanceof IOException ? e.getMessage() : e), e);
            }
            return false;
        }
    }

    /** Throws the first failure, if there was one. */
    public void throwFirst() throws IOException {
        if (first != null) {
            throw first;
        }
    }
}
