// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.control;

import java.io.IOException;
import java.util.List;
import org.dmera.dmsetup.device.MappedDevice;

/** What an engine does on a message of its own: the kernel has no call for it. */
@FunctionalInterface
public interface EngineVerb {
    /**
     * Does it.
     *
     * @param sector the message's sector, for what is about one target
     * @param arguments the words after the first
     * @return the answer's text, or null
     */
    String run(MappedDevice device, long sector, List<String> arguments) throws IOException;
}
