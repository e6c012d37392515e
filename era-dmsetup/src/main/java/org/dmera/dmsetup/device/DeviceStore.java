// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.io.IOException;

/** Remembers devices across restarts of the engine. A call that throws leaves remembered what was. */
public interface DeviceStore {
    /** Remembers nothing. */
    DeviceStore NONE = new DeviceStore() {
        @Override
        public void save(DeviceRecord record) {}

        @Override
        public void delete(int minor) {}
    };

    /** Durable when it returns. Replaces what was known of this minor. */
    void save(DeviceRecord record) throws IOException;

    /** Durable when it returns. */
    void delete(int minor) throws IOException;
}
