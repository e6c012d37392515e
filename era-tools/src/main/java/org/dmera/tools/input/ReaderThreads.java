// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.input;

import java.util.concurrent.Executor;

/** Threads that read a large device together with the caller's. They are started only when they are asked for. */
public final class ReaderThreads implements Executor {
    /** As many as make sense, the caller's among them. */
    public static int count() {
        return Runtime.getRuntime().availableProcessors();
    }

    @Override
    public void execute(Runnable reader) {
        Thread thread = new Thread(reader, "reader");
        thread.setDaemon(true);
        thread.start();
    }
}
