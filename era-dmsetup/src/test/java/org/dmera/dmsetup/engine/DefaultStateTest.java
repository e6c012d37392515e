// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Where an engine of a user's remembers its devices: never in the folder that it happens to be started in. */
class DefaultStateTest {
    @Test
    void theHomeIsThatOfTheEnvironment() {
        assertEquals(Path.of("/home/me/.local/state/era"), EngineOptions.stateOfUser(Map.of("HOME", "/home/me")));
        assertEquals(
                Path.of("/states/era"),
                EngineOptions.stateOfUser(Map.of("HOME", "/home/me", "XDG_STATE_HOME", "/states")));
        assertEquals(
                Path.of(System.getProperty("user.home"), ".local/state/era"),
                EngineOptions.stateOfUser(Map.of("HOME", "")));
    }
}
