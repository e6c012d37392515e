// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;

/** The operand of commands that take one device, and are run once for each of several. */
final class Operands {
    private Operands() {}

    /** The device that the first operand or the switches name. */
    static DeviceId device(Session session, List<String> operands) throws IOException, CommandLineException {
        return session.device(operands.isEmpty() ? null : operands.get(0));
    }
}
