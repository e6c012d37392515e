// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.dmera.dmsetup.targets.Client;
import org.dmera.dmsetup.targets.StorageAreas;

/**
 * The clients that use devices now, by NBD and by nodes. Before a new one's first request, and the first after a pause, those of
 * the same storage that have left are waited for: what they sent is done by then, or dropped.
 */
final class Clients {
    private final Map<Client, Supplier<StorageAreas>> open = new ConcurrentHashMap<>();

    /** The client at the other end of {@code line}, who uses {@code storage} until {@link #remove}. */
    Client add(Client.Line line, Supplier<StorageAreas> storage) {
        Client client = new Client(line);
        open.put(client, storage);
        return client;
    }

    void remove(Client client) {
        open.remove(client);
    }

    /** Returns when no request of a client that has left is on its way to what lies beneath the device of {@code client}. */
    void awaitThoseGone(Client client) {
        if (open.size() == 1) {
            return;
        }
        StorageAreas mine = null;
        for (Map.Entry<Client, Supplier<StorageAreas>> other : open.entrySet()) {
            if (other.getKey() == client || !other.getKey().hasLeft()) {
                continue;
            }
            if (mine == null) {
                mine = open.get(client).get();
            }
            if (mine.overlaps(other.getValue().get())) {
                other.getKey().awaitGone(client);
            }
        }
    }
}
