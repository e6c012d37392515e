// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.StorageAreas;

/**
 * What all who are served have in common, whichever way their requests arrive: the memory for what they send, and who they
 * are. Before a new one's first request, and the first after a pause, those of the same storage that have left are waited
 * for: what they sent is done by then, or dropped.
 */
public final class Served {
    private final Map<Client, Supplier<StorageAreas>> clients = new ConcurrentHashMap<>();
    private final long directBytes;
    /** Made when it is first needed. */
    private NbdMemory memory;

    /** With what memory the process may have. */
    public Served() {
        this(0);
    }

    /** With so much outside the heap; 0 for what the process may have. */
    public Served(long directBytes) {
        this.directBytes = directBytes;
    }

    /** The client at the other end of {@code line}, who uses {@code storage} until {@link #remove}. */
    Client add(Client.Line line, Supplier<StorageAreas> storage) {
        Client client = new Client(line);
        clients.put(client, storage);
        return client;
    }

    void remove(Client client) {
        clients.remove(client);
    }

    /** Returns when no request of a client that has left is on its way to what lies beneath the device of {@code client}. */
    void awaitThoseGone(Client client) {
        if (clients.size() == 1) {
            return;
        }
        StorageAreas mine = null;
        for (Map.Entry<Client, Supplier<StorageAreas>> other : clients.entrySet()) {
            if (other.getKey() == client || !other.getKey().hasLeft()) {
                continue;
            }
            if (mine == null) {
                mine = clients.get(client).get();
            }
            if (mine.overlaps(other.getValue().get())) {
                other.getKey().awaitGone(client);
            }
        }
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
