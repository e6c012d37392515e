// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.cli;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.control.DeviceId;
import org.dmera.dmsetup.control.DmCall;
import org.dmera.dmsetup.ioctl.DmCommand;
import org.dmera.dmsetup.ioctl.DmFlags;
import org.dmera.dmsetup.ioctl.DmIoctl;

/** {@code wait}: until the device's event number is higher than one that was seen. */
final class WaitCommand {
    boolean run(Session session, List<String> operands) throws IOException {
        boolean bySwitch = session.deviceBySwitch();
        DeviceId device = session.device(bySwitch || operands.isEmpty() ? null : operands.get(0));
        int numberAt = bySwitch ? 0 : 1;
        int seen = operands.size() > numberAt ? Numbers.leading("event number", operands.get(numberAt)) : 0;
        DmIoctl io = DmCall.of("waitevent", DmCommand.DEV_WAIT, device)
                .eventNr(seen)
                .flag(DmFlags.NOFLUSH, session.has(Switch.NOFLUSH))
                .flag(DmFlags.QUERY_INACTIVE_TABLE, session.has(Switch.INACTIVE))
                .run(session.control());
        InfoCommand.printIfVerbose(session, io);
        return true;
    }
}
