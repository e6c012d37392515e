// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.Closeable;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * What one sender of answers owes to its client: writes that are done, or under way, and not answered yet.
 *
 * <p>A new era must not be told to have begun while a write that only the old era knows of is still to be answered: it
 * would be acknowledged in an era in which it is not marked. Answers are collected and sent together, and a client may be
 * slow to take them, or still be sending the rest of what it wants written. So whoever begins an era waits a moment, in
 * {@link AnswerScopes#awaitOrReport}, for the answers that are owed by then, and has those blocks marked again whose writes are
 * not answered even so.
 *
 * <p>One thread at a time owes and sends; it costs a few ordered stores for each write, and one volatile one for each batch
 * of answers. The fence that orders them before a look at the marks is the one of the write's slot in the era target.
 */
public final class AnswerScope implements Closeable {
    private final Set<AnswerScope> all;
    /** How many writes are owed; then, for each, its first byte and the byte after its last. */
    private final AtomicLongArray owed;

    /** Odd while answers are owed; another number for each batch. */
    private volatile long batch;

    AnswerScope(Set<AnswerScope> all, int capacity) {
        this.all = all;
        this.owed = new AtomicLongArray(1 + 2 * capacity);
        all.add(this);
    }

    /** Whether another write can be owed only when all are answered; those that continue the last one always can. */
    public boolean isFull() {
        return 1 + 2 * owed.getPlain(0) == owed.length();
    }

    /** A write begins whose answer will be sent later. Before the write; {@link #isFull} is false, or it continues the last. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // one writer at a time
    public void owe(long offsetBytes, long lengthBytes) {
        int n = (int) owed.getPlain(0);
        long end = offsetBytes + lengthBytes;
        if (n > 0 && owed.getPlain(2 * n) == offsetBytes) {
            owed.setRelease(2 * n, end);
        } else {
            owed.setRelease(2 * n + 1, offsetBytes);
            owed.setRelease(2 * n + 2, end);
            owed.setRelease(0, n + 1);
        }
        if ((batch & 1) == 0) {
            batch++;
        }
    }

    /** All answers owed have been sent. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // one writer at a time
    public void sent() {
        if ((batch & 1) == 1) {
            batch++;
            owed.setRelease(0, 0);
        }
    }

    long batch() {
        return batch;
    }

    /** Is told of ranges of bytes. */
    interface Ranges {
        void range(long start, long end);
    }

    /** Visits the writes that are owed now; when answers are sent meanwhile, perhaps also some that no longer are. */
    void forEachOwed(Ranges visitor) {
        int n = (int) owed.getAcquire(0);
        for (int i = 0; i < n; i++) {
            visitor.range(owed.getAcquire(2 * i + 1), owed.getAcquire(2 * i + 2));
        }
    }

    /** The sender is gone, and owes nothing. */
    @Override
    public void close() {
        sent();
        all.remove(this);
    }
}
