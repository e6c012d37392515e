// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import java.util.List;
import org.dmera.dmsetup.targets.TargetFactory;

/**
 * Opens what tables name. A device may open the same file in both of its tables; two devices may not share one for
 * writing.
 */
public interface BackingSource {
    /**
     * An opener for a table of {@code device}, for reading only when {@code readOnly}.
     *
     * @param found what words led to before a restart, for a table that comes back after one: that is opened, or nothing,
     *     whatever has the name now; empty for another
     */
    TargetFactory.BackingOpener openerFor(MappedDevice device, boolean readOnly, List<DeviceRecord.Found> found);
}
