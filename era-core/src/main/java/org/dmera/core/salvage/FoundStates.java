// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.salvage;

import java.util.List;

/**
 * States of the metadata that are left on the device.
 *
 * @param states those that have not been overwritten, in the order of their index blocks, which means nothing
 * @param last where the last state is
 */
record FoundStates(List<RootCandidate> states, Last last) {
    /** Where the state is to which the lost superblock led. */
    enum Last {
        /** It is one of the states. */
        FOUND,
        /**
         * It may be one of them. If it isn't, the one before it is, and all blocks that it wrote can be read but one of its
         * space map: the last of the states has the bitsets that it may have written.
         */
        NEAR,
        /** It may not be among them. */
        LOST
    }
}
