// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

import java.io.IOException;

/** Failures that come together: of steps each of which is done whatever becomes of the others, and of what is taken back. */
public final class Failures {
    /** What may fail. */
    @FunctionalInterface
    public interface Step {
        void run() throws IOException;
    }

    /** The same, with something. */
    @FunctionalInterface
    public interface Use<T> {
        void with(T something) throws IOException;
    }

    /** Makes something. */
    @FunctionalInterface
    public interface Making<T> {
        T make() throws IOException;
    }

    private IOException first;

    /** Does {@code step}; how it fails, an error in this program for one, is told in the end. */
    public void run(Step step) {
        try {
            step.run();
        } catch (IOException | RuntimeException | Error e) {
            add(ofIo(e));
        }
    }

    /** {@code why} itself, or that it is an error in this program, or want of memory. */
    public static IOException ofIo(Throwable why) {
        return why instanceof IOException io ? io : new IOException("internal error: " + why, why);
    }

    private void add(IOException next) {
        if (first == null) {
            first = next;
        } else {
            note(first, next);
        }
    }

    /** Throws the first failure, which has the others with it; nothing when there was none. */
    public void throwFirst() throws IOException {
        if (first != null) {
            throw first;
        }
    }

    /** Does {@code step} because of {@code cause}, which takes what fails in it. */
    public static void after(Throwable cause, Step step) {
        try {
            step.run();
        } catch (IOException | RuntimeException | Error e) {
            note(cause, e);
        }
    }

    /** What {@code making} makes; when it fails {@code takeBack} is done, and what fails in that is told with why it failed. */
    public static <T> T takingBack(Step takeBack, Making<T> making) throws IOException {
        try {
            return making.make();
        } catch (IOException | RuntimeException | Error e) {
            after(e, takeBack);
            throw e;
        }
    }

    /** Has {@code cause} take {@code next} with it, unless it is the same one: several may be told of one failure. */
    private static void note(Throwable cause, Throwable next) {
        if (next != cause) {
            cause.addSuppressed(next);
        }
    }
}
