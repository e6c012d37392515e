// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.UnixSocket;
import org.dmera.dmsetup.device.EngineLog;

/**
 * Tells whoever started the engine as a service how far it is, by sd_notify(3)'s protocol: systemd lets those who need the
 * engine go on when its devices are there, and not before.
 */
final class ServiceManager {
    /** Names the socket, in the environment of a service. */
    static final String VARIABLE = "NOTIFY_SOCKET";

    private final String socket;
    private final EngineLog log;

    /** The one that the environment names, if any. */
    ServiceManager(EngineLog log) {
        this.log = log;
        socket = System.getenv(VARIABLE);
    }

    /** Every device is back, and the sockets answer. */
    void ready() {
        tell("READY=1");
    }

    /** The devices are being suspended. */
    void stopping() {
        tell("STOPPING=1");
    }

    private void tell(String state) {
        if (socket == null || socket.isEmpty()) {
            return;
        }
        try {
            UnixSocket.send(socket, state);
        } catch (ErrnoException e) {
            // The engine serves all the same; the manager will complain of what it did not hear.
            log.warn("telling the service manager " + state + ": " + e.getMessage());
        }
    }
}
