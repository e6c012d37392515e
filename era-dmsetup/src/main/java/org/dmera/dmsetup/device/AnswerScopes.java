// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.dmera.dmsetup.targets.OwedAnswers;

/** What all senders of answers owe for one device, and for the devices on top of it, whose writes are its writes, too. */
final class AnswerScopes {
    private static final long ANSWERS_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
    private static final long POLL_NANOS = TimeUnit.MICROSECONDS.toNanos(50);

    private final Set<AnswerScope> scopes = ConcurrentHashMap.newKeySet();
    private final Map<Object, OwedAnswers> above = new ConcurrentHashMap<>();

    AnswerScope open(int capacity) {
        return new AnswerScope(scopes, capacity);
    }

    /** {@code owed} tells, from now on, what is owed by the clients of {@code user}, which sits on top of this device. */
    void include(Object user, OwedAnswers owed) {
        above.put(user, owed);
    }

    void exclude(Object user) {
        above.remove(user);
    }

    /** As {@link OwedAnswers#awaitOrReport}, for the target between two bytes of the device. */
    void awaitOrReport(long start, long end, OwedAnswers.Writes stillOwed) {
        AnswerScope.Ranges ofTarget = (first, after) -> {
            long from = Math.max(first, start);
            long to = Math.min(after, end);
            if (from < to) {
                stillOwed.write(from - start, to - from);
            }
        };
        long deadline = System.nanoTime() + ANSWERS_NANOS;
        for (AnswerScope scope : scopes) {
            long batch = scope.batch();
            if ((batch & 1) == 0) {
                continue;
            }
            while (scope.batch() == batch && System.nanoTime() < deadline) {
                LockSupport.parkNanos(POLL_NANOS);
            }
            if (scope.batch() == batch) {
                scope.forEachOwed(ofTarget);
            }
        }
        for (OwedAnswers owed : above.values()) {
            owed.awaitOrReport((offset, length) -> ofTarget.range(offset, offset + length));
        }
    }
}
