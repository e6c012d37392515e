// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.device;

import org.dmera.dmsetup.target.TargetFactory;

/**
 * Opens what tables name. A device may open the same file in both of its tables; two devices may not share one for
 * writing.
 */
public interface BackingSource {
    /** An opener for a table of {@code device}, for reading only when {@code readOnly}. */
    TargetFactory.BackingOpener openerFor(MappedDevice device, boolean readOnly);
}
