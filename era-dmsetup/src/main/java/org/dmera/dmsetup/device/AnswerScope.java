// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.Closeable;
import java.util.Set;

/**
 * What one sender of answers owes to its client: writes that are done but not answered yet.
 *
 * <p>A new era must not be told to have begun while a write that only the old era knows of is still to be answered: it
 * would be acknowledged in an era in which it is not marked. Answers are collected and sent together, so there is a moment
 * for that. Whoever begins an era therefore waits, in {@link DeviceIo#awaitAnswers}, for the answers owed by then.
 *
 * <p>One thread at a time owes and sends; it costs one volatile write for each batch of answers.
 */
public final class AnswerScope implements Closeable {
    private final Set<AnswerScope> all;
    /** Odd while answers are owed; another number for each batch. */
    private volatile long batch;

    AnswerScope(Set<AnswerScope> all) {
        this.all = all;
        all.add(this);
    }

    /** A write begins whose answer will be sent later. Before the write. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // one writer at a time
    public void owe() {
        if ((batch & 1) == 0) {
            batch++;
        }
    }

    /** All answers owed have been sent. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // one writer at a time
    public void sent() {
        if ((batch & 1) == 1) {
            batch++;
        }
    }

    long batch() {
        return batch;
    }

    /** The sender is gone, and owes nothing. */
    @Override
    public void close() {
        sent();
        all.remove(this);
    }
}
