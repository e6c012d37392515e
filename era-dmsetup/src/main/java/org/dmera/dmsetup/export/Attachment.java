// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;

/** A mapped device as a block device of the host. */
interface Attachment {
    /** Its path, as in {@code /dev/loop0}. */
    String node();

    /** The size of what it shows has changed. */
    void resized() throws IOException;

    /** Writes out what the node's page cache holds, and a file system that is mounted on it. */
    void sync() throws IOException;

    /** Takes it away. Throws EBUSY, with nothing changed, while the node is in use. */
    void detach() throws IOException;

    /** Lets go of it, in use or not. */
    void abandon() throws IOException;
}
