// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import org.dmera.core.linux.Errno;

/** A call that device-mapper refused, in the words that libdevmapper has for it. */
public final class DmException extends IOException {
    private static final long serialVersionUID = 1L;

    private final int errno;

    /** {@code task} is libdevmapper's name of the call, {@code device} the device as the caller named it. */
    DmException(String task, DeviceId device, int errno) {
        super("device-mapper: " + task + " ioctl on " + device.describe() + " failed: " + Errno.text(errno));
        this.errno = errno;
    }

    public boolean is(Errno e) {
        return errno == e.number();
    }
}
