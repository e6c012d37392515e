// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/** Passes on that all parts of a write are prepared, when the last of them is; with the first failure, if any failed. */
public final class PreparedTogether implements Target.Prepared {
    private final AtomicInteger waiting;
    private final AtomicReference<IOException> failed = new AtomicReference<>();
    private final Target.Prepared then;

    /** {@code then} is told when this has been told {@code parts} times. */
    public PreparedTogether(int parts, Target.Prepared then) {
        this.waiting = new AtomicInteger(parts);
        this.then = then;
    }

    @Override
    public void prepared(IOException failure) {
        if (failure != null) {
            failed.compareAndSet(null, failure);
        }
        if (waiting.decrementAndGet() == 0) {
            then.prepared(failed.get());
        }
    }
}
