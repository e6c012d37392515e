// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;
import org.dmera.dmsetup.targets.Target;

/** What is done with several devices at one moment; a failure ends it for all. */
public interface OneMoment {
    /** A device that runs, and whose one target this is, is about to be held. */
    void prepare(MappedDevice device, Target target) throws IOException;

    /** The device is held: nothing is under way, and nothing begins. So are those on top of it, and all will be. */
    void held(MappedDevice device, Target target) throws IOException;
}
