// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import org.dmera.dmsetup.control.Control;
import org.dmera.dmsetup.control.ControlChoice;
import org.dmera.dmsetup.engine.EngineStarter;

/** Opens the channel that the user chose; starts an engine for who makes a device on one that does not run yet. */
final class Channel implements Session.Connector {
    @Override
    public Control connect(Switches switches, boolean creating) throws IOException {
        ControlChoice choice = ControlChoice.of(switches.value(Switch.CONTROL), System.getenv());
        try {
            return choice.connect();
        } catch (IOException e) {
            if (!creating || !choice.asked() || choice.socket() == null) {
                throw e;
            }
        }
        EngineStarter.start(EngineCommand.options(switches, System.getenv()));
        return choice.connect();
    }
}
