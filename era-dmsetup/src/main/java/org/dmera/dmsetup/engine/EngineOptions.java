// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import java.nio.file.Path;
import java.util.Map;
import org.dmera.dmsetup.device.EngineLog;

/**
 * What an engine is started with.
 *
 * @param control the control socket
 * @param state the folder in which it remembers its devices
 * @param nbd the NBD socket
 * @param level which log lines are written
 * @param tcp a TCP address for NBD besides the socket, or null
 * @param access who may use TCP, at that address and at sockets that the service manager hands over
 */
public record EngineOptions(Path control, Path state, Path nbd, EngineLog.Level level, NbdTcp tcp, TcpAccess access) {
    /** Names the state folder when {@code --state} does not. */
    public static final String STATE_VARIABLE = "ERA_STATE";

    /** The NBD socket of the engine whose control socket this is. */
    public static Path nbdSocket(Path control) {
        return control.resolveSibling(control.getFileName() + ".nbd");
    }

    /**
     * Where an engine remembers its devices when nothing else is said: {@code /var/lib/era} for root, else
     * {@code $XDG_STATE_HOME/era}, else {@code ~/.local/state/era}.
     */
    public static Path defaultState(Map<String, String> environment) {
        String chosen = environment.get(STATE_VARIABLE);
        if (chosen != null && !chosen.isEmpty()) {
            return Path.of(chosen);
        }
        if ("root".equals(System.getProperty("user.name"))) {
            return Path.of("/var/lib/era");
        }
        return stateOfUser(environment);
    }

    /** By {@code HOME}, as a shell's {@code ~} is: of a user who is in no list of users Java knows no home, and says "?". */
    static Path stateOfUser(Map<String, String> environment) {
        String states = environment.get("XDG_STATE_HOME");
        String home = environment.get("HOME");
        return states != null && !states.isEmpty()
                ? Path.of(states, "era")
                : Path.of(
                        "/",
                        home != null && !home.isEmpty() ? home : System.getProperty("user.home"),
                        ".local",
                        "state",
                        "era");
    }
}
