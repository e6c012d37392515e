// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.targets;

/** What can be asked of a range of bytes. */
public enum Operation {
    READ,
    WRITE,
    FLUSH,
    DISCARD,
    WRITE_ZEROES;

    /** Whether the range may hold something else afterwards. */
    public boolean isChange() {
        return this != READ && this != FLUSH;
    }
}
