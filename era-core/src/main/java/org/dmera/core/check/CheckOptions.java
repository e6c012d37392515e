// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.check;

import java.util.concurrent.Executor;

/**
 * What to check, and with whose threads.
 *
 * @param scope how much of the device is looked at
 * @param threads how many threads read at the same time, at least 1
 * @param executor runs the readers when there is more than one, else null; the caller's own thread is one of them
 * @param progress receives the work done
 */
public record CheckOptions(Scope scope, int threads, Executor executor, Progress progress) {
    /** How much of a device is looked at. */
    public enum Scope {
        /** Everything, the held snapshot too. */
        ALL,
        /** Only block 0. */
        SUPERBLOCK,
        /** Everything but what array blocks hold: whether each block in use has its place, and each place its block. */
        PLACES,
        /** Only what the held snapshot holds: the one part of a live device that doesn't change while it is read. */
        SNAPSHOT
    }

    /** Receives progress, from any thread. */
    public interface Progress {
        /** {@code blocks} more metadata blocks have been read or passed over. */
        void advanced(long blocks);
    }

    private static final Progress NOBODY = new Progress() {
        @Override
        public void advanced(long blocks) {}
    };

    /** Everything, on the caller's thread alone. */
    public static CheckOptions defaults() {
        return of(Scope.ALL);
    }

    /** {@code scope}, on the caller's thread alone. */
    public static CheckOptions of(Scope scope) {
        return new CheckOptions(scope, 1, null, NOBODY);
    }

    /** The same with {@code threads} readers that {@code executor} runs. */
    public CheckOptions withThreads(int threads, Executor executor) {
        return new CheckOptions(scope, threads, executor, progress);
    }

    /** The same with somebody who wants to know how it goes. */
    public CheckOptions withProgress(Progress progress) {
        return new CheckOptions(scope, threads, executor, progress);
    }
}
