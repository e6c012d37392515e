// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Which channel to use: what the option says; else {@code $ERA_CONTROL}; else the engine, if its socket answers; else the
 * kernel. Both option and variable are {@code kernel}, {@code engine} (the default socket), or the path of a socket.
 *
 * @param socket the engine's socket, or null for the kernel
 * @param asked whether the user asked for it, so that nothing else will do
 */
public record ControlChoice(Path socket, boolean asked) {
    /** Names the channel, as the option {@code --control} does. */
    public static final String VARIABLE = "ERA_CONTROL";

    /**
     * The choice for an option (null when it was not given) in an environment.
     */
    public static ControlChoice of(String option, Map<String, String> environment) {
        String word = option != null ? option : environment.getOrDefault(VARIABLE, "");
        return switch (word) {
            case "" -> new ControlChoice(defaultSocket(environment), false);
            case "kernel" -> new ControlChoice(null, true);
            case "engine" -> new ControlChoice(defaultSocket(environment), true);
            default -> new ControlChoice(Path.of(word), true);
        };
    }

    /**
     * Where an engine listens when nothing else is said: {@code /run/era/control} for root, else
     * {@code $XDG_RUNTIME_DIR/era/control}, else {@code /tmp/era-USER/control}.
     */
    public static Path defaultSocket(Map<String, String> environment) {
        String user = System.getProperty("user.name");
        String runtime = environment.get("XDG_RUNTIME_DIR");
        if ("root".equals(user)) {
            return Path.of("/run/era/control");
        }
        return runtime != null && !runtime.isEmpty()
                ? Path.of(runtime, "era", "control")
                : Path.of("/tmp", "era-" + user, "control");
    }

    /** Opens the channel; fails when it does not answer. */
    public Control connect() throws IOException {
        if (socket == null) {
            return KernelControl.open();
        }
        try {
            return SocketControl.connect(socket);
        } catch (IOException e) {
            if (asked) {
                throw new IOException("no engine answers at " + socket + ": " + e.getMessage(), e);
            }
            return KernelControl.open();
        }
    }
}
