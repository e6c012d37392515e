// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.check;

import java.util.concurrent.Executor;
import org.dmera.core.check.CheckOptions;

/** The threads that a check of a large device is given. They are started only when it asks for them. */
final class Threads implements Executor {
    private Threads() {}

    /** {@code options} with a thread for each core. */
    static CheckOptions use(CheckOptions options) {
        return options.withThreads(Runtime.getRuntime().availableProcessors(), new Threads());
    }

    @Override
    public void execute(Runnable reader) {
        Thread thread = new Thread(reader, "reader");
        thread.setDaemon(true);
        thread.start();
    }
}
