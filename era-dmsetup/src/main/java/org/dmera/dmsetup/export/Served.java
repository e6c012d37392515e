// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

/** What all who are served have in common, whichever way their requests arrive: who they are, and the memory for what they send. */
public final class Served {
    private final Clients clients = new Clients();
    private final long directBytes;
    /** Made when it is first needed. */
    private NbdMemory memory;

    /** With what memory the process may have. */
    public Served() {
        this(0);
    }

    /** With so much outside the heap; 0 for what the process may have. */
    Served(long directBytes) {
        this.directBytes = directBytes;
    }

    Clients clients() {
        return clients;
    }

    synchronized NbdMemory memory() {
        if (memory == null) {
            memory = new NbdMemory(directBytes > 0 ? directBytes : NbdMemory.directBytes());
        }
        return memory;
    }

    /** Lets go of the buffers that are kept for those to come. */
    synchronized void releaseIdle() {
        if (memory != null) {
            memory.pool().releaseIdle();
        }
    }

    /** Bytes of payloads held now that wait for metadata. */
    public long payloadBytes() {
        return memory().payloadBytes();
    }
}
