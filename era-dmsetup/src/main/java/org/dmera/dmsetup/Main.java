// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup;

import java.nio.file.Path;
import org.dmera.dmsetup.device.EngineLog;
import org.dmera.dmsetup.engine.EngineOptions;
import org.dmera.dmsetup.engine.EngineProcess;

/** Entry point of {@code era-dmsetup}. */
public final class Main {
    private Main() {}

    /** Runs {@code era-dmsetup} with {@code args}. */
    public static void main(String[] args) throws Exception {
        EngineLog log = new EngineLog(System.err, EngineLog.Level.DEBUG, false);
        Path control = Path.of(args[3]);
        System.exit(EngineProcess.run(
                new EngineOptions(control, Path.of(args[5]), EngineOptions.nbdSocket(control), EngineLog.Level.DEBUG),
                log));
    }
}
